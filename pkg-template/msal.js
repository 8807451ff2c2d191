/** See msal.d.ts. MSAL's own cache is asked each time: it knows when a token is about to end. */
export function fromMsal(client, request) {
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
