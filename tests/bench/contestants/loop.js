// The loop that users write around a client and a database. Each page and its link are one
// transaction.

/** The rows to put and the ids to remove for a page. */
export function split(items) {
  const put = [];
  const remove = [];
  for (const item of items) {
    if (item["@removed"]) remove.push(item.id);
    else put.push(item);
  }
  return { put, remove };
}

/**
 * Makes a mirror from a storage and a source of pages. `storage` has link(), count(), ids(), all(),
 * commit() and forgetLink(); `pages(url)` is an async iterable of bodies, from this URL to the one
 * with the deltaLink.
 */
export function mirrorOf(storage, first, pages) {
  return {
    async round() {
      const stored = await storage.link();
      const isFull = stored === undefined;
      const sweeps = isFull && (await storage.count()) > 0;
      const listed = new Set();
      let link;
      for await (const body of pages(stored ?? first)) {
        const { put, remove } = split(body.value);
        if (sweeps) for (const { id } of put) listed.add(id);
        link = body["@odata.deltaLink"] ?? body["@odata.nextLink"];
        await storage.commit({ put, remove, link });
      }
      if (!sweeps) return;
      // After a later full round, removes the rows that it did not list.
      const gone = (await storage.ids()).filter((id) => !listed.has(id));
      if (gone.length) await storage.commit({ put: [], remove: gone, link });
    },
    all: () => storage.all(),
    reset: () => storage.forgetLink(),
  };
}

/** Iterates over pages. `get(url)` fetches and parses one. */
export async function* oneByOne(get, url) {
  for (let next = url; next;) {
    const body = await get(next);
    yield body;
    next = body["@odata.nextLink"];
  }
}
