// The app: the header, and the dashboard of the open session or the sign-in form.
import { DeltaProvider, useDeltaClient } from "deltalink/react";
import { CircleUserRound, FlaskConical, RefreshCw, Search, Trash2, UserRound, X } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { daysBetween, type DayWindow, windowAround } from "./calendar";
import type { Collection } from "./collections";
import { Dashboard } from "./dashboard";
import { today } from "./dates";
import { isDemoAvailable, openDemo } from "./demo";
import type { Session } from "./session";
import { settings, useSetting, useTabSetting } from "./settings";
import { keepShell } from "./shell";
import { silentSession, storedConfig } from "./signin";
import { SignInForm } from "./signin-form";
import { enumerated, messageOf, plural } from "./text";
import { Announcer, Button, Choices, Dialog, Switch, useAnnounce, useDetails } from "./ui";
import { useOnline } from "./view";

const parameters = new URLSearchParams(location.search);

type State = { session?: Session; isStarting?: boolean; problem?: string | undefined };

async function openSession(kind: Session["kind"] | undefined): Promise<Session | undefined> {
  if (kind === "microsoft365") {
    const config = storedConfig(parameters);
    return config && (await silentSession(config));
  }
  if (kind === "demo" || (await isDemoAvailable()))
    return openDemo(parameters.get("world") ?? "demo", parameters.get("account") ?? undefined);
  return undefined;
}

/** The kind of session to open: the one that the address names, or that of the last visit. */
function initialKind(): Session["kind"] | undefined {
  if (parameters.has("msal")) return "microsoft365";
  if (parameters.has("world")) return "demo";
  return (["demo", "microsoft365"] as const).find((kind) => kind === settings.get("source"));
}

/** The days of the last visit, if at least a week of them is still ahead. */
function storedDays(): DayWindow {
  try {
    const { from, to } = JSON.parse(settings.get("window") ?? "{}") as Partial<DayWindow>;
    const date = /^\d{4}-\d\d-\d\d$/;
    const now = today();
    if (from && to && date.test(from) && date.test(to) && daysBetween(from, to) < 400)
      if (from <= now && daysBetween(now, to) >= 7) return { from, to };
  } catch {
    // An unreadable setting is ignored.
  }
  const initial = windowAround(today());
  settings.set("window", JSON.stringify(initial));
  return initial;
}

export function App() {
  return (
    <Announcer>
      <Main />
    </Announcer>
  );
}

