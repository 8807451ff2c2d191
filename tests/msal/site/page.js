import { openDelta } from "deltalink";
import { fromMsal } from "deltalink/msal";
import { InteractionRequiredAuthError, PublicClientApplication, loadExternalTokens } from "./msal-browser.js";

/** Signs a user in: puts these tokens into the cache of MSAL, as its popup does. */
window.signIn = async ({ config, scopes, tokens }) => {
  window.account = (
    await loadExternalTokens(config, { scopes, authority: config.auth.authority }, tokens, {})
  ).account;
};

window.start = async ({ config, scopes, root }) => {
  const pca = new PublicClientApplication(config);
  await pca.initialize();
  const [account] = pca.getAllAccounts();
  window.client = await openDelta({
    endpoint: root,
    token: fromMsal(pca, { account, scopes }),
    retry: { base: 5, cap: 20 },
  });
  window.query = window.client.orgContacts();
  return account.homeAccountId;
};

window.sync = () =>
  window.query.sync().then(
    ({ outcome, resumed }) => ({ outcome, resumed }),
    ({ code, claims, cause }) => ({
      code,
      claims,
      real: cause instanceof InteractionRequiredAuthError,
      errorCode: cause?.errorCode,
    }),
  );
