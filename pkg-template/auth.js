// App-only tokens by OAuth's client credentials grant, for Workers and servers. A secret has no
// place in a browser: no entry for one imports this file.
import { DeltaError, bad } from "./error.js";

/**
 * Where each cloud's tokens come from, by the origin of its Graph (Graph's page "National cloud
 * deployments").
 */
const AUTHORITIES = {
  "https://graph.microsoft.com": "https://login.microsoftonline.com",
  "https://graph.microsoft.us": "https://login.microsoftonline.us",
  "https://dod-graph.microsoft.us": "https://login.microsoftonline.us",
  "https://microsoftgraph.chinacloudapi.cn": "https://login.chinacloudapi.cn",
};
/** A token is not used in the last minutes of its life. */
const MARGIN = 300_000;

export function clientCredentials(options) {
  const {
    tenant,
    clientId,
    secret,
    assertion,
    authority,
    timeout = 30_000,
    fetch: ask = globalThis.fetch,
  } = options ?? {};
  for (const [name, value] of Object.entries({ tenant, clientId })) {
    if (typeof value !== "string" || !value) throw bad(`clientCredentials needs options.${name}, a text`);
  }
  if ((secret === undefined) === (assertion === undefined))
    throw bad("clientCredentials needs either options.secret or options.assertion");
  /** By scope and claims: the token, or the request for it that all callers wait for. */
  const kept = new Map();

  async function request(scope, claims) {
    const root = authority ?? AUTHORITIES[scope.replace(/\/\.default$/, "")];
    if (!root) throw bad(`no authority is known for ${scope}; give it in options.authority`);
    const body = new URLSearchParams({ grant_type: "client_credentials", client_id: clientId, scope });
    if (claims) body.set("claims", claims);
    const cut = new AbortController();
    let timer;
    let waitingFor = "options.assertion";
    // All callers wait for one request: one that hangs must not be waited for by all later ones.
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new DeltaError(
            `${waitingFor} gave nothing for ${timeout} ms; the next round continues at the same page`,
            { code: "network", retryable: true },
          ),
        );
        cut.abort();
      }, timeout);
    });
    let response;
    let answer;
    try {
      if (secret !== undefined) body.set("client_secret", secret);
      else {
        body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        body.set(
          "client_assertion",
          typeof assertion === "function" ? await Promise.race([late, assertion()]) : assertion,
        );
      }
      waitingFor = root;
      response = await Promise.race([
        late,
        ask(`${root}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`, {
          method: "POST",
          body,
          redirect: "manual",
          signal: cut.signal,
        }),
      ]);
      answer = await Promise.race([late, response.json().catch(() => undefined)]);
    } catch (cause) {
      if (waitingFor !== root || cause instanceof DeltaError) throw cause;
      throw new DeltaError(`no response from ${root}; the next round continues at the same page`, {
        code: "network",
        retryable: true,
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
    const { access_token: accessToken, expires_in: seconds } = answer ?? {};
    if (response.ok && typeof accessToken === "string")
      return { accessToken, expiresOn: new Date(Date.now() + Number(seconds ?? 0) * 1000) };
    const { status } = response;
    const retryable = status === 429 || status >= 500;
    // The first line says what is wrong; the rest is ids and times.
    const said = String(answer?.error_description ?? answer?.error ?? "")
      .split(/\r?\n/)[0]
      .slice(0, 300);
    const wayOut = retryable
      ? "try again later"
      : "check the tenant, the client id, its secret or assertion, and its consent";
    const after = response.headers.get("retry-after");
    const at = Number(after) > 0 ? Date.now() + Number(after) * 1000 : Date.parse(after);
    throw new DeltaError(`${root} gave no token (${status}${said && `: ${said}`}); ${wayOut}`, {
      code: "unauthorized",
      status,
      retryable,
      ...(retryable && at > Date.now() && { retryAt: new Date(at) }),
    });
  }

  const source = async ({ reason, claims, scopes: [scope], signal }) => {
    const key = `${scope} ${claims ?? ""}`;
    let token = kept.get(key);
    const refused = reason === "unauthorized" && !token?.pending;
    if (!token || refused || (!token.pending && token.expiresOn - MARGIN <= Date.now())) {
      token = { pending: request(scope, claims) };
      kept.set(key, token);
      token.pending.then(
        (got) => kept.set(key, got),
        () => kept.delete(key),
      );
    }
    if (!token.pending) return token;
    // Each caller waits by itself: one who leaves takes nothing away from the others.
    return new Promise((resolve, reject) => {
      const left = () => reject(signal.reason);
      if (signal?.aborted) return left();
      signal?.addEventListener("abort", left, { once: true });
      token.pending.then(resolve, reject).finally(() => signal?.removeEventListener("abort", left));
    });
  };
  source.account = `app ${clientId} of ${tenant}`;
  return source;
}
