// The demo: a session on a fake Graph, which is part of the dashboard's server. In the static build
// the fake Graph runs in the web page; the ordinary build contains none of its code.
import { openDelta, type TokenFunction } from "deltalink";
import { HttpWorld } from "./http-world";
import { History } from "./rounds";
import type { Session, TokenKind } from "./session";
import { settings } from "./settings";
import type { User, World } from "./world";

/** The bundler replaces the mode by a constant, and drops the unreachable code. */
const IS_STATIC = import.meta.env.MODE === "static";

export interface DemoSession extends Session {
  kind: "demo";
  world: World;
  /** Simulates an organization that requires a sign-in: the next refused token needs the user. */
  requireSignIn(): void;
}

/** Whether there is a fake Graph. */
export const isDemoAvailable = (): Promise<boolean> =>
  IS_STATIC ? Promise.resolve(true) : HttpWorld.isAvailable();

/** Opens the world with this id. The world of the static build has only one user. */
async function openWorld(id: string, user: string | undefined): Promise<World> {
  if (import.meta.env.MODE === "static") {
    const { LocalWorld } = await import("./local-world");
    return new LocalWorld(id);
  }
  return new HttpWorld(id, user);
}

/**
 * Opens the session of the demo. Sends a request only on the first visit: on later ones the
 * dashboard shows the mirror before any request.
 */
export async function openDemo(worldId: string, account: string | undefined): Promise<DemoSession> {
  const user =
    account === undefined ? undefined : account.includes("@") ? account : `${account}@contoso.example`;
  const world = await openWorld(worldId, user);
  const me = user === undefined || IS_STATIC ? await defaultUser(world) : await world.user();
  let requiresSignIn = false;
  const source =
    (kind: TokenKind): TokenFunction =>
    ({ reason }) => {
      if (requiresSignIn && kind === "delegated" && (reason === "unauthorized" || reason === "claims"))
        throw new InteractionRequired();
      return world.token(kind, reason === "unauthorized" || reason === "claims");
    };
  const history = new History(`${world.id} ${me.address}`);
  const shared = { endpoint: world.root, log: history.log, ...(world.fetch && { fetch: world.fetch }) };
  const [client, app] = await Promise.all([
    openDelta({ ...shared, token: source("delegated"), account: user ?? "me" }),
    openDelta({ ...shared, token: source("app"), account: `app for ${user ?? "me"}` }),
  ]);
  return {
    kind: "demo",
    name: me.address,
    client,
    history,
    world,
    recordings: {
      app: app.callRecordings({ organizer: me.id }),
      delegated: client.callRecordings({ organizer: me.id }),
    },
    requireSignIn() {
      requiresSignIn = true;
    },
    async signInAgain() {
      requiresSignIn = false;
      await world.token("delegated", true);
    },
    async close() {
      await Promise.all([client.close(), app.close()]);
    },
    async leave() {
      await Promise.all([client.forget(), app.forget()]);
      history.clear();
      settings.set(`user.${world.id}`, undefined);
    },
  };
}

/** Has the name of the error that MSAL throws if the user has to sign in. */
class InteractionRequired extends Error {
  override readonly name = "InteractionRequiredAuthError";
  readonly errorCode = "interaction_required";
}

/** The user of the world. Requested once and stored, because a later visit may be offline. */
async function defaultUser(world: World): Promise<User> {
  try {
    const stored = JSON.parse(settings.get(`user.${world.id}`) ?? "null") as User | null;
    if (stored?.id && stored.address) return stored;
  } catch {
    // An unreadable setting is ignored.
  }
  const user = await world.user();
  settings.set(`user.${world.id}`, JSON.stringify(user));
  return user;
}
