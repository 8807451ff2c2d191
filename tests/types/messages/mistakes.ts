// Mistakes of users. The comment before each says what the message of the compiler must contain.
import { openDelta } from "deltalink";

// Type 'string' is not assignable to type 'TokenFunction | TokenCredential'
await openDelta({ token: "eyJ0eXAiOiJKV1Qi" });
const client = await openDelta({ token: () => "eyJ0eXAiOiJKV1Qi", account: "a" });
// '{}' is not assignable to parameter of type '(OptionsWithStartAndEnd | OptionsWithWindow)
client.events({});
// Property 'end' is missing
client.events({ start: "2026-11-01" });
// 'select' does not exist in type
client.events({ start: "2026-11-01", end: "2026-12-01", select: ["id"] });
// 'displayname' does not exist on type
void (await client.orgContacts({ select: ["displayName"] }).all())[0]?.displayname;
// Property 'all' does not exist on type 'DeltaFeed<
void client.orgContacts({ mirror: false }).all();
