import type { TokenFunction } from "deltalink";

/** What is used of an `IPublicClientApplication` of `@azure/msal-browser`. */
export interface MsalClient {
  acquireTokenSilent(
    request: MsalRequest & { forceRefresh?: boolean; claims?: string },
  ): Promise<{ accessToken: string; expiresOn: Date | null }>;
}

export interface MsalAccount {
  homeAccountId: string;
  environment: string;
  tenantId: string;
  username: string;
  localAccountId: string;
}

/** Part of MSAL's `SilentRequest`. */
export interface MsalRequest {
  account: MsalAccount;
  scopes: string[];
}

/**
 * A token source that asks MSAL silently. It carries the account, so `openDelta` needs none.
 *
 * Throws a `DeltaError` with the code `account` if nobody is signed in yet.
 *
 * An error of MSAL's that needs the user ends the round with the code `interaction` and the status
 * `needs-auth`; call `acquireTokenPopup` or `acquireTokenRedirect` from a click, then
 * `client.resume()`.
 *
 * @example const client = await openDelta({ token: fromMsal(pca, { account, scopes:
 * ["Calendars.Read"] }) });
 */
export function fromMsal(client: MsalClient, request: MsalRequest): TokenFunction & { account: string };
