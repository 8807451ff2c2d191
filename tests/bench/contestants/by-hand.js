// Code that a careful developer writes by hand: starts the next request as soon as the nextLink at
// the start of the body has arrived, and uses IndexedDB without a library, with one transaction per
// page.
import { mirrorOf } from "./loop.js";
import { openRaw } from "./raw-storage.js";

/** The number of characters in which to look for the nextLink, before the items. */
const HEAD = 8192;

function nextLinkIn(head) {
  const items = head.indexOf('"value":');
  const link = /"@odata\.nextLink":("(?:[^"\\]|\\.)*")/.exec(items < 0 ? head : head.slice(0, items));
  return link && JSON.parse(link[1]);
}

export async function open({ name, root, path, token, prefer }) {
  const headers = { Authorization: `Bearer ${token}`, ...(prefer && { Prefer: prefer }) };
  const request = (url) => {
    const response = fetch(url, { headers });
    // The loop reports a failure when it awaits this page.
    response.catch(() => {});
    return response;
  };
  async function* pages(url) {
    for (let pending = request(url); pending;) {
      const response = await pending;
      if (!response.ok) throw new Error(`${response.url} responds with ${response.status}`);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let lookAhead;
      let text = "";
      for (let part; !(part = await reader.read()).done;) {
        const isHead = text.length < HEAD;
        text += decoder.decode(part.value, { stream: true });
        const link = !lookAhead && isHead && nextLinkIn(text.slice(0, HEAD));
        if (link) lookAhead = request(link);
      }
      const body = JSON.parse(text + decoder.decode());
      const next = body["@odata.nextLink"];
      yield body;
      pending = lookAhead ?? (next && request(next));
    }
  }
  return mirrorOf(await openRaw(name), root + path, pages);
}
