// IndexedDB with the faults that it has in background tabs, on phones and on damaged disks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openDelta } from "deltalink";
import "fake-indexeddb/auto";
import { requestsOf, startFake } from "../fake.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

const populate = { contacts: 30 };
const { transaction } = globalThis.IDBDatabase.prototype;
const { open } = globalThis.IDBFactory.prototype;
let accounts = 0;

async function openClient(world) {
  const account = `alex ${(accounts += 1)}`;
  return openDelta({
    endpoint: world.root,
    token: () => world.tokens.delegated,
    account,
    retry: { base: 5, cap: 20 },
  });
}

/** The errors of a connection that the browser has closed. */
const connectionErrors = {
  "Safari in the background": () =>
    new globalThis.DOMException(
      "Connection to Indexed Database server lost. Refresh the page to try again",
      "UnknownError",
    ),
  "iOS in the background": () =>
    new globalThis.DOMException(
      "Failed to execute 'transaction' on 'IDBDatabase': The database connection is closing.",
      "InvalidStateError",
    ),
};

for (const [browser, failure] of Object.entries(connectionErrors)) {
  test(`a connection that ${browser} closes is opened again and the round continues`, async () => {
    const world = await fake.world({ populate });
    const client = await openClient(world);
    const contacts = client.orgContacts();
    const closed = new WeakSet();
    let transactions = 0;
    let opened = 0;
    globalThis.IDBDatabase.prototype.transaction = function (...values) {
      // The first connection is lost during the round, without an event.
      if (opened === 0 && (transactions += 1) > 5) closed.add(this);
      if (closed.has(this)) throw failure();
      return transaction.apply(this, values);
    };
    globalThis.IDBFactory.prototype.open = function (...values) {
      opened += 1;
      return open.apply(this, values);
    };
    try {
      assert.equal((await contacts.sync()).outcome, "complete");
      assert.equal(await contacts.count(), 30);
      assert.equal(opened, 1, "once for all that waited");
      assert.equal(contacts.status.get().phase, "idle");
    } finally {
      globalThis.IDBDatabase.prototype.transaction = transaction;
      globalThis.IDBFactory.prototype.open = open;
    }
    await client.close();
  });
}

test("a read that fails because the connection is lost is repeated on a new connection, whichever request failed", async () => {
  const world = await fake.world({ populate });
  const client = await openClient(world);
  const contacts = client.orgContacts();
  await contacts.sync();
  await contacts.reset();
  const { get } = globalThis.IDBObjectStore.prototype;
  let failures = 0;
  let opened = 0;
  globalThis.IDBObjectStore.prototype.get = function (key) {
    // The first of the requests for the rows of a page.
    if (this.name !== "items" || failures > 0) return get.call(this, key);
    failures += 1;
    const operation = () => {
      throw connectionErrors["Safari in the background"]();
    };
    return this.transaction._execRequestAsync({ source: this, operation });
  };
  globalThis.IDBFactory.prototype.open = function (...values) {
    opened += 1;
    return open.apply(this, values);
  };
  try {
    const { outcome, retries } = await contacts.sync();
    assert.deepEqual([outcome, retries, failures, opened], ["complete", 0, 1, 1]);
    assert.equal(await contacts.count(), 30);
  } finally {
    globalThis.IDBObjectStore.prototype.get = get;
    globalThis.IDBFactory.prototype.open = open;
  }
  await client.close();
});

test("a commit that completed when its connection broke is not a conflict with another tab", async () => {
  const world = await fake.world({ populate });
  const client = await openClient(world);
  let broken = false;
  globalThis.IDBDatabase.prototype.transaction = function (stores, mode, options) {
    const made = transaction.call(this, stores, mode, options);
    if (mode !== "readwrite" || broken || !stores.includes("items")) return made;
    broken = true;
    // The transaction completes, but the client gets a connection error.
    const handlers = { oncomplete: null, onabort: null };
    made.oncomplete = () => handlers.onabort?.();
    return new Proxy(made, {
      get(target, name) {
        if (name in handlers) return handlers[name];
        if (name === "error") return broken ? connectionErrors["Safari in the background"]() : null;
        const value = target[name];
        return typeof value === "function" ? value.bind(target) : value;
      },
      set(target, name, value) {
        if (name in handlers) handlers[name] = value;
        return true;
      },
    });
  };
  try {
    const contacts = client.orgContacts();
    assert.equal((await contacts.sync()).outcome, "complete");
    assert.deepEqual([broken, await contacts.count(), (await requestsOf(world)).length], [true, 30, 3]);
  } finally {
    globalThis.IDBDatabase.prototype.transaction = transaction;
  }
  await client.close();
});

test("a database that fails to open is tried again, and the error does not mention a private window", async () => {
  const world = await fake.world({ populate });
  let refusals = 2;
  globalThis.IDBFactory.prototype.open = function (...values) {
    if ((refusals -= 1) >= 0)
      throw new globalThis.DOMException(
        "Internal error opening backing store for indexedDB.open.",
        "UnknownError",
      );
    return open.apply(this, values);
  };
  try {
    const client = await openClient(world);
    assert.equal((await client.orgContacts().sync()).outcome, "complete");
    await client.close();
    refusals = 1000;
    await assert.rejects(openClient(world), (error) => {
      assert.deepEqual([error.code, error.retryable], ["store", true]);
      assert.match(error.message, /Internal error opening backing store/);
      assert.doesNotMatch(error.message, /private window/);
      return true;
    });
    assert.ok(refusals > 990, "the number of attempts is limited");
  } finally {
    globalThis.IDBFactory.prototype.open = open;
  }
});

test('a connection that stays lost leads to a retryable error with the code "store"', async () => {
  const world = await fake.world({ populate });
  const client = await openClient(world);
  globalThis.IDBDatabase.prototype.transaction = () => {
    throw connectionErrors["Safari in the background"]();
  };
  try {
    await assert.rejects(client.orgContacts().sync(), (error) => {
      assert.deepEqual([error.code, error.retryable], ["store", true]);
      assert.match(error.message, /Connection to Indexed Database server lost/);
      return true;
    });
  } finally {
    globalThis.IDBDatabase.prototype.transaction = transaction;
  }
  assert.equal((await client.orgContacts().sync()).outcome, "complete");
  await client.close();
});

test("forget() rejects if the store does not open again after a trap, because nothing was deleted", async (t) => {
  const world = await fake.world({ populate });
  const alex = await openClient(world);
  await alex.orgContacts().sync();
  // An exception of a function of the host passes through the wasm, like a trap.
  const random = t.mock.method(Math, "random", () => {
    throw new Error("this host is broken");
  });
  await assert.rejects(alex.orgContacts().sync(), { code: "internal" });
  random.mock.restore();
  const opening = t.mock.method(globalThis.IDBFactory.prototype, "open", () => {
    throw new globalThis.DOMException("no", "SecurityError");
  });
  await assert.rejects(alex.forget(), { code: "store", message: /this browser refuses IndexedDB here/ });
  opening.mock.restore();
});
