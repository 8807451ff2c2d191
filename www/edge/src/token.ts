// Shares tokens among the mailboxes of an isolate, so that objects need not request their own.
import type { TokenFunction } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import type { Env } from "./env";

/** The maximum number of cached tokens. Each claims challenge of Graph leads to another one. */
const MAX_CACHED = 20;
/** The time before its expiry from which a token is no longer used. */
const MARGIN = 300_000;

/**
 * Tokens by app, scope and claims, in the order of their last use. Pending requests are not shared:
 * in workerd an object that waits for a request of another object hangs if the other one ends.
 */
const cached = new Map<string, CachedToken>();

interface CachedToken {
  accessToken: string;
  expiresOn: Date;
}

export function tokenSource(env: Env): TokenFunction {
  const { TENANT: tenant, CLIENT: clientId, CLIENT_SECRET: secret, AUTHORITY: authority } = env;
  // A new source for each request, because the tokens are cached here.
  const newSource = () => clientCredentials({ tenant, clientId, secret, ...(authority && { authority }) });
  /** The token that this object used last. */
  let used: string | undefined;
  const source: TokenFunction = async (request) => {
    const key = JSON.stringify([authority, tenant, clientId, request.scopes, request.claims]);
    const shared = cached.get(key);
    // If Graph refused the token of this object, another object may already have a newer one.
    const refused = request.reason === "unauthorized" && shared?.accessToken === used;
    if (shared && !refused && shared.expiresOn.getTime() - MARGIN > Date.now()) {
      used = shared.accessToken;
      cacheToken(key, shared);
      return shared;
    }
    const made = await newSource()(request);
    if (typeof made === "object" && "accessToken" in made && made.expiresOn) {
      used = made.accessToken;
      cacheToken(key, { accessToken: made.accessToken, expiresOn: made.expiresOn });
    }
    return made;
  };
  return Object.assign(source, { account: newSource().account });
}

/** Caches a token as the last used one. If there are too many, removes the least recently used. */
function cacheToken(key: string, token: CachedToken): void {
  cached.delete(key);
  cached.set(key, token);
  const [oldest] = cached.keys();
  if (cached.size > MAX_CACHED && oldest !== undefined) cached.delete(oldest);
}
