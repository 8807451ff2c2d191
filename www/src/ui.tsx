// Small parts that all views use.
import type { LucideIcon } from "lucide-react";
import { X } from "lucide-react";
import {
  type ButtonHTMLAttributes,
  createContext,
  type ReactNode,
  type RefObject,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useSetting } from "./settings";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  icon?: LucideIcon;
  ref?: RefObject<HTMLButtonElement | null>;
}

export function Button({ icon: Icon, className = "", children, ...rest }: ButtonProps) {
  return (
    <button type="button" className={`button ${className}`} {...rest}>
      {Icon && <Icon className="icon" aria-hidden="true" />}
      {children}
    </button>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  className?: string;
  children: ReactNode;
}

/** A modal dialog. When it closes, the focus returns to where it was. */
export function Dialog({ title, onClose, className = "", children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // A layout effect, because the clean-up of an effect runs later: it could take the focus from
  // where a key has moved it meanwhile.
  useLayoutEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      const isLost = document.activeElement === document.body;
      if (isLost && before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={heading}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2 id={heading}>{title}</h2>
          <Button className="icon-only quiet" icon={X} aria-label="Close" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** The content of a view without items. */
export function EmptyState(props: { icon: LucideIcon; title: string; children?: ReactNode }) {
  const { icon: Icon, title, children } = props;
  return (
    <div className="empty">
      <div className="empty-icon">
        <Icon className="icon" aria-hidden="true" />
      </div>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Grey bars where rows will be. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  return (
    <div className="skeleton" aria-hidden="true">
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="skeleton-row" />
      ))}
    </div>
  );
}

interface ChoicesProps<V extends string> {
  name: string;
  legend: string;
  value: V;
  options: readonly (readonly [V, string])[];
  onChange: (value: V) => void;
  hideLegend?: boolean;
}

/** A few choices side by side, of which one is selected. */
export function Choices<V extends string>(props: ChoicesProps<V>) {
  const { name, legend, value, options, onChange, hideLegend } = props;
  return (
    <fieldset className="segmented">
      <legend className={hideLegend ? "sr-only" : ""}>{legend}</legend>
      {options.map(([option, label]) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface SwitchProps {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  hideLabel?: boolean;
}

export function Switch({ label, checked, onChange, hideLabel }: SwitchProps) {
  return (
    <label className="switch">
      <span className={hideLabel ? "sr-only" : "switch-label"}>{label}</span>
      <input
        type="checkbox"
        role="switch"
        checked={checked}
        onChange={({ target }) => onChange(target.checked)}
      />
      <span className="track" aria-hidden="true" />
    </label>
  );
}

/** Marks an item that a round has added or changed, until the user has looked at it. */
export type Mark = "new" | "changed";

export const MarkChip = ({ mark }: { mark: Mark | undefined }) =>
  mark && <span className={`chip ${mark}`}>{mark === "new" ? "New" : "Changed"}</span>;

/** Facts as a list of names and values. Facts without a value are left out. */
export function Facts({ facts }: { facts: (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** Whether the dashboard shows technical details too. */
export function useDetails(): [boolean, (isOn: boolean) => void] {
  const [value, set] = useSetting("details");
  return [value === "on", (isOn) => set(isOn ? "on" : undefined)];
}

/** The current time, updated every `interval` milliseconds. */
export function useNow(interval = 15_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return now;
}

/** Whether a media query matches. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const list = window.matchMedia(query);
    const update = () => setMatches(list.matches);
    update();
    list.addEventListener("change", update);
    return () => list.removeEventListener("change", update);
  }, [query]);
  return matches;
}

const Announce = createContext<(text: string) => void>(() => undefined);

/** Returns the function that makes a screen reader say a text when the user pauses. */
export const useAnnounce = () => useContext(Announce);

/** The live region of all announcements. Errors have the role `alert` instead. */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState("");
  return (
    <Announce value={setText}>
      {children}
      <div className="sr-only" role="status" aria-live="polite" aria-label="Updates">
        {text}
      </div>
    </Announce>
  );
}
