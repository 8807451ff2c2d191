// The reference: a loop with fetch and dexie's bulkPut.
import { openDexie } from "./dexie-storage.js";
import { mirrorOf, oneByOne } from "./loop.js";

export async function open({ name, root, path, token, prefer }) {
  const headers = { Authorization: `Bearer ${token}`, ...(prefer && { Prefer: prefer }) };
  const get = async (url) => {
    const response = await fetch(url, { headers });
    if (!response.ok) throw new Error(`${url} responds with ${response.status}`);
    return response.json();
  };
  return mirrorOf(await openDexie(name), root + path, (url) => oneByOne(get, url));
}
