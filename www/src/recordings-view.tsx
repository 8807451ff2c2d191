// The recordings of the meetings of one organizer. Graph requires an app-only token to list them.
import type { CallRecording } from "deltalink";
import { LockKeyhole, Video } from "lucide-react";
import { memo, type ReactNode, useMemo } from "react";
import { useCollections } from "./collections";
import { meetingFinder } from "./meetings";
import type { History } from "./rounds";
import { dateAndTime, duration, plural } from "./text";
import { EmptyState, Facts, type Mark, MarkChip, useDetails } from "./ui";
import { View } from "./view";

interface RecordingsProps {
  history: History;
  /** The address of the organizer of the meetings, or the name of an account without one. */
  organizer: string;
  onlyMarked: boolean;
  setOnlyMarked: (isOn: boolean) => void;
  action?: Parameters<typeof View>[0]["action"];
  /** A control above the list. */
  control: ReactNode;
}

export const startedAt = ({ createdDateTime }: CallRecording): string =>
  createdDateTime ? dateAndTime(new Date(createdDateTime)) : "an unknown time";

export function RecordingsView(props: RecordingsProps) {
  const { history, organizer, onlyMarked, setOnlyMarked, action, control } = props;
  const { recordings, calendar } = useCollections();
  const { items, marks, query, status } = recordings;
  const meetingOf = useMemo(() => meetingFinder(calendar.items), [calendar.items]);
  // The events of the calendar have the name that belongs to the organizer's address.
  const name = useMemo(
    () =>
      calendar.items.map(({ organizer }) => organizer?.emailAddress).find((one) => one?.address === organizer)
        ?.name,
    [calendar.items, organizer],
  );
  const sorted = useMemo(
    () =>
      items
        .filter(({ id }) => !onlyMarked || marks.has(id))
        .sort((a, b) => (b.createdDateTime ?? "").localeCompare(a.createdDateTime ?? "")),
    [items, onlyMarked, onlyMarked && marks],
  );
  return (
    <View
      collection={recordings}
      history={history}
      action={action}
      onlyMarked={onlyMarked}
      setOnlyMarked={setOnlyMarked}
      above={control}
      empty={
        query ? (
          <EmptyState icon={Video} title="No recordings">
            <p>
              {status.lastSyncedAt
                ? "No meeting of this organizer was recorded."
                : "You have not loaded the list yet."}
            </p>
          </EmptyState>
        ) : (
          <EmptyState icon={LockKeyhole} title="Microsoft Graph does not let this sign-in read recordings">
            <p>
              Only an app-only token can list recordings (OnlineMeetingRecording.Read.All, granted by an
              administrator). No signed-in user can, regardless of their role. Run the round on a server or at
              the edge, where such a token is safe.
            </p>
          </EmptyState>
        )
      }
    >
      <ul className="recordings">
        {sorted.map((recording) => {
          const meeting = meetingOf(recording);
          const address = meeting?.organizer?.emailAddress;
          const user = recording.meetingOrganizer?.user;
          return (
            <Recording
              key={recording.id}
              recording={recording}
              subject={meeting?.subject ?? ""}
              organizer={user?.displayName ?? address?.name ?? name ?? organizer}
              mark={marks.get(recording.id)}
              onSeen={recordings.markSeen}
            />
          );
        })}
      </ul>
    </View>
  );
}

/** The length of a recording, in hours and minutes. */
export function lengthOf({ createdDateTime, endDateTime }: CallRecording): string {
  const ms = Date.parse(endDateTime ?? "") - Date.parse(createdDateTime ?? "");
  if (!(ms > 0)) return "";
  const [hours, minutes] = [Math.floor(ms / 3_600_000), Math.floor((ms % 3_600_000) / 60_000)];
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? plural(minutes, "minute") : duration(ms);
}

interface RecordingProps {
  recording: CallRecording & { id: string };
  subject: string;
  organizer: string;
  mark: Mark | undefined;
  onSeen: (id: string) => void;
}

const Recording = memo(
  function Recording({ recording, subject, organizer, mark, onSeen }: RecordingProps) {
    const [isDetailed] = useDetails();
    const { id, meetingId, meetingOrganizer } = recording;
    return (
      <li className="recording" data-id={id} data-mark={mark} onClick={() => mark && onSeen(id)}>
        <span className="recording-icon">
          <Video className="icon" aria-hidden="true" />
        </span>
        <div>
          <h2>
            {subject || `Meeting of ${startedAt(recording)}`} <MarkChip mark={mark} />
          </h2>
          <Facts
            facts={[
              ["Recorded", startedAt(recording)],
              ["Length", lengthOf(recording)],
              ["Organizer", organizer],
              ["Meeting id", isDetailed && meetingId],
              ["Recording id", isDetailed && id],
              ["Organizer id", isDetailed && meetingOrganizer?.user?.id],
            ]}
          />
        </div>
      </li>
    );
  },
  (a, b) =>
    a.recording === b.recording &&
    a.subject === b.subject &&
    a.organizer === b.organizer &&
    a.mark === b.mark,
);
