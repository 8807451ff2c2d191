// @ts-check
// The start and the end of a rolling window.
import { offsetOf } from "./zone-offset.js";

/**
 * Returns the window of a day as `start/end`: from the midnight `daysBack` days before the day of
 * `now` to the midnight that ends the day `daysAhead` days after it. Throws a RangeError if the
 * host does not know the time zone.
 */
export function windowAt({ daysBack, daysAhead, timeZone }, now = Date.now()) {
  const offset = offsetOf(timeZone);
  /** Returns the local time of the zone, as if it were UTC. */
  const localTime = (ms) => ms + offset(ms);
  const today = new Date(localTime(now));
  const midnight = (days) => {
    const clock = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + days);
    // On a day when clocks change, the offset at midnight may differ from the one at the first
    // guess.
    const guess = clock - (localTime(clock) - clock);
    const better = clock - (localTime(guess) - guess);
    // If the change of the clocks skips midnight, the day begins with the change.
    return new Date(localTime(better) === clock ? better : Math.max(guess, better)).toISOString();
  };
  return `${midnight(-daysBack)}/${midnight(daysAhead + 1)}`;
}
