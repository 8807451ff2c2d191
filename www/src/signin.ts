// Signs in to Microsoft 365 with MSAL. The user enters the client id and the tenant; both are
// stored.
import type { AccountInfo, PublicClientApplication as Application } from "@azure/msal-browser";
import { openDelta, type Cloud } from "deltalink";
import { fromMsal } from "deltalink/msal";
import { History } from "./rounds";
import type { Session } from "./session";
import { settings } from "./settings";

export interface SignInConfig {
  clientId: string;
  tenant: string;
  cloud: Cloud;
  /** For tests: another root of Graph, on the origin of the dashboard. */
  endpoint?: string;
}

export const clouds: Record<Cloud, { label: string; authority: string; graph: string }> = {
  global: {
    label: "Microsoft 365 (global, GCC)",
    authority: "https://login.microsoftonline.com",
    graph: "https://graph.microsoft.com",
  },
  usgov: {
    label: "US Government (GCC High)",
    authority: "https://login.microsoftonline.us",
    graph: "https://graph.microsoft.us",
  },
  "usgov-dod": {
    label: "US Government (DoD)",
    authority: "https://login.microsoftonline.us",
    graph: "https://dod-graph.microsoft.us",
  },
  china: {
    label: "China (21Vianet)",
    authority: "https://login.partner.microsoftonline.cn",
    graph: "https://microsoftgraph.chinacloudapi.cn",
  },
};

export const redirectUri = (): string => new URL("auth.html", document.baseURI).href;
const scopesOf = ({ cloud }: SignInConfig): string[] =>
  ["Calendars.Read", "OrgContact.Read.All"].map((scope) => `${clouds[cloud].graph}/${scope}`);

/** Returns the configuration in the URL of the web page, or else the stored one. */
export function storedConfig(parameters: URLSearchParams): SignInConfig | undefined {
  const clientId = parameters.get("clientId");
  const tenant = parameters.get("tenant");
  if (parameters.has("msal") && clientId && tenant) {
    const endpoint = parameters.get("endpoint");
    // Other origins are refused, because a link could otherwise send a real token to them.
    const isSameOrigin = endpoint && new URL(endpoint, location.href).origin === location.origin;
    return {
      clientId,
      tenant,
      cloud: "global",
      ...(isSameOrigin && { endpoint: new URL(endpoint, location.href).href }),
    };
  }
  try {
    const config = JSON.parse(settings.get("signin") ?? "null") as Partial<SignInConfig> | null;
    if (config?.clientId && config.tenant && config.cloud && config.cloud in clouds)
      return { clientId: config.clientId, tenant: config.tenant, cloud: config.cloud };
  } catch {
    // An unreadable setting is ignored.
  }
  return undefined;
}

const applications = new Map<string, Promise<Application>>();

/** Loads MSAL at its first use, because the demo does not need it. */
function application(config: SignInConfig): Promise<Application> {
  const key = `${config.cloud} ${config.tenant} ${config.clientId}`;
  let loading = applications.get(key);
  if (!loading) {
    loading = (async () => {
      const { PublicClientApplication } = await import("@azure/msal-browser");
      const pca = new PublicClientApplication({
        auth: {
          clientId: config.clientId,
          authority: `${clouds[config.cloud].authority}/${encodeURIComponent(config.tenant)}`,
          redirectUri: redirectUri(),
          postLogoutRedirectUri: redirectUri(),
          clientCapabilities: ["CP1"],
        },
        cache: { cacheLocation: "localStorage" },
      });
      await pca.initialize();
      return pca;
    })();
    applications.set(key, loading);
    loading.catch(() => applications.delete(key));
  }
  return loading;
}

/** The session of an account in the cache of MSAL; undefined if the user has to sign in. */
export async function silentSession(config: SignInConfig): Promise<Session | undefined> {
  const pca = await application(config);
  const account = pca.getActiveAccount() ?? pca.getAllAccounts()[0];
  return account && sessionOf(pca, account, config);
}

export async function popupSession(config: SignInConfig): Promise<Session> {
  const pca = await application(config);
  const { account } = await pca.loginPopup({ scopes: scopesOf(config), prompt: "select_account" });
  pca.setActiveAccount(account);
  return sessionOf(pca, account, config);
}

async function sessionOf(pca: Application, account: AccountInfo, config: SignInConfig): Promise<Session> {
  const scopes = scopesOf(config);
  const history = new History(account.homeAccountId);
  const client = await openDelta({
    log: history.log,
    token: fromMsal(pca, { account, scopes }),
    ...(config.endpoint ? { endpoint: config.endpoint } : { cloud: config.cloud }),
  });
  return {
    kind: "microsoft365",
    name: account.username || (account.name ?? "Signed in"),
    client,
    history,
    recordings: undefined,
    async signInAgain(claims) {
      await pca.acquireTokenPopup({ account, scopes, ...(claims && { claims }) });
    },
    close: () => client.close(),
    async leave() {
      // Opens the popup first, while the click still permits one. If it fails, the account is
      // deleted from this browser anyway.
      pca.logoutPopup({ account }).catch(() => undefined);
      await client.forget();
      history.clear();
      await pca.clearCache({ account });
    },
  };
}
