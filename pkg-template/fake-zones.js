// @ts-check
// The time zones of the fake Graph: those of the host, by their IANA names and their Windows names.
import { ianaOf } from "./windows-zones.js";
import { offsetOf } from "./zone-offset.js";

/**
 * Returns the offset of a time zone from UTC in minutes, at a time in milliseconds since 1970;
 * undefined if the host does not know the zone.
 *
 * @param {string} name
 * @param {number} ms
 */
export function zoneOffset(name, ms) {
  try {
    return offsetOf(ianaOf(name) ?? name.replace(/^tzone:\/\/Microsoft\/Utc$/i, "UTC"))(ms) / 60_000;
  } catch {
    return undefined;
  }
}
