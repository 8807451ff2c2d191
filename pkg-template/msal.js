// @ts-check
import { DeltaError, badRequest, typeOf } from "./error.js";

/**
 * Tokens are not cached here: MSAL's own cache renews one before it expires.
 *
 * @type {typeof import("./msal.js").fromMsal}
 */
export function fromMsal(client, request) {
  if (!request?.account?.homeAccountId) {
    throw new DeltaError(
      "request.account of fromMsal() must be the account of a signed-in user; sign in first, then pass one of getAllAccounts()",
      { code: "account" },
    );
  }
  if (typeof client?.acquireTokenSilent !== "function")
    throw badRequest(
      `the client of fromMsal() must be an initialized PublicClientApplication, got ${typeOf(client)}`,
    );
  const { scopes } = request;
  if (!Array.isArray(scopes) || !scopes.length)
    throw badRequest(
      `request.scopes of fromMsal() must be a non-empty array such as ["Calendars.Read"], got ${Array.isArray(scopes) ? "an empty one" : typeOf(scopes)}`,
    );
  /** @param {import("./tokens.js").TokenRequest} request */
  const source = async ({ reason, claims }) => {
    const { accessToken, expiresOn } = await client.acquireTokenSilent({
      ...request,
      // Graph has refused the token in MSAL's cache.
      ...(reason === "unauthorized" && { forceRefresh: true }),
      ...(claims && { claims }),
    });
    return { accessToken, expiresOn };
  };
  source.account = request.account.homeAccountId;
  return source;
}
