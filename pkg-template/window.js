// Where a window that moves with the days is.

/**
 * From the midnight `daysBack` days before the day of `now` to the one that ends the day
 * `daysAhead` days after it, `start/end`. The same all day long. Throws a RangeError if the host
 * does not know the time zone.
 */
export function windowAt({ daysBack, daysAhead, timeZone }, now = Date.now()) {
  const format = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });
  /** What the clocks of the zone show, as if it were UTC. */
  const shown = (ms) => {
    const [, sign = "+", hours = 0, minutes = 0] = /GMT(?:(.)(\d+):(\d+))?/.exec(format.format(ms));
    return ms + Number(sign + (hours * 60 + Number(minutes))) * 60_000;
  };
  const today = new Date(shown(now));
  const midnight = (days) => {
    const clock = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + days);
    // The offset of the zone there; clocks may have changed since a first guess at it.
    const guess = clock - (shown(clock) - clock);
    const better = clock - (shown(guess) - guess);
    // Where clocks skip midnight, the day begins when they are set.
    return new Date(shown(better) === clock ? better : Math.max(guess, better)).toISOString();
  };
  return `${midnight(-daysBack)}/${midnight(daysAhead + 1)}`;
}
