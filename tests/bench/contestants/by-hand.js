// What a careful developer can write by hand: the next request starts as soon as the nextLink has
// arrived, which stands in the head of the body; and IndexedDB without a library, one transaction a
// page.
import { mirrorOf } from "./loop.js";
import { openRaw } from "./raw-storage.js";

/** The nextLink is looked for in this many characters, and before the items. */
const HEAD = 8192;

function nextLinkIn(head) {
  const items = head.indexOf('"value":');
  const link = /"@odata\.nextLink":("(?:[^"\\]|\\.)*")/.exec(items < 0 ? head : head.slice(0, items));
  return link && JSON.parse(link[1]);
}

export async function open({ name, root, path, token, prefer }) {
  const headers = { Authorization: `Bearer ${token}`, ...(prefer && { Prefer: prefer }) };
  const ask = (url) => {
    const sent = fetch(url, { headers });
    // A page that fails while another one is stored is reported when its turn comes.
    sent.catch(() => {});
    return sent;
  };
  async function* pages(url) {
    for (let sent = ask(url); sent;) {
      const response = await sent;
      if (!response.ok) throw new Error(`${response.url} answers ${response.status}`);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let ahead;
      let text = "";
      for (let part; !(part = await reader.read()).done;) {
        const headBefore = text.length < HEAD;
        text += decoder.decode(part.value, { stream: true });
        const link = !ahead && headBefore && nextLinkIn(text.slice(0, HEAD));
        if (link) ahead = ask(link);
      }
      const body = JSON.parse(text + decoder.decode());
      const next = body["@odata.nextLink"];
      yield body;
      sent = ahead ?? (next && ask(next));
    }
  }
  return mirrorOf(await openRaw(name), root + path, pages);
}
