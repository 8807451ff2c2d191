import type { TokenFunction } from "deltalink";

/** The part of `IPublicClientApplication` of `@azure/msal-browser` that `fromMsal()` uses. */
export interface MsalClient {
  acquireTokenSilent(
    request: MsalRequest & { forceRefresh?: boolean; claims?: string },
  ): Promise<{ accessToken: string; expiresOn: Date | null }>;
}

/** MSAL's `AccountInfo`. */
export interface MsalAccount {
  homeAccountId: string;
  environment: string;
  tenantId: string;
  username: string;
  localAccountId: string;
}

/** The part of MSAL's `SilentRequest` that `fromMsal()` requires. */
export interface MsalRequest {
  account: MsalAccount;
  scopes: string[];
}

/**
 * Returns a token source that calls MSAL's `acquireTokenSilent()`. It has an `account`, so that
 * `openDelta()` does not need one.
 *
 * Throws a `DeltaError` with the code `account` if no user is signed in, and with `bad-request` if
 * `client` is not an MSAL client, or `scopes` is empty.
 *
 * If the user has to sign in, the round ends with the code `interaction`, and the phase of the
 * status is `needs-auth`. Then call `acquireTokenPopup()` or `acquireTokenRedirect()` from a click,
 * and `client.resume()`.
 *
 * @example
 *   const token = fromMsal(pca, { account, scopes: ["Calendars.Read"] });
 *   const client = await openDelta({ token });
 */
export function fromMsal(client: MsalClient, request: MsalRequest): TokenFunction & { account: string };
