// The JavaScript that wasm-bindgen writes for the fake Graph.
export default function load(input: { module_or_path: unknown }): Promise<unknown>;

export class Fake {
  constructor(seed: number, endpoint: string);
  control(method: string, path: string, body: string, now: number): string;
  handle(method: string, path: string, headers: string, body: string, now: number): string;
}