function Main() {
  const announce = useAnnounce();
  const [{ session, isStarting, problem }, setState] = useState<State>({ isStarting: true });
  const [days, setDaysState] = useState(storedDays);
  const setDays = useCallback((next: DayWindow) => {
    settings.set("window", JSON.stringify(next));
    setDaysState(next);
  }, []);
  const [auto, setAuto] = useSetting("auto");
  const isLive = parameters.has("auto") ? parameters.get("auto") === "on" : auto !== "off";
  const [dialog, setDialog] = useState<"search" | "shortcuts">();
  const [demoPanel, setDemoPanel] = useTabSetting("demo-panel");
  const isDemoShown = demoPanel === "open";
  const setDemoShown = (isShown: boolean) => setDemoPanel(isShown ? "open" : undefined);
  const [isForgetting, setForgetting] = useState(false);
  const [notice, setNotice] = useState("");
  const [reload, setReload] = useState<() => void>();
  const syncAll = useRef(() => undefined as void);
  const demoButton = useRef<HTMLButtonElement>(null);
  const isOnline = useOnline();

  const start = async (kind: Session["kind"] | undefined): Promise<void> => {
    setState({ isStarting: true });
    try {
      const next = await openSession(kind);
      if (next) adopt(next);
      else setState({});
    } catch (error) {
      setState({ problem: messageOf(error) });
    }
  };
  const adopt = (next: Session): void => {
    settings.set("source", next.kind);
    setState({ session: next });
  };
  const isStarted = useRef(false);
  useEffect(() => {
    if (isStarted.current) return;
    isStarted.current = true;
    void start(initialKind());
    void keepShell((run) => setReload(() => run));
  }, []);
  useEffect(() => {
    if (session) document.body.dataset.session = session.kind;
    else delete document.body.dataset.session;
    if (session || isStarting) return;
    document.title = "Sign in · deltalink";
    document.body.dataset.ready = "true";
  }, [session, isStarting]);

  const switchTo = async (kind: Session["kind"]): Promise<void> => {
    setState({ isStarting: true });
    await session?.close();
    await start(kind);
  };
  const leave = async (what: string): Promise<void> => {
    setForgetting(false);
    delete document.body.dataset.ready;
    // First, so that nothing renders with a closed client.
    setState({ isStarting: true });
    await session?.leave();
    const words = `Deleted from this browser: ${what}.`;
    setNotice(words);
    announce(words);
    await (session?.kind === "demo" ? start("demo") : setState({}));
  };

  const header = (collections: Collection<{ id: string }>[]) => (
    <>
      <a
        className="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}
      >
        Skip to the content
      </a>
      <header className="top">
        <a className="wordmark" href="#overview" aria-label="deltalink, to the overview">
          <span className="mark-sign" aria-hidden="true" />
          <span>
            delta<b>link</b>
          </span>
        </a>
        {session && (
          <span className="connection" data-state={isOnline ? "Online" : "Offline"}>
            <span className="dot" aria-hidden="true" />
            <span className="connection-text">{isOnline ? "Online" : "Offline"}</span>
          </span>
        )}
        <div className="top-tools">
          {session && (
            <>
              <Button
                className="quiet"
                icon={Search}
                aria-keyshortcuts="/"
                onClick={() => setDialog("search")}
              >
                <span className="tool-label">Search</span>
              </Button>
              <Button
                icon={RefreshCw}
                id="sync-all"
                data-busy={collections.some(({ isBusy }) => isBusy)}
                onClick={() => syncAll.current()}
              >
                <span className="tool-label">Sync all</span>
              </Button>
              {session.kind === "demo" && (
                <Button
                  ref={demoButton}
                  className="quiet"
                  icon={FlaskConical}
                  aria-expanded={isDemoShown}
                  aria-controls={isDemoShown ? "demo-panel" : undefined}
                  onClick={() => setDemoShown(!isDemoShown)}
                >
                  <span className="tool-label">Demo</span>
                </Button>
              )}
            </>
          )}
          <Menu
            session={session}
            isLive={isLive}
            setLive={(isOn) => setAuto(isOn ? "on" : "off")}
            onShortcuts={() => setDialog("shortcuts")}
            onSwitch={() => void switchTo("microsoft365")}
            onForget={() => setForgetting(true)}
          />
        </div>
      </header>
      {reload && (
        <div className="banner quiet">
          <p>A newer version of this app is ready.</p>
          <Button onClick={reload}>Reload</Button>
        </div>
      )}
      {notice && (
        <div className="banner quiet">
          <p>{notice}</p>
          <Button
            className="icon-only quiet"
            icon={X}
            aria-label="Close this message"
            onClick={() => setNotice("")}
          />
        </div>
      )}
      {isForgetting && session && (
        <ForgetDialog
          session={session}
          collections={collections}
          onClose={() => setForgetting(false)}
          onForget={(what) => void leave(what)}
        />
      )}
    </>
  );

  if (isStarting) return <StartShell>{header([])}</StartShell>;
  if (!session)
    return (
      <>
        {header([])}
        <main id="main" className="start" tabIndex={-1}>
          <SignInForm
            config={storedConfig(parameters)}
            problem={problem}
            onSession={adopt}
            onDemo={() => void start("demo")}
          />
        </main>
      </>
    );
  return (
    <DeltaProvider client={session.client}>
      <Closed>
        <Dashboard
          key={session.history.name}
          {...{ session, days, setDays, isLive, dialog, setDialog, isDemoShown, syncAll }}
          hideDemo={() => (setDemoShown(false), demoButton.current?.focus())}
        >
          {header}
        </Dashboard>
      </Closed>
    </DeltaProvider>
  );
}

