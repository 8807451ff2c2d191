// The settings of the dashboard, in localStorage. Without storage, a reload loses them.
import { useState, useSyncExternalStore } from "react";

const PREFIX = "deltalink.";
const listeners = new Set<() => void>();
/** The settings, if the browser refuses storage. */
const memory = new Map<string, string>();

export const settings = {
  get(name: string): string | undefined {
    try {
      return localStorage.getItem(PREFIX + name) ?? undefined;
    } catch {
      return memory.get(name);
    }
  },
  set(name: string, value: string | undefined): void {
    try {
      if (value === undefined) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, value);
    } catch {
      if (value === undefined) memory.delete(name);
      else memory.set(name, value);
    }
    for (const run of listeners) run();
  },
  /** Calls `run` after each change, in this tab or in another one. */
  subscribe(run: () => void): () => void {
    listeners.add(run);
    window.addEventListener("storage", run);
    return () => {
      listeners.delete(run);
      window.removeEventListener("storage", run);
    };
  },
};

/** A setting as the state of a component. */
export function useSetting(name: string): [string | undefined, (value: string | undefined) => void] {
  const value = useSyncExternalStore(settings.subscribe, () => settings.get(name));
  return [value, (next) => settings.set(name, next)];
}

/**
 * A setting of this tab as the state of a component. A reload keeps it, other tabs do not see it.
 */
export function useTabSetting(name: string): [string | undefined, (value: string | undefined) => void] {
  const [value, setValue] = useState(() => {
    try {
      return sessionStorage.getItem(PREFIX + name) ?? undefined;
    } catch {
      return undefined;
    }
  });
  const set = (next: string | undefined): void => {
    setValue(next);
    try {
      if (next === undefined) sessionStorage.removeItem(PREFIX + name);
      else sessionStorage.setItem(PREFIX + name, next);
    } catch {
      // Without storage, a reload loses the setting.
    }
  };
  return [value, set];
}
