// The script of a web page of the tests, which is not part of the dashboard: it fills the cache of
// MSAL like a sign-in.
import { loadExternalTokens, PublicClientApplication } from "@azure/msal-browser";

interface Seed {
  clientId: string;
  tenant: string;
  user: string;
  username: string;
  token: string;
  scopes: string[];
  expiresIn: number;
}

const encode = (value: object): string =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

async function seed({ clientId, tenant, user, username, token, scopes, expiresIn }: Seed): Promise<string> {
  const authority = `https://login.microsoftonline.com/${tenant}`;
  const config = {
    auth: { clientId, authority, clientCapabilities: ["CP1"] },
    cache: { cacheLocation: "localStorage" },
  };
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: clientId,
    iss: `${authority}/v2.0`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    name: username,
    oid: user,
    preferred_username: username,
    sub: user,
    tid: tenant,
    ver: "2.0",
  };
  const result = await loadExternalTokens(
    config,
    { scopes, authority },
    {
      access_token: token,
      token_type: "Bearer",
      scope: scopes.join(" "),
      expires_in: expiresIn,
      id_token: `${encode({ alg: "none", typ: "JWT" })}.${encode(claims)}.x`,
      client_info: encode({ uid: user, utid: tenant }),
    },
    {
      clientInfo: encode({ uid: user, utid: tenant }),
      expiresOn: now + expiresIn,
      extendedExpiresOn: now + expiresIn,
    },
  );
  const pca = new PublicClientApplication(config);
  await pca.initialize();
  pca.setActiveAccount(result.account);
  return result.account.homeAccountId;
}

(window as unknown as { seed: typeof seed }).seed = seed;
