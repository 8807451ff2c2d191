// Finds the meeting of a recording. Graph's recording has no subject, only the time.
import type { CallRecording, Event } from "deltalink";
import { endOf, isAllDay, startOf } from "deltalink/calendar";

interface Span {
  event: Event;
  start: number;
  end: number;
}

/** The timed events that are not cancelled, with their instants, in order. */
function spansOf(events: readonly Event[]): Span[] {
  return events
    .flatMap((event) => {
      try {
        if (isAllDay(event) || event.isCancelled) return [];
        return [{ event, start: startOf(event).getTime(), end: endOf(event).getTime() }];
      } catch {
        return []; // Its times cannot be read.
      }
    })
    .sort((a, b) => a.start - b.start);
}

/**
 * Returns the function that finds the event during which a recording began. If several events take
 * place at that time, only one with an online meeting counts, and none if that is not unique.
 */
export function meetingFinder(events: readonly Event[]): (recording: CallRecording) => Event | undefined {
  const spans = spansOf(events);
  return ({ createdDateTime }) => {
    const at = Date.parse(createdDateTime ?? "");
    const running = spans.filter(({ start, end }) => start <= at && at < end);
    const online = running.filter(({ event }) => event.isOnlineMeeting);
    const [found, ...others] = online.length > 0 ? online : running;
    return others.length === 0 ? found?.event : undefined;
  };
}
