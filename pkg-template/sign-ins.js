// @ts-check
// Tells the clients of an account in all tabs that the user has signed in.

export class SignIns {
  #name;
  #onSignIn;
  #channel;

  /** `key` names the account. `onSignIn` is called after a sign-in in another tab. */
  constructor(key, onSignIn) {
    this.#name = `deltalink sign-in | ${key}`;
    this.#onSignIn = onSignIn;
    this.open();
  }

  open() {
    if (this.#channel || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = () => this.#onSignIn();
    this.#channel.unref?.();
  }

  /** Tells the other tabs that the user has signed in here. */
  announce() {
    this.#channel?.postMessage("signed in");
  }

  /** Closes the channel: the client ends, or its page is about to be frozen. */
  close() {
    this.#channel?.close();
    this.#channel = undefined;
  }
}
