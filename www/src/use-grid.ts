// Keyboard navigation in a grid: one tab stop, and arrow keys that move it.
import { type KeyboardEvent, useLayoutEffect, useRef, useState } from "react";

interface Position {
  column: number;
  row: number;
}

interface Options {
  /** The keys of the elements that can be the tab stop, by column and row. No column is empty. */
  columns: string[][];
  initial: Position;
  /** Called when an arrow key leaves the grid before its first column or after its last one. */
  onLeave?: (direction: -1 | 1) => void;
  /** Called for Page Up and Page Down. */
  onPage?: (direction: -1 | 1) => void;
}

/** The properties of an element that can be the tab stop. */
export interface StopProps {
  tabIndex: number;
  ref: (element: HTMLElement | null) => void;
  onFocus: () => void;
}

const clamp = (value: number, length: number): number => Math.max(0, Math.min(value, length - 1));

export function useGrid({ columns, initial, onLeave, onPage }: Options) {
  const [wanted, setWanted] = useState(initial);
  const elements = useRef(new Map<string, HTMLElement>());
  const mustFocus = useRef(false);
  const column = clamp(wanted.column, columns.length);
  const row = clamp(wanted.row, columns[column]?.length ?? 0);
  const active = columns[column]?.[row];

  useLayoutEffect(() => {
    if (!mustFocus.current || active === undefined) return;
    mustFocus.current = false;
    const element = elements.current.get(active);
    element?.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const moveTo = (position: Position): void => {
    mustFocus.current = true;
    setWanted({ ...position });
  };

  function onKeyDown(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const last = columns.length - 1;
    const moves: Record<string, () => void> = {
      ArrowDown: () => moveTo({ column, row: clamp(row + 1, columns[column]?.length ?? 0) }),
      ArrowUp: () => moveTo({ column, row: clamp(row - 1, columns[column]?.length ?? 0) }),
      ArrowLeft() {
        if (column === 0) onLeave?.(-1);
        moveTo({ column: column > 0 ? column - 1 : onLeave ? last : 0, row });
      },
      ArrowRight() {
        if (column === last) onLeave?.(1);
        moveTo({ column: column < last ? column + 1 : onLeave ? 0 : last, row });
      },
      Home: () => moveTo({ column: 0, row }),
      End: () => moveTo({ column: last, row }),
      ...(onPage && {
        PageUp: () => (onPage(-1), moveTo({ column, row })),
        PageDown: () => (onPage(1), moveTo({ column, row })),
      }),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  const stop = (key: string, at: Position): StopProps => ({
    tabIndex: key === active ? 0 : -1,
    ref: (element) => {
      if (element) elements.current.set(key, element);
      else elements.current.delete(key);
    },
    onFocus: () => {
      if (key !== active) setWanted(at);
    },
  });
  return { onKeyDown, stop };
}
