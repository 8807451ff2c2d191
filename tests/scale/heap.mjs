// The events of a simulation in the order of their times: a binary heap in typed arrays.
export class Events {
  #times = new Float64Array(1024);
  #kinds = new Uint8Array(1024);
  #ids = new Int32Array(1024);
  #length = 0;
  /** The properties of the event that `next()` has taken. */
  time = 0;
  kind = 0;
  id = 0;

  push(time, kind, id) {
    if (this.#length === this.#times.length) this.#grow();
    let at = this.#length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#times[parent] <= time) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#set(at, time, kind, id);
  }

  /** Takes the earliest event. Returns false if there is none. */
  next() {
    if (!this.#length) return false;
    [this.time, this.kind, this.id] = [this.#times[0], this.#kinds[0], this.#ids[0]];
    const last = --this.#length;
    const time = this.#times[last];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#times[child + 1] < this.#times[child]) child += 1;
      if (this.#times[child] >= time) break;
      this.#copy(child, at);
      at = child;
    }
    this.#set(at, time, this.#kinds[last], this.#ids[last]);
    return true;
  }

  #set(at, time, kind, id) {
    this.#times[at] = time;
    this.#kinds[at] = kind;
    this.#ids[at] = id;
  }

  #copy(from, to) {
    this.#set(to, this.#times[from], this.#kinds[from], this.#ids[from]);
  }

  #grow() {
    const grown = (old) => {
      const made = new old.constructor(2 * old.length);
      made.set(old);
      return made;
    };
    this.#times = grown(this.#times);
    this.#kinds = grown(this.#kinds);
    this.#ids = grown(this.#ids);
  }
}
