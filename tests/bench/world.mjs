// A world of the server: items, changes, and the pages and links of one delta query.
import { hashRow } from "./checksum.js";
import { idOf, makeItem } from "./data.mjs";

/** The serialized initial items by kind and count, shared by all worlds of that size. */
const datasets = new Map();

function datasetOf(kind, count, size) {
  const name = `${kind} ${count} ${size}`;
  let dataset = datasets.get(name);
  if (!dataset) {
    const hashes = new Uint32Array(count);
    const pages = [];
    let sum = 0;
    for (let start = 0; start < count; start += size) {
      const items = Array.from({ length: Math.min(size, count - start) }, (_, index) =>
        makeItem(kind, start + index, 0),
      );
      items.forEach((item, index) => {
        hashes[start + index] = hashRow(item);
        sum = (sum + hashes[start + index]) % 2 ** 32;
      });
      pages.push(Buffer.from(items.map((item) => JSON.stringify(item)).join(",")));
    }
    datasets.set(name, (dataset = { pages, hashes, sum }));
  }
  return dataset;
}

export const PATHS = {
  events: "/me/calendarView/delta",
  users: "/users/delta",
};

/** Items of one kind with their delta query. Counts the requests. */
export class World {
  /**
   * By the number of an item: its version (undefined if removed), and the sequence number of its
   * last change. The sequence number 0 stands for a change that no incremental round reports.
   */
  #changes = new Map();
  #dataset;
  #sequence = 1;
  #added = 0;
  #links = 0;
  #edited = 0;
  #sum;
  #count;
  requests = 0;
  preflights = 0;

  /** `latency` is in milliseconds per response, `rate` in bytes per second for all responses. */
  constructor(root, { kind, pages, size, latency = 0, rate = Infinity }) {
    Object.assign(this, { root, kind, pages, size, latency, rate });
    this.#dataset = datasetOf(kind, pages * size, size);
    this.#sum = this.#dataset.sum;
    this.#count = pages * size;
  }

  /** The checksum of a correct copy. */
  get expected() {
    return { count: this.#count, sum: this.#sum };
  }

  /** Makes `count` changes: edits, and with a count of 5 or more also an addition and a removal. */
  change(count) {
    this.#sequence += 1;
    const numbers = Array.from({ length: count }, () => this.#nextNumber());
    if (count >= 5) {
      this.#set(this.pages * this.size + this.#added, 0);
      this.#added += 1;
      this.#set(numbers.pop(), undefined);
      // The addition is one of the changes too.
      numbers.pop();
    }
    for (const number of numbers) this.#set(number, this.#sequence);
  }

  /** Removes items without reporting it, so that only a full round notices. */
  removeSilently(count) {
    for (let times = 0; times < count; times++) this.#set(this.#nextNumber(), undefined, 0);
  }

  /** A number that is scattered over the pages and not used twice within a run. */
  #nextNumber() {
    const total = this.pages * this.size;
    const number = (this.#edited * 997 + 13) % total;
    this.#edited += 1;
    return number;
  }

  #set(number, version, sequence = this.#sequence) {
    const hashOf = (edits) => (edits === undefined ? 0 : hashRow(makeItem(this.kind, number, edits)));
    const change = this.#changes.get(number);
    const isInitial = number < this.pages * this.size;
    const before = change ? hashOf(change.version) : isInitial ? this.#dataset.hashes[number] : 0;
    const existed = change ? change.version !== undefined : isInitial;
    this.#sum = (this.#sum - before + hashOf(version) + 2 ** 32) % 2 ** 32;
    this.#count += Number(version !== undefined) - Number(existed);
    this.#changes.set(number, { version, sequence });
  }

  /** Responds to a GET with the chunks of a body; undefined for an unknown link. */
  respond(query) {
    this.requests += 1;
    const token = /[?&]\$(?:skiptoken|deltatoken)=([^&]*)/.exec(query)?.[1];
    if (token === undefined) return this.#listing(0, this.#sequence);
    const [, kind, sequence, page] = /^([FD])(\d+)(?:\.(\d+))?-/.exec(token) ?? [];
    if (kind === "F") return this.#listing(Number(page), sequence);
    if (kind === "D") return this.#since(Number(sequence));
    return undefined;
  }

  #listing(page, sequence) {
    const first = page * this.size;
    let items = this.#dataset.pages[page];
    const isLast = page + 1 === this.pages;
    const hasChanges = [...this.#changes.keys()].some(
      (number) => number >= first && (number < first + this.size || isLast),
    );
    if (hasChanges) {
      const numbers = Array.from(
        { length: this.size + (isLast ? this.#added : 0) },
        (_, index) => first + index,
      );
      const texts = numbers.map((number) => {
        const change = this.#changes.get(number);
        if (change && change.version === undefined) return undefined;
        return JSON.stringify(makeItem(this.kind, number, change?.version ?? 0));
      });
      items = Buffer.from(texts.filter((text) => text !== undefined).join(","));
    }
    const link = isLast
      ? this.#link("delta", `D${sequence}`)
      : this.#link("next", `F${sequence}.${page + 1}`);
    return [this.#head(link), items, Buffer.from("]}")];
  }

  #since(sequence) {
    const texts = [];
    for (const [number, change] of this.#changes) {
      if (change.sequence <= sequence) continue;
      const removal = { "@removed": { reason: "deleted" }, id: idOf(this.kind, number) };
      texts.push(
        JSON.stringify(change.version === undefined ? removal : makeItem(this.kind, number, change.version)),
      );
    }
    return [this.#head(this.#link("delta", `D${this.#sequence}`)), Buffer.from(`${texts.join(",")}]}`)];
  }

  /** A link in the form of Graph: its last parameter is an opaque state of 300 characters. */
  #link(kind, state) {
    this.#links += 1;
    const token = `${state}-${this.#links}-`.padEnd(300, "R0usmcFuQtZdtpk4");
    const name = kind === "next" ? "$skiptoken" : "$deltatoken";
    return `"@odata.${kind}Link":"${this.root}${PATHS[this.kind]}?${name}=${token}"`;
  }

  #head(link) {
    const context = `"@odata.context":"${this.root}/$metadata#Collection(${this.kind.slice(0, -1)})"`;
    return Buffer.from(`{${context},${link},"value":[`);
  }
}
