// Makes deterministic items in the form of Microsoft Graph: events of about 2.7 KB and users of
// about 0.5 KB.

const EVENT_BYTES = 2700;
const EVENT_ID = "AAMkAGI1AAAoZCfHAABGAAAAAADQBrsfQ2hMT5jAEGtbZ6MPBwDrz2fwYkCgS4YqCVrkPQ3IAAAAAAENAADrz2fw";
const FIRST_NAMES = [
  "Adele",
  "Alex",
  "Diego",
  "Grady",
  "Isaiah",
  "Johanna",
  "Lee",
  "Lynne",
  "Megan",
  "Nestor",
];
const LAST_NAMES = [
  "Vance",
  "Wilber",
  "Siciliani",
  "Archie",
  "Langer",
  "Lorenz",
  "Gu",
  "Robbins",
  "Bowen",
  "Wilke",
];
const SENTENCE =
  "Please read the attached agenda before the meeting and add your own points to the shared notes. ";

const padded = (number) => String(number).padStart(7, "0");
const person = (number) => {
  const name = `${FIRST_NAMES[number % 10]} ${LAST_NAMES[Math.floor(number / 10) % 10]}`;
  return { name, address: `${name.toLowerCase().replace(" ", ".")}${number}@contoso.example` };
};

/**
 * The id of the `number`-th item of a kind. Like in Graph, ids do not sort in the order of pages.
 */
export function idOf(kind, number) {
  const scattered = padded((number * 7_654_321) % 9_999_991);
  return kind === "events"
    ? `${EVENT_ID}${scattered}AAA=`
    : `4782e723-f4f4-4af3-a76e-${scattered.padStart(12, "0")}`;
}

/** The `number`-th item of a kind. `version` counts the edits of the item. */
export function makeItem(kind, number, version) {
  return kind === "events" ? event(number, version) : user(number, version);
}

function event(number, version) {
  const day = String(1 + (number % 28)).padStart(2, "0");
  const hour = String(8 + (number % 9)).padStart(2, "0");
  const at = (minutes) => ({ dateTime: `2026-11-${day}T${hour}:${minutes}:00.0000000`, timeZone: "UTC" });
  const attendee = (offset) => ({
    type: offset === 1 ? "required" : "optional",
    status: { response: offset === 1 ? "accepted" : "none", time: "2026-10-01T09:00:00Z" },
    emailAddress: person(number + offset * 37),
  });
  const item = {
    "@odata.etag": `W/"DwAAABYAAADrz2fwYkCgS4YqCVrkPQ3I${padded(number)}.${version}"`,
    id: idOf("events", number),
    createdDateTime: "2026-10-01T08:58:11.1234567Z",
    lastModifiedDateTime: "2026-10-02T10:12:13.7654321Z",
    changeKey: `DwAAABYAAADrz2fwYkCgS4YqCVrkPQ3I${padded(number)}.${version}`,
    categories: number % 3 ? [] : ["Blue category"],
    transactionId: null,
    originalStartTimeZone: "W. Europe Standard Time",
    originalEndTimeZone: "W. Europe Standard Time",
    iCalUId: `040000008200E00074C5B7101A82E0080000000${padded(number)}`,
    reminderMinutesBeforeStart: 15,
    isReminderOn: true,
    hasAttachments: number % 5 === 0,
    subject: `Planning of work package ${number}, revision ${version}`,
    importance: "normal",
    sensitivity: "normal",
    isAllDay: false,
    isCancelled: false,
    isOrganizer: number % 2 === 0,
    responseRequested: true,
    seriesMasterId: null,
    showAs: "busy",
    type: "singleInstance",
    webLink: `https://outlook.office365.example/owa/?itemid=${padded(number)}&exvsurl=1&path=/calendar/item`,
    onlineMeetingUrl: null,
    isOnlineMeeting: true,
    onlineMeetingProvider: "teamsForBusiness",
    allowNewTimeProposals: true,
    occurrenceId: null,
    isDraft: false,
    hideAttendees: false,
    responseStatus: { response: "organizer", time: "0001-01-01T00:00:00Z" },
    bodyPreview: SENTENCE.repeat(2).trim(),
    body: { contentType: "html", content: "" },
    start: at("00"),
    end: at("30"),
    location: {
      displayName: `Room ${number % 40}`,
      locationType: "default",
      uniqueId: `Room ${number % 40}`,
      uniqueIdType: "private",
    },
    locations: [{ displayName: `Room ${number % 40}`, locationType: "default", uniqueIdType: "private" }],
    recurrence: null,
    attendees: [attendee(1), attendee(2), attendee(3)],
    organizer: { emailAddress: person(number) },
    onlineMeeting: {
      joinUrl: `https://teams.microsoft.example/l/meetup-join/19%3ameeting_${padded(number)}/0`,
    },
  };
  const html = (text) => `<html><head></head><body><div>${text}</div></body></html>`;
  const free = EVENT_BYTES - JSON.stringify(item).length - html("").length;
  item.body.content = html(
    SENTENCE.repeat(1 + Math.floor(free / SENTENCE.length)).slice(0, Math.max(free, 0)),
  );
  return item;
}

function user(number, version) {
  const { name, address } = person(number);
  const [givenName, surname] = name.split(" ");
  return {
    id: idOf("users", number),
    businessPhones: [`+1 425 555 ${padded(number)}`],
    displayName: name,
    givenName,
    surname,
    jobTitle: `Engineer, grade ${version}`,
    mail: address,
    mobilePhone: null,
    officeLocation: `${number % 40}/2${number % 10}10`,
    preferredLanguage: "en-US",
    userPrincipalName: address,
    department: `Department ${number % 25}`,
    companyName: "Contoso",
    city: "Redmond",
    country: "United States",
    accountEnabled: true,
  };
}

/** The properties that the contestants select. */
export const USER_PROPERTIES = Object.keys(user(0, 0)).filter((name) => name !== "id");
