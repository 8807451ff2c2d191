// The recordings of the meetings of one organizer. Graph requires an app-only token to list them.
import type { CallRecording } from "deltalink";
import { Collection, emptyState, type Mark } from "./collection";
import { dateAndTime, h, icon, paintRows } from "./dom";

export interface RecordingsView {
  collection: Collection<CallRecording>;
  /** Shows a text instead of the list, if this session cannot read recordings. */
  explain(title: string, text: string): void;
  /** An element above the list, for a control. */
  slot: HTMLElement;
}

export const FORBIDDEN = {
  title: "Graph does not let this sign-in read recordings",
  text: "Only an app-only token can list recordings (OnlineMeetingRecording.Read.All, granted by an administrator). No signed-in user can, regardless of their role. Run the round on a server or at the edge, where such a token is safe.",
};

export function recordingsView(): RecordingsView {
  const list = h("ul", { class: "recordings", role: "list" });
  const emptySlot = h("div", {});
  const slot = h("div", {});
  let explanation: { title: string; text: string } | undefined;

  const collection = new Collection<CallRecording>({
    id: "recordings",
    heading: "Recordings",
    icon: "recordings",
    noun: "recording",
    titleOf: (recording) => `Recording of ${created(recording)}`,
    paint(items, marks) {
      const sorted = [...items.values()].sort((a, b) =>
        (b.createdDateTime ?? "").localeCompare(a.createdDateTime ?? ""),
      );
      list.hidden = sorted.length === 0;
      paintRows(
        list,
        sorted.map((recording) => {
          const mark = marks.get(recording.id ?? "");
          return {
            key: recording.id ?? "",
            signature: `${mark} ${JSON.stringify(recording)}`,
            make: () => rowOf(recording, mark),
          };
        }),
      );
      emptySlot.replaceChildren(
        ...(explanation && sorted.length === 0
          ? [emptyState("lock", explanation.title, explanation.text)]
          : sorted.length === 0 && collection.error === undefined
            ? [
                emptyState(
                  "recordings",
                  "No recordings here yet",
                  "Press Sync: the first round brings every recording of the organizer's meetings, the later ones only new recordings.",
                ),
              ]
            : []),
      );
    },
    body: h("div", {}, slot, emptySlot, list),
  });

  return {
    collection,
    slot,
    explain(title, text) {
      explanation = { title, text };
      void collection.open(undefined);
    },
  };
}

const created = (recording: CallRecording): string =>
  recording.createdDateTime ? dateAndTime(new Date(recording.createdDateTime)) : "an unknown time";

function lengthOf(recording: CallRecording): string {
  const seconds = Math.round(
    (Date.parse(recording.endDateTime ?? "") - Date.parse(recording.createdDateTime ?? "")) / 1000,
  );
  if (!(seconds > 0)) return "";
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${seconds} s`;
}

function rowOf(recording: CallRecording, mark: Mark | undefined): HTMLElement {
  const user = recording.meetingOrganizer?.user;
  const facts: [string, string][] = [
    ["Organizer", user?.displayName ?? user?.id ?? ""],
    ["Length", lengthOf(recording)],
    ["Meeting", recording.meetingId ?? ""],
    ["Recording", recording.id ?? ""],
  ];
  return h(
    "li",
    { class: "recording", "data-id": recording.id, "data-mark": mark },
    h("span", { class: "recording-icon" }, icon("recordings")),
    h(
      "div",
      {},
      h(
        "h2",
        {},
        `Meeting recorded ${created(recording)}`,
        mark && h("span", { class: `chip mark ${mark}` }, mark === "new" ? "New" : "Changed"),
      ),
      h(
        "dl",
        {},
        ...facts
          .filter(([, value]) => value !== "")
          .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { title: value }, value))),
      ),
    ),
  );
}
