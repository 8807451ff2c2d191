// @ts-check
// The offsets of the host's time zones.

/** The functions that `offsetOf()` has returned, by zone: making a format takes time. */
const offsets = new Map();

/**
 * Returns the function that gives the offset of a zone from UTC at an instant, both in
 * milliseconds. Throws a RangeError if the host does not know the zone, an IANA name.
 *
 * @param {string} timeZone
 * @returns {(ms: number) => number}
 */
export function offsetOf(timeZone) {
  let offset = offsets.get(timeZone);
  if (!offset) {
    const format = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });
    offset = (ms) => {
      const [, sign = "+", ...parts] = /GMT([+-])(\d+):(\d+):?(\d+)?/.exec(format.format(ms)) ?? [];
      const [hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0));
      return Number(`${sign}1`) * (hours * 3600 + minutes * 60 + seconds) * 1000;
    };
    offsets.set(timeZone, offset);
  }
  return offset;
}
