// Tokens, shared by the mailboxes of an isolate: else each object would ask for its own.
import type { TokenFunction } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import type { Env } from "./env";

/** A token is not used in the last minutes of its life. */
const MARGIN = 300_000;

/**
 * By app and scope. Tokens alone, and no requests for them: in workerd an object that waits for
 * another's request waits for ever if that object is ended meanwhile.
 */
const kept = new Map<string, { accessToken: string; expiresOn: Date }>();

export function tokensOf(env: Env): TokenFunction {
  const { TENANT: tenant, CLIENT: clientId, CLIENT_SECRET: secret, AUTHORITY: authority } = env;
  const own = clientCredentials({ tenant, clientId, secret, ...(authority && { authority }) });
  /** The token that this object used last. */
  let used: string | undefined;
  const source: TokenFunction = async (request) => {
    const key = JSON.stringify([authority, tenant, clientId, request.scopes, request.claims]);
    const shared = kept.get(key);
    // If Graph has refused this object's, another may have got a newer one already.
    const refused = request.reason === "unauthorized" && shared?.accessToken === used;
    if (shared && !refused && shared.expiresOn.getTime() - MARGIN > Date.now()) {
      used = shared.accessToken;
      return shared;
    }
    const made = await own(request);
    if (typeof made === "object" && "accessToken" in made && made.expiresOn) {
      used = made.accessToken;
      kept.set(key, { accessToken: made.accessToken, expiresOn: made.expiresOn });
    }
    return made;
  };
  return Object.assign(source, { account: own.account });
}
