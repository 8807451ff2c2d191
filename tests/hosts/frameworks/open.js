// Opens a client and runs a first round, like the start of an app. Copied into each project of a
// framework unchanged. `show` puts the result of the round and the number of listed rows into the
// document, with the errors and warnings of the framework and the browser.
import { init, openDelta } from "deltalink";

const complaints = [];
if (typeof window !== "undefined") {
  for (const name of ["error", "warn"]) {
    const log = console[name];
    console[name] = (...values) => {
      complaints.push(values.join(" "));
      log(...values);
    };
  }
  window.addEventListener("error", ({ message }) => complaints.push(message));
}

let result;

export async function open() {
  const wasmOrigin = await init();
  const { endpoint, token } = Object.fromEntries(new URLSearchParams(location.search));
  const client = await openDelta({ endpoint, token: () => token, store: "memory" });
  const { pages, added } = await client.orgContacts().sync();
  result = { wasmOrigin, pages, added };
  return client;
}

/** Called after each rendering, with the number of rows that it shows. */
export function show(count) {
  if (!result || !count) return;
  document.body.dataset.result ??= JSON.stringify({
    ...result,
    count,
    ...(complaints.length && { complaints }),
  });
}
