// Shares tokens among the mailboxes of an isolate, so that not each object requests its own.
import type { TokenFunction } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import type { Env } from "./env";

/** The most tokens that are kept. Each claims challenge of Graph leads to another one. */
const MOST = 20;
/** A token is not used in the last five minutes before it expires. */
const MARGIN = 300_000;

/**
 * Tokens by app, scope and claims, in the order of their last use. Does not share pending requests:
 * in workerd an object that waits for the request of another object hangs if that one ends.
 */
const kept = new Map<string, Kept>();

interface Kept {
  accessToken: string;
  expiresOn: Date;
}

export function tokensOf(env: Env): TokenFunction {
  const { TENANT: tenant, CLIENT: clientId, CLIENT_SECRET: secret, AUTHORITY: authority } = env;
  // Made for each request, because it would keep a token for each challenge, without a limit.
  const own = () => clientCredentials({ tenant, clientId, secret, ...(authority && { authority }) });
  /** The token that this object used last. */
  let used: string | undefined;
  const source: TokenFunction = async (request) => {
    const key = JSON.stringify([authority, tenant, clientId, request.scopes, request.claims]);
    const shared = kept.get(key);
    // If Graph refused the token of this object, another object may already have a newer one.
    const refused = request.reason === "unauthorized" && shared?.accessToken === used;
    if (shared && !refused && shared.expiresOn.getTime() - MARGIN > Date.now()) {
      used = shared.accessToken;
      keep(key, shared);
      return shared;
    }
    const made = await own()(request);
    if (typeof made === "object" && "accessToken" in made && made.expiresOn) {
      used = made.accessToken;
      keep(key, { accessToken: made.accessToken, expiresOn: made.expiresOn });
    }
    return made;
  };
  return Object.assign(source, { account: own().account });
}

/** Keeps a token as the one that was used last. Forgets the one that was not used for longest. */
function keep(key: string, token: Kept): void {
  kept.delete(key);
  kept.set(key, token);
  const [oldest] = kept.keys();
  if (kept.size > MOST && oldest !== undefined) kept.delete(oldest);
}
