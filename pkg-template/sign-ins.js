// @ts-check
// Tells the clients of an account in all tabs that the user has signed in.

export class SignIns {
  #name;
  #onSignIn;
  #channel;

  /** `account`: the client's account. `onSignIn` is called after a sign-in in another tab. */
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

  /** Stops listening: the client is closed, or the browser is about to freeze its tab. */
  stop() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Tells the other tabs that the user has signed in here. */
  announce() {
    this.#channel?.postMessage("signed in");
  }
}
