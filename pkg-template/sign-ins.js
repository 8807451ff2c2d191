// @ts-check
// Tells the clients of an account in all tabs that the user has signed in.

export class SignIns {
  #name;
  #onSignIn;
  #channel;

  /** `account` has the clients. `onSignIn` is called after a sign-in in another tab. */
  constructor(account, onSignIn) {
    this.#name = `deltalink sign-in | ${account}`;
    this.#onSignIn = onSignIn;
  }

  /** Waits for a sign-in in another tab. */
  wait() {
    if (this.#channel || typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = () => this.#onSignIn();
    this.#channel.unref?.();
  }

  /** Ends the wait: the user has signed in, the client ends, or its page is about to be frozen. */
  stop() {
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Tells the other tabs that the user has signed in here. */
  announce() {
    this.wait();
    this.#channel?.postMessage("signed in");
    this.stop();
  }
}
