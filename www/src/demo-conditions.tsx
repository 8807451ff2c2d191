// The parts of the demo panel that stay as the user sets them: two sliders, and the switches of the
// faults. The fake Graph stores their state, so that a reload and a second tab show it too.
import { useEffect, useId, useRef, useState } from "react";
import { duration, messageOf, number } from "./text";
import type { Conditions, LastingFault, World } from "./world";

/** The positions of the sliders. Equal steps would leave no room for the short latencies. */
const LATENCIES = [0, 20, 50, 120, 250, 500, 1000, 2000, 5000];
/** In kilobytes per second; the last position has no limit. */
const BANDWIDTHS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, Infinity];

export interface ConditionsState {
  /** Undefined until the fake Graph has returned them. */
  conditions: Conditions | undefined;
  problem: string;
  /** Whether the fake Graph has not confirmed the last change yet. */
  isPending: boolean;
  setLatency(ms: number): void;
  setBandwidth(bytesPerSecond: number | null): void;
  setFault(id: string, fault: LastingFault | undefined): void;
}

/** The conditions of a world. They are read again when the user comes back to this tab. */
export function useConditions(world: World): ConditionsState {
  const [conditions, setConditions] = useState<Conditions>();
  const [problem, setProblem] = useState("");
  const [pending, setPending] = useState(0);
  /** The number of calls so far, and the end of the last one: they run one after the other. */
  const count = useRef(0);
  const last = useRef<Promise<void>>(Promise.resolve());
  const call = (make?: () => Promise<void>): void => {
    count.current += 1;
    const own = count.current;
    const isLast = () => own === count.current;
    const run = async (): Promise<void> => {
      let text = "";
      const fail = (error: unknown) => void (text = messageOf(error));
      await make?.().catch(fail);
      // Reads the state of the fake Graph, because the panel already shows the change, even if it
      // has failed. If a later change is pending, that one reads the state.
      if (isLast()) {
        const read = world.conditions();
        await read.then((now) => isLast() && setConditions(now)).catch(fail);
      }
      setProblem(text);
    };
    setPending((before) => before + 1);
    last.current = last.current.then(run).finally(() => setPending((before) => before - 1));
  };
  useEffect(() => {
    const update = () => document.visibilityState === "visible" && call();
    update();
    document.addEventListener("visibilitychange", update);
    return () => document.removeEventListener("visibilitychange", update);
  }, [world]);
  const change = (next: (before: Conditions) => Partial<Conditions>, make: () => Promise<void>): void => {
    setConditions((before) => before && { ...before, ...next(before) });
    call(make);
  };
  return {
    conditions,
    problem,
    isPending: pending > 0,
    setLatency: (latency) =>
      change(
        () => ({ latency }),
        () => world.setLatency(latency),
      ),
    setBandwidth: (bandwidth) =>
      change(
        () => ({ bandwidth }),
        () => world.setBandwidth(bandwidth),
      ),
    setFault: (id, fault) =>
      change(
        ({ faults }) => ({ faults: fault ? [...faults, id] : faults.filter((other) => other !== id) }),
        () => (fault ? world.keepFault(id, fault) : world.endFault(id)),
      ),
  };
}

export function Sliders({ conditions, setLatency, setBandwidth }: ConditionsState) {
  const bandwidth = conditions?.bandwidth ?? Infinity;
  return (
    <div className="sliders">
      <Slider
        label="Latency"
        values={LATENCIES}
        value={conditions?.latency}
        format={duration}
        onChange={setLatency}
      />
      <Slider
        label="Bandwidth"
        values={BANDWIDTHS}
        value={conditions && bandwidth / 1000}
        format={(kilobytes) => (kilobytes === Infinity ? "unlimited" : `${number(kilobytes)} KB/s`)}
        onChange={(kilobytes) => setBandwidth(kilobytes === Infinity ? null : kilobytes * 1000)}
      />
    </div>
  );
}

interface SliderProps {
  label: string;
  /** The values at the positions of the slider. */
  values: number[];
  /** Undefined until the fake Graph has returned it. */
  value: number | undefined;
  format(value: number): string;
  onChange(value: number): void;
}

function Slider({ label, values, value, format, onChange }: SliderProps) {
  const id = useId();
  const index = values.findIndex((candidate) => candidate >= (value ?? 0));
  const position = index < 0 ? values.length - 1 : index;
  const text = value === undefined ? "…" : format(value);
  return (
    <div className="slider">
      <label htmlFor={id}>{label}</label>
      {/* Screen readers already read the value of the slider. */}
      <output htmlFor={id} aria-live="off">
        {text}
      </output>
      <input
        id={id}
        type="range"
        min={0}
        max={values.length - 1}
        value={position}
        aria-valuetext={text}
        disabled={value === undefined}
        onChange={({ target }) => onChange(values[target.valueAsNumber] ?? 0)}
      />
    </div>
  );
}
