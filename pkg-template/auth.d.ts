import type { fetch } from "./host.js";
import type { TokenFunction } from "deltalink";

/** The options of `clientCredentials()`. */
export interface ClientCredentials {
  /** The id of the tenant, or one of its domains. */
  tenant: string;
  /** The id of the app registration. */
  clientId: string;
  /** The secret of the app. Either this or `assertion` is required. */
  secret?: string;
  /**
   * Used instead of a secret: a JWT signed with a certificate, or one of a federated identity. A
   * function is called before each request for a token; its error is rethrown unchanged.
   */
  assertion?: string | (() => string | Promise<string>);
  /**
   * The origin of the authority, such as `https://login.microsoftonline.com`, without the tenant;
   * http is allowed for loopback only. Default: the authority of the client's cloud (Graph's page
   * "National cloud deployments").
   */
  authority?: string;
  /**
   * The time after which a request for a token fails with `network`, in whole milliseconds. Default
   * 30000.
   */
  timeout?: number;
  /**
   * Holds the received tokens: at most 1000, and at most 20 of them for claims. Default: a map of
   * this source. Several sources may share one, such as those of the Durable Objects of an isolate:
   * `const cache = new Map()` outside of the class. Only tokens are shared, never a pending
   * request. A source with a wrong secret gets the cached token of one with the right secret.
   */
  cache?: Map<string, { accessToken: string; expiresOn: Date }>;
  /** Called instead of the host's `fetch`. */
  fetch?: typeof fetch;
}

/**
 * Returns a token source for app-only tokens, by OAuth's client credentials grant. For Workers and
 * servers: a browser would expose the secret.
 *
 * A token is cached until five minutes before its expiry, and concurrent calls share one request.
 * The source has an `account`, so that `openDelta()` does not need one. In a Worker, make one
 * source for each Durable Object, because an object cannot wait for a request of another object,
 * and give them one `cache`.
 *
 * Throws a `DeltaError` with the code `bad-request` for wrong options. The source rejects with
 * `network` if the authority does not respond, and with `unauthorized` and the message of Entra
 * (`AADSTS…`) if it refuses a token.
 *
 * @example
 *   const { TENANT: tenant, CLIENT: clientId, SECRET: secret } = env;
 *   const token = clientCredentials({ tenant, clientId, secret });
 *   const client = await openDelta({ token, store });
 */
export function clientCredentials(options: ClientCredentials): TokenFunction & { account: string };
