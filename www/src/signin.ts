// Signs in to Microsoft 365 with MSAL. The user enters client id and tenant, which are stored.
import type { AccountInfo, PublicClientApplication as Application } from "@azure/msal-browser";
import { openDelta, type Cloud } from "deltalink";
import { fromMsal } from "deltalink/msal";
import { button, h, icon, messageOf, settings } from "./dom";
import type { Session } from "./session";

export interface SignInConfig {
  clientId: string;
  tenant: string;
  cloud: Cloud;
  /** For tests: another root of Graph, on the origin of the page. */
  endpoint?: string;
}

const clouds: Record<Cloud, { label: string; authority: string; graph: string }> = {
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

const redirectUri = (): string => new URL("auth.html", document.baseURI).href;
const scopesOf = ({ cloud }: SignInConfig): string[] =>
  ["Calendars.Read", "OrgContact.Read.All"].map((scope) => `${clouds[cloud].graph}/${scope}`);

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

async function popupSession(config: SignInConfig): Promise<Session> {
  const pca = await application(config);
  const { account } = await pca.loginPopup({ scopes: scopesOf(config), prompt: "select_account" });
  pca.setActiveAccount(account);
  return sessionOf(pca, account, config);
}

async function sessionOf(pca: Application, account: AccountInfo, config: SignInConfig): Promise<Session> {
  const scopes = scopesOf(config);
  const client = await openDelta({
    token: fromMsal(pca, { account, scopes }),
    ...(config.endpoint ? { endpoint: config.endpoint } : { cloud: config.cloud }),
  });
  return {
    kind: "microsoft365",
    name: account.username || (account.name ?? "Signed in"),
    client,
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
      await pca.clearCache({ account });
    },
  };
}

/** Makes the sign-in form. Calls `onSession` with the session after the sign-in. */
export function signInForm(
  config: SignInConfig | undefined,
  onSession: (session: Session) => void,
  demo: (() => void) | undefined,
): HTMLElement {
  const guid = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
  const clientId = h("input", {
    id: "client-id",
    name: "clientId",
    required: true,
    pattern: guid,
    title: "The application (client) ID: 8-4-4-4-12 letters a to f and digits",
    placeholder: "00000000-0000-0000-0000-000000000000",
    autocomplete: "off",
    spellcheck: "false",
  });
  const tenant = h("input", {
    id: "tenant",
    name: "tenant",
    required: true,
    pattern: "[A-Za-z0-9.\\-]+",
    title: "The directory (tenant) ID, or a domain such as contoso.example",
    placeholder: "contoso.onmicrosoft.com",
    autocomplete: "off",
    spellcheck: "false",
  });
  const cloud = h(
    "select",
    { id: "cloud", name: "cloud" },
    ...Object.entries(clouds).map(([value, { label }]) => h("option", { value }, label)),
  );
  clientId.value = config?.clientId ?? "";
  tenant.value = config?.tenant ?? "";
  cloud.value = config?.cloud ?? "global";
  const errorText = h("div", { class: "form-error", role: "alert" });
  const submit = h(
    "button",
    { type: "submit", class: "button primary large" },
    icon("person"),
    "Sign in with Microsoft",
  );
  const field = (input: HTMLElement, label: string, hint: string): HTMLElement => {
    const id = `${input.id}-hint`;
    input.setAttribute("aria-describedby", id);
    return h(
      "div",
      { class: "field" },
      h("label", { for: input.id }, label),
      input,
      h("p", { id, class: "hint" }, hint),
    );
  };
  const uri = redirectUri();
  const form = h(
    "form",
    { class: "card signin" },
    h("h1", {}, "Sign in"),
    h(
      "p",
      { class: "lead" },
      "Your calendar and your organization's contacts, stored in this browser and kept up to date from Microsoft Graph. They are sent nowhere else.",
    ),
    field(clientId, "Client ID", "The ID of a single-page application registered in Microsoft Entra."),
    field(tenant, "Tenant", "Its directory ID or one of its domains."),
    field(cloud, "Cloud", "A token is valid in one cloud only."),
    errorText,
    submit,
    h(
      "details",
      { class: "registration" },
      h("summary", {}, "Requirements of the registration"),
      h(
        "ul",
        {},
        h("li", {}, "The platform Single-page application with the redirect URI ", h("code", {}, uri)),
        h(
          "li",
          {},
          "The delegated permissions ",
          h("code", {}, "Calendars.Read"),
          " and ",
          h("code", {}, "OrgContact.Read.All"),
        ),
      ),
    ),
    demo && h("p", { class: "or" }, "No tenant? ", button("Look at the demo", demo, { class: "link" })),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    errorText.textContent = "";
    const entered: SignInConfig = {
      clientId: clientId.value.trim(),
      tenant: tenant.value.trim(),
      cloud: cloud.value as Cloud,
    };
    settings.set("signin", JSON.stringify(entered));
    submit.disabled = true;
    popupSession({ ...entered, ...(config?.endpoint && { endpoint: config.endpoint }) })
      .then(onSession, (error: unknown) => {
        errorText.textContent = `Not signed in. ${messageOf(error)}`;
      })
      .finally(() => {
        submit.disabled = false;
      });
  });
  return form;
}
