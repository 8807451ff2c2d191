// The copy of the fake Graph's wasm in JavaScript.
export default function bytes(): Promise<ArrayBuffer>;
