// @ts-check
// Tells the clients of an account in all tabs that the user has signed in.

export class SignIns {
  #name;
  #onSignIn;
  #channel;

  /** `account`: that of the clients. `onSignIn` is called after a sign-in in another tab. */
  constructor(account, onSignIn) {
    this.#name = `deltalink sign-in | ${account}`;
    this.#onSignIn = onSignIn;
  }

  /** Listens for sign-ins in other tabs. */
  listen() {
    if (this.#channel || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = () => this.#onSignIn();
    this.#channel.unref?.();
  }

  /** Stops listening: the client closes, or its page may be frozen. */
  stop() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Tells the other tabs that the user has signed in here. */
  announce() {
    this.#channel?.postMessage("signed in");
  }
}
