import { init } from "deltalink/workerd";
import other from "./other.wasm";

export default {
  async fetch() {
    const error = await init(other).catch(({ code, message }) => `${code} ${message}`);
    return Response.json({ error });
  },
};
