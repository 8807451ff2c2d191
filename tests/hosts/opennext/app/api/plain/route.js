import { init } from "deltalink";

export async function GET() {
  return Response.json({ error: await init().catch(({ code, message }) => `${code} ${message}`) });
}
