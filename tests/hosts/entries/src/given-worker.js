import wasm from "deltalink/deltalink.wasm";
import { given } from "./given.js";

export default {
  async fetch(request) {
    const { endpoint, token } = Object.fromEntries(new URL(request.url).searchParams);
    return Response.json(await given(wasm, { endpoint, token }));
  },
};
