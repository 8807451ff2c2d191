import { DeltaError } from "./error.js";

/** See msal.d.ts. MSAL's own cache is asked each time: it knows when a token is about to end. */
export function fromMsal(client, request) {
  if (!request?.account?.homeAccountId) {
    throw new DeltaError(
      "fromMsal needs the account of a signed-in user: sign in first, then give one of getAllAccounts()",
      { code: "account" },
    );
  }
  const source = async ({ reason, claims }) => {
    const { accessToken, expiresOn } = await client.acquireTokenSilent({
      ...request,
      // The cached token is the one that was refused.
      ...(reason === "unauthorized" && { forceRefresh: true }),
      ...(claims && { claims }),
    });
    return { accessToken, expiresOn };
  };
  source.account = request.account.homeAccountId;
  return source;
}
