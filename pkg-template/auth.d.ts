import type { fetch } from "./host.js";
import type { TokenFunction } from "deltalink";

export interface ClientCredentials {
  /** The id of the tenant, or a domain of it. */
  tenant: string;
  /** The id of the app registration. */
  clientId: string;
  /** The app's secret. This, or an `assertion`. */
  secret?: string;
  /**
   * A signed JWT instead of a secret: a certificate's, or a federated identity's. A function is
   * asked anew for each token. Its error is handed on.
   */
  assertion?: string | (() => string | Promise<string>);
  /**
   * Where tokens come from, without the tenant. Default: the one that belongs to the client's
   * cloud.
   */
  authority?: string;
  /**
   * Milliseconds after which a request without an answer is given up, for all who wait for it.
   * Default 30000.
   */
  timeout?: number;
  /** Used instead of the host's `fetch`. */
  fetch?: typeof fetch;
}

/**
 * A token source for app-only tokens, by OAuth's client credentials grant. For Workers and servers:
 * a secret has no place in a browser.
 *
 * A token is kept until five minutes before it ends, and many callers wait for one request. It
 * carries an account, so `openDelta` needs none. In a Worker make one for each Durable Object: a
 * request that one object waits for must not be another's. Throws a `DeltaError`: `bad-request` at
 * once for options that make no sense; `network`, or `unauthorized` with the words of Entra
 * (`AADSTS…`), when it is asked for a token.
 *
 * @example const token = clientCredentials({ tenant: env.TENANT, clientId: env.CLIENT, secret:
 * env.SECRET }); const client = await openDelta({ token, store });
 */
export function clientCredentials(options: ClientCredentials): TokenFunction & { account: string };
