// The panel of the demo: its buttons change the current collection on the fake Graph, or make the
// next request fail.
import type { LucideIcon } from "lucide-react";
import {
  Clock,
  CloudOff,
  Layers,
  LockKeyhole,
  Pencil,
  Plus,
  Trash2,
  TriangleAlert,
  UserRound,
  X,
} from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { all, type Collection, useCollections } from "./collections";
import type { DemoSession } from "./demo";
import { summaryOf, type ViewId } from "./rounds";
import { messageOf, plural, timeOfDay } from "./text";
import { Button } from "./ui";

/** The names of the three collections in the fake Graph. */
const TABLES: Record<ViewId, string> = { calendar: "events", contacts: "contacts", recordings: "recordings" };

interface Fault {
  icon: LucideIcon;
  label: string;
  hint: string;
  inject(session: DemoSession, collection: string): Promise<unknown>;
}

const rule =
  (fault: object) =>
  ({ world }: DemoSession, collection: string): Promise<unknown> =>
    world.request("POST", "/faults", [{ match: { collection, kind: "any" }, times: 1, fault }]);
const status = (status: number, code: string, message: string, more = {}) =>
  rule({ name: "status", status, code, message, ...more });

const FAULTS: Fault[] = [
  {
    icon: Clock,
    label: "Throttle",
    hint: "429, Retry-After 3 s",
    inject: status(429, "TooManyRequests", "Too many requests.", { headers: { "Retry-After": "3" } }),
  },
  {
    icon: TriangleAlert,
    label: "Server error",
    hint: "503, once",
    inject: status(503, "ServiceUnavailable", "The service is down for a moment."),
  },
  {
    icon: CloudOff,
    label: "Cut the connection",
    hint: "Half a response, once",
    inject: rule({ name: "cut" }),
  },
  {
    icon: Layers,
    label: "Expire the links",
    hint: "A full round follows",
    inject: ({ world }, collection) => world.request("POST", "/expire", { collection }),
  },
  {
    icon: LockKeyhole,
    label: "Refuse the token",
    hint: "401; a new one is requested",
    inject: ({ world }) => world.request("POST", "/revoke"),
  },
  {
    icon: UserRound,
    label: "Ask for a sign-in",
    hint: "401 with a claims challenge",
    inject: (session, collection) => (session.requireSignIn(), rule({ name: "claims" })(session, collection)),
  },
  {
    icon: X,
    label: "Forbid",
    hint: "403: a round that fails",
    inject: status(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."),
  },
];

interface Action {
  id: number;
  text: string;
  result: string;
  outcome?: "complete" | "failed";
}

interface PanelProps {
  session: DemoSession;
  /** The collection of the current view. */
  current: ViewId;
  onClose: () => void;
}

export function DemoPanel({ session, current, onClose }: PanelProps) {
  const { world, history } = session;
  const collections = useCollections();
  const latest = useRef<Collection<{ id: string }>[]>([]);
  useEffect(() => {
    latest.current = all(collections);
  });
  const collection = all(collections).find(({ id }) => id === current) as Collection<{ id: string }>;
  const { noun, label } = collection;
  const additionsOnly = current === "recordings";
  const [actions, setActions] = useState<Action[]>([]);

  const act = async (title: string, change: () => Promise<string | undefined>): Promise<void> => {
    const id = Date.now() + Math.random();
    const show = (next: Partial<Action>) =>
      setActions((before) => before.map((action) => (action.id === id ? { ...action, ...next } : action)));
    const now = () => latest.current.find((one) => one.id === current) ?? collection;
    setActions((before) => [{ id, text: title, result: "…" }, ...before].slice(0, 12));
    try {
      await world.ensure();
      // Waits for a running round, which could see only a part of the changes.
      if (now().isBusy) await now().sync();
      const text = (await change()) ?? title;
      show({ text, result: "round running…" });
      await now().sync();
      const round = history.get().rounds.find(({ view }) => view === current);
      const hasFailed = round?.outcome !== "complete";
      const result = round ? summaryOf(round, timeOfDay) : "no round";
      show({ result, outcome: hasFailed ? "failed" : "complete" });
    } catch (error) {
      show({ result: messageOf(error), outcome: "failed" });
    }
  };

  const owner = world.user === undefined ? {} : { user: world.user };
  const edit = (change: object): Promise<{ ids: string[] }> =>
    world.request("POST", "/edits", [{ collection: TABLES[current], ...owner, ...change }]);
  const pick = (): { id: string; title: string } => {
    const candidates = collection.items.filter((item) => !("type" in item) || item.type === "singleInstance");
    const item = candidates[Math.floor(Math.random() * candidates.length)];
    if (!item) throw new Error(`There is no ${noun} here yet. Press Sync first.`);
    const { subject, displayName } = item as { subject?: string; displayName?: string };
    return { id: item.id, title: subject ?? displayName ?? "" };
  };
  const add = async () => {
    await edit({ op: "add" });
    return `Added ${noun === "event" ? "an" : "a"} ${noun} on the server`;
  };
  const change = async () => {
    const { id, title } = pick();
    const stamp = new Date().toLocaleTimeString("en-GB");
    const base = title.replace(/ \(edited .*\)$/, "");
    const patch =
      current === "calendar"
        ? { subject: `${base} (edited ${stamp})` }
        : { jobTitle: `Promoted at ${stamp}` };
    await edit({ op: "edit", id, patch });
    return `Edited “${base}” on the server`;
  };
  const remove = async () => {
    const { id, title } = pick();
    await edit({ op: "remove", id });
    return `Deleted “${title}” on the server`;
  };
  const ten = async () => {
    const { ids } = await edit({ op: "random", count: 10 });
    return `Made ten changes on the server (${plural(new Set(ids).size, noun)})`;
  };

  return (
    <aside className="demo" id="demo-panel" aria-labelledby="demo-heading">
      <div className="demo-head">
        <h2 id="demo-heading" tabIndex={-1}>
          Demo server
        </h2>
        <Button className="icon-only quiet" icon={X} aria-label="Close the demo panel" onClick={onClose} />
      </div>
      <p className="hint">
        A local fake of Microsoft Graph. Change its data, then see how one round brings the change here.
        Collection: <strong>{label}</strong>
      </p>
      <h3>Change something</h3>
      <div className="demo-buttons">
        <Button icon={Plus} onClick={() => void act("Add on the server", add)}>
          Add
        </Button>
        <Button icon={Pencil} disabled={additionsOnly} onClick={() => void act("Edit on the server", change)}>
          Edit
        </Button>
        <Button
          icon={Trash2}
          disabled={additionsOnly}
          onClick={() => void act("Delete on the server", remove)}
        >
          Delete
        </Button>
        <Button icon={Layers} onClick={() => void act("Ten changes on the server", ten)}>
          Ten changes at once
        </Button>
      </div>
      {additionsOnly && <p className="hint">Graph reports recordings as they are added, and nothing else.</p>}
      <h3>Break something</h3>
      <div className="demo-faults">
        {FAULTS.map(({ icon: Icon, label, hint, inject }) => (
          <button
            key={label}
            type="button"
            className="fault"
            onClick={() =>
              void act(`${label} (${hint})`, async () => void (await inject(session, TABLES[current])))
            }
          >
            <Icon className="icon" aria-hidden="true" />
            <span>
              <span className="fault-label">{label}</span> <span className="fault-hint">{hint}</span>
            </span>
          </button>
        ))}
      </div>
      <h3>A second tab</h3>
      <p className="hint">
        <a href={location.href} target="_blank" rel="noopener">
          Open a second tab
        </a>{" "}
        One of the two runs the rounds, and both show the result.
      </p>
      <h3 id="demo-log">What happened</h3>
      {actions.length === 0 && <p className="hint">The effect of each button appears here.</p>}
      <ol className="demo-log" aria-labelledby="demo-log">
        {actions.map(({ id, text, result, outcome }) => (
          <li key={id}>
            <span>{text}</span>
            <span className="outcome" data-outcome={outcome}>
              {result}
            </span>
          </li>
        ))}
      </ol>
    </aside>
  );
}
