// The panel of the demo: its controls change the current collection on the fake Graph, slow the
// server down, or make requests fail.
import { ExternalLink, Layers, Pencil, Plus, Trash2, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { all, type Collection, useCollections } from "./collections";
import type { DemoSession } from "./demo";
import { Sliders, useConditions } from "./demo-conditions";
import { FAULTS } from "./demo-faults";
import { summaryOf, type ViewId } from "./rounds";
import { messageOf, plural, timeOfDay } from "./text";
import { Button, Switch } from "./ui";
import type { Edit } from "./world";

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
  const state = useConditions(world);

  const act = async (title: string, change: () => Promise<string | undefined>): Promise<void> => {
    const id = Date.now() + Math.random();
    const show = (next: Partial<Action>) =>
      setActions((before) => before.map((action) => (action.id === id ? { ...action, ...next } : action)));
    const now = () => latest.current.find((one) => one.id === current) ?? collection;
    setActions((before) => [{ id, text: title, result: "…" }, ...before].slice(0, 12));
    try {
      // Waits for a running round, which could see only a part of the changes. Does not wait for a
      // round in the phase `waiting`: it may wait until a fault is switched off.
      if (now().isBusy && now().status.phase !== "waiting") await now().sync();
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

  const edit = (change: Edit): Promise<string[]> => world.edit(current, change);
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
    const ids = await edit({ op: "random", count: 10 });
    return `Made ten changes on the server (${plural(new Set(ids).size, noun)})`;
  };

  return (
    <aside className="demo" id="demo-panel" aria-labelledby="demo-heading" aria-busy={state.isPending}>
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
      <h3>Slow the server down</h3>
      <Sliders {...state} />
      <h3>Break something</h3>
      <p className="hint">
        A button breaks the next request for {label.toLowerCase()}. A switch breaks the requests of all
        collections, until it is switched off.
      </p>
      <ul className="demo-faults">
        {FAULTS.map(({ id, icon: Icon, label, hint, inject, lasting }) => (
          <li key={id}>
            <button
              type="button"
              className="fault"
              onClick={() =>
                void act(`${label} (${hint})`, async () => void (await inject(session, current)))
              }
            >
              <Icon className="icon" aria-hidden="true" />
              <span>
                <span className="fault-label">{label}</span> <span className="fault-hint">{hint}</span>
              </span>
            </button>
            {lasting && state.conditions && (
              <Switch
                label={`${label}: stays on`}
                hideLabel
                checked={state.conditions.faults.includes(id)}
                onChange={(isOn) => state.setFault(id, isOn ? lasting : undefined)}
              />
            )}
          </li>
        ))}
      </ul>
      {state.problem && (
        <p className="demo-problem" role="alert">
          {state.problem}
        </p>
      )}
      <h3>A second tab</h3>
      <a className="button" href={location.href} target="_blank" rel="noopener">
        <ExternalLink className="icon" aria-hidden="true" />
        Open a second tab
      </a>
      <p className="hint">One of the two runs the rounds, and both show the result.</p>
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
