import type { AbortSignal } from "./host.js";

/** Returns access tokens. */
export type TokenSource = TokenFunction | TokenCredential;

/**
 * A function that returns an access token. It is called before requests, and again after Graph has
 * refused a token.
 *
 * If the user has to sign in, it throws MSAL's `InteractionRequiredAuthError` or a `DeltaError`
 * with the code `interaction`; the round ends with `interaction`. A failure of the network is
 * retried: the `TypeError` of `fetch`, MSAL's codes for it, or a `DeltaError` with the code
 * `network`. Any other error ends the round with `unauthorized` and becomes its `cause`. The
 * `DeltaError` is `retryable` unless the class of the cause, or its MSAL or OAuth code, shows a
 * mistake in the app (a `ReferenceError`, `invalid_client`,
 * `uninitialized_public_client_application`), or the cause is a `DeltaError` of deltalink/auth that
 * is not `retryable`.
 */
export type TokenFunction = ((request: TokenRequest) => TokenResult | Promise<TokenResult>) & {
  account?: string;
};

/** An object with the shape of `TokenCredential` of `@azure/core-auth`. */
export interface TokenCredential {
  getToken(
    scopes: string | string[],
    options?: { claims?: string; enableCae?: boolean; abortSignal?: AbortSignal },
  ): Promise<{ token: string; expiresOnTimestamp?: number } | null>;
  account?: string;
}

/** The argument of a token function. */
export interface TokenRequest {
  /**
   * `start` and `expired`: return any valid token, such as a cached one. `unauthorized`: Graph has
   * refused the last token; return a new one. `claims`: return a new token that satisfies `claims`.
   * Between two pages, at most two calls have the reason `unauthorized` or `claims`, and no two of
   * them ask for the same claims. Minor versions may add reasons.
   */
  reason: "start" | "expired" | "unauthorized" | "claims";
  /**
   * With the reason `claims`: the claims of Graph's challenge, decoded from its `WWW-Authenticate`
   * header. Pass them to MSAL unchanged. Graph sends them only to apps that declare the capability
   * `CP1` (Graph's page "How to use Continuous Access Evaluation enabled APIs in your
   * applications").
   */
  claims?: string;
  /** The default scope of the endpoint, for example `https://graph.microsoft.com/.default`. */
  scopes: string[];
  /** Fires when the round ends. */
  signal: AbortSignal;
}

/**
 * An access token. Without an expiry, the source is called before each page, except that a token
 * for claims is used until Graph refuses it. With an expiry, the token is used until five minutes
 * before it, or for four fifths of its lifetime if that is longer.
 */
export type TokenResult =
  string | { accessToken: string; expiresOn?: Date | null } | { token: string; expiresOnTimestamp?: number };
