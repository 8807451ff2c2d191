// Makes variants of the packed wasm with less memory or less stack, so that outside data makes it
// trap.
import { readFile } from "node:fs/promises";

const MEMORY = 5;
const GLOBALS = 6;
const I32_CONST = 0x41;

export const packedWasm = () =>
  readFile(new URL("../node_modules/deltalink/deltalink.wasm", import.meta.url));

/** Decodes the number at an offset in a wasm. Returns the number and the offset after it. */
function leb(bytes, offset) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    value |= (bytes[offset] & 127) << shift;
    if (bytes[offset++] < 128) return [value, offset];
  }
}

function encoded(value) {
  const bytes = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/** Encodes a positive number as a signed one. */
function encodedSigned(value) {
  const bytes = [];
  for (; value > 63; value >>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value];
}

/** The wasm with one section replaced. */
function withSection(wasm, section, change) {
  for (let offset = 8; offset < wasm.length;) {
    const [size, from] = leb(wasm, offset + 1);
    if (wasm[offset] === section) {
      const content = change(wasm.subarray(from, from + size));
      return Buffer.concat([
        wasm.subarray(0, offset),
        Buffer.from([section, ...encoded(content.length)]),
        Buffer.from(content),
        wasm.subarray(from + size),
      ]);
    }
    offset = from + size;
  }
  throw new Error(`the wasm has no section ${section}`);
}

/** The wasm with a memory that can grow by at most `more` pages. */
export function confined(wasm, more) {
  return withSection(wasm, MEMORY, (content) => {
    const [pages] = leb(content, 2);
    return [1, 1, ...encoded(pages), ...encoded(pages + more)];
  });
}

/** The wasm with a stack of `bytes`: sets its stack pointer, which is its first global. */
export function withStack(wasm, bytes) {
  return withSection(wasm, GLOBALS, (content) => {
    const [, type] = leb(content, 0);
    const value = type + 3;
    if (content[type + 1] !== 1 || content[type + 2] !== I32_CONST) throw new Error("no stack pointer");
    const [, end] = leb(content, value);
    return [...content.subarray(0, value), ...encodedSigned(bytes), ...content.subarray(end)];
  });
}

/** The start of the stack, which grows down to 0. */
export function stackOf(wasm) {
  let found;
  withSection(wasm, GLOBALS, (content) => {
    const [, type] = leb(content, 0);
    [found] = leb(content, type + 3);
    return content;
  });
  return found;
}
