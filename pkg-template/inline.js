// @ts-check
// The wasm in JavaScript, used where its file cannot be reached. The build inserts it here as
// base64 of the gzipped wasm, which is smaller than base64 of the wasm itself.
const GZIPPED = "";

export default async () => {
  const bytes = Uint8Array.from(atob(GZIPPED), (char) => char.charCodeAt(0));
  // Jest with jsdom runs on Node and hides this class.
  const { getBuiltinModule } = globalThis.process ?? {};
  if (typeof DecompressionStream === "undefined" && getBuiltinModule)
    return getBuiltinModule("node:zlib").gunzipSync(bytes);
  return new Response(new Response(bytes).body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};