/** Shown until a session is open. Has the geometry of the dashboard, so that nothing moves. */
function StartShell({ children }: { children: React.ReactNode }) {
  return (
    <>
      {children}
      <div className="frame">
        <nav className="rail" aria-label="Views" />
        <main id="main" tabIndex={-1} />
      </div>
    </>
  );
}

/** Replaces its children by a message when another tab has deleted the data of this account. */
function Closed({ children }: { children: React.ReactNode }) {
  const client = useDeltaClient();
  if (client) return children;
  return (
    <main id="main" className="start" tabIndex={-1}>
      <div className="card">
        <h1>This account was closed</h1>
        <p>Another tab has deleted the data of this account from this browser, or has signed out.</p>
        <Button className="primary" onClick={() => location.reload()}>
          Open this app again
        </Button>
      </div>
    </main>
  );
}

interface ForgetProps {
  session: Session;
  collections: Collection<{ id: string }>[];
  onClose: () => void;
  onForget: (what: string) => void;
}

function ForgetDialog({ session, collections, onClose, onForget }: ForgetProps) {
  const counts = collections
    .filter(({ query }) => query)
    .map(({ items, noun }) => plural(items.length, noun));
  const what = `${enumerated(counts)} of ${session.name}`;
  const isDemo = session.kind === "demo";
  return (
    <Dialog title={isDemo ? "Forget the stored data?" : "Sign out?"} onClose={onClose}>
      <p>
        This deletes {what} from this browser, with the history of rounds. Nothing is deleted in{" "}
        {isDemo ? "the demo server" : "Microsoft 365"}.
      </p>
      <p className="links">
        <Button className="danger" icon={Trash2} onClick={() => onForget(what)}>
          {isDemo ? "Forget" : "Sign out"}
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </p>
    </Dialog>
  );
}

interface MenuProps {
  session: Session | undefined;
  isLive: boolean;
  setLive: (isLive: boolean) => void;
  onShortcuts: () => void;
  onSwitch: () => void;
  onForget: () => void;
}

function Menu({ session, isLive, setLive, onShortcuts, onSwitch, onForget }: MenuProps) {
  const [theme = "system", setTheme] = useSetting("theme");
  const [isDetailed, setDetailed] = useDetails();
  const popover = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
  const then = (run: () => void) => () => {
    popover.current?.hidePopover();
    run();
  };
  return (
    <>
      <button
        type="button"
        className="button quiet account"
        popoverTarget="menu"
        // The accessible name must contain the visible one.
        aria-label={session ? `${session.name}, account and settings` : "Account and settings"}
      >
        <CircleUserRound className="icon" aria-hidden="true" />
        <span className="account-name">{session?.name}</span>
      </button>
      <div id="menu" className="menu" popover="auto" ref={popover}>
        {session && (
          <div>
            <p className="menu-name">{session.name}</p>
            <p className="hint">{session.kind === "demo" ? "Demo on a fake Graph" : "Microsoft 365"}</p>
          </div>
        )}
        <Choices
          name="theme"
          legend="Theme"
          value={theme}
          options={[
            ["system", "System"],
            ["light", "Light"],
            ["dark", "Dark"],
          ]}
          onChange={(next) => setTheme(next === "system" ? undefined : next)}
        />
        {session && <Switch label="Sync automatically" checked={isLive} onChange={setLive} />}
        {session && <Switch label="Details" checked={isDetailed} onChange={setDetailed} />}
        {session && (
          <div className="menu-actions">
            <Button className="quiet" onClick={then(onShortcuts)} aria-keyshortcuts="?">
              Keyboard shortcuts
            </Button>
            {session.kind === "demo" && (
              <Button className="quiet" icon={UserRound} onClick={then(onSwitch)}>
                Use Microsoft 365
              </Button>
            )}
            <Button className="quiet" icon={Trash2} onClick={then(onForget)}>
              {session.kind === "demo" ? "Forget the stored data" : "Sign out"}
            </Button>
          </div>
        )}
      </div>
    </>
  );
}
