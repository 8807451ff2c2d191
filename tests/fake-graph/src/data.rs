//! Realistic content: invented people of contoso.example and fabrikam.example with calendars,
//! contacts and files.

use crate::clock;
use crate::rng::{Rng, guid_of, hash, mix};
use crate::text::base64;
use serde_json::{Map, Value, json};

pub(crate) type Item = Map<String, Value>;

const DAY: i64 = 86_400_000;
pub(crate) const MINUTE: i64 = 60_000;

const GIVEN: [&str; 24] = [
    "Anneli", "Bram", "Carmen", "Dilip", "Esther", "Fionn", "Greta", "Hamid", "Ines", "Jorun", "Kofi",
    "Lucie", "Mirela", "Nils", "Oluwa", "Paloma", "Quentin", "Rosalie", "Sanjay", "Tuva", "Ulrich", "Vesna",
    "Wanjiru", "Yusuf",
];
const SURNAMES: [&str; 24] = [
    "Almgren",
    "Bakker",
    "Castell",
    "Dastur",
    "Eklund",
    "Farrow",
    "Gruber",
    "Haddad",
    "Ibarra",
    "Juhl",
    "Kamau",
    "Lefort",
    "Marinescu",
    "Nyberg",
    "Okafor",
    "Pinheiro",
    "Quist",
    "Rademaker",
    "Sethi",
    "Thorsen",
    "Urban",
    "Vukovic",
    "Wekesa",
    "Yildiz",
];
const COMPANIES: [&str; 8] = [
    "Fabrikam Logistics",
    "Northwind Traders",
    "Tailspin Toys",
    "Adventure Works",
    "Litware Instruments",
    "Proseware Press",
    "Wingtip Studios",
    "Fourth Coffee",
];
const TITLES: [&str; 12] = [
    "Account Manager",
    "Purchasing Lead",
    "Project Engineer",
    "Head of Operations",
    "Legal Counsel",
    "Designer",
    "Sales Representative",
    "Support Specialist",
    "Plant Manager",
    "Research Associate",
    "Controller",
    "Marketing Director",
];
const DEPARTMENTS: [&str; 7] =
    ["Sales", "Purchasing", "Engineering", "Operations", "Legal", "Design", "Finance"];
const CITIES: [(&str, &str, &str, &str); 6] = [
    ("Graz", "Styria", "AT", "8010"),
    ("Ghent", "East Flanders", "BE", "9000"),
    ("Bergen", "Vestland", "NO", "5003"),
    ("Porto", "Norte", "PT", "4000-001"),
    ("Tacoma", "WA", "US", "98402"),
    ("Leeds", "England", "GB", "LS1 4AP"),
];
const STREETS: [&str; 6] =
    ["Harbour Road", "Mill Lane", "Station Square", "Linden Street", "Market Row", "Canal Walk"];
const ROOMS: [&str; 6] = ["Aurora", "Blue Room", "Conf Room 2/114", "Dock 4", "Focus Corner", "Town Hall"];
const SUBJECTS: [&str; 14] = [
    "Budget review",
    "Design critique",
    "Customer call: Tailspin Toys",
    "Hiring panel",
    "Roadmap sync",
    "Incident review",
    "Quarterly numbers",
    "Release go/no-go",
    "Supplier negotiation",
    "Accessibility walkthrough",
    "Onboarding",
    "Data retention workshop",
    "Office move planning",
    "Sprint planning",
];

/// A user of a world.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
}

pub(crate) fn account(address: &str, seed: u64) -> Account {
    let local = address.split('@').next().unwrap_or(address);
    let name: Vec<String> = local
        .split(['.', '-', '_'])
        .map(|w| w.chars().take(1).flat_map(char::to_uppercase).chain(w.chars().skip(1)).collect())
        .collect();
    let key = hash(&address.to_ascii_lowercase());
    Account { id: guid_of(key ^ seed, mix(key ^ seed)), name: name.join(" "), address: address.to_owned() }
}

fn person(rng: &mut Rng, domain: &str) -> (String, String, String) {
    let (given, surname) = (rng.pick(&GIVEN), rng.pick(&SURNAMES));
    let mail = format!("{}.{}@{domain}", given.to_lowercase(), surname.to_lowercase());
    (given.to_owned(), surname.to_owned(), mail)
}

fn object(value: Value) -> Item {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(crate) fn outlook_id(rng: &mut Rng) -> String {
    format!("AAMkADfaKe{}AAA=", rng.text(58))
}

/// The immutable form of an Outlook id: another string for the same item (graph-facts 2.3).
pub(crate) fn immutable(id: &str) -> String {
    let key = hash(id);
    let bytes: Vec<u8> =
        [key, mix(key), hash(&format!("{id}#"))].iter().flat_map(|n| n.to_be_bytes()).collect();
    format!("AAkALgfaKe{}", base64(&bytes).replace('+', "-").replace('/', "_"))
}

/// The `changeKey` and, in quotes, the etag. Each change has a new one.
pub(crate) fn change_key(id: &str, changed: u64) -> String {
    let bytes: Vec<u8> = [hash(id), mix(changed)].iter().flat_map(|n| n.to_be_bytes()).collect();
    base64(&bytes)
}

// ---- directory ----

pub(crate) fn contact(rng: &mut Rng) -> Item {
    let company = rng.pick(&COMPANIES);
    let domain = format!("{}.example", company.to_lowercase().split(' ').next().unwrap_or("fabrikam"));
    let (given, surname, mail) = person(rng, &domain);
    let at = rng.index(CITIES.len());
    let (city, state, country, post) = CITIES.get(at).copied().unwrap_or(("Graz", "Styria", "AT", "8010"));
    let mut item = object(json!({
        "companyName": company,
        "displayName": format!("{given} {surname}"),
        "givenName": given,
        "surname": surname,
        "mail": mail,
        "mailNickname": mail.split('@').next().unwrap_or(""),
        "jobTitle": rng.pick(&TITLES),
        "proxyAddresses": [format!("SMTP:{mail}")],
        "phones": [{ "type": "business", "number": format!("+1 555 01{:02}", rng.below(100)) }],
    }));
    // Graph omits properties that were never set (graph-facts 1.2).
    if rng.chance(70) {
        item.insert("department".to_owned(), rng.pick(&DEPARTMENTS).into());
    }
    if rng.chance(60) {
        let address = json!([{
            "city": city, "countryOrRegion": country, "officeLocation": null, "postalCode": post,
            "state": state,
            "street": format!("{} {}", 1 + rng.below(180), rng.pick(&STREETS)),
        }]);
        item.insert("addresses".to_owned(), address);
    }
    item
}

pub(crate) fn user(rng: &mut Rng, account: Option<&Account>) -> Item {
    let (given, surname, mail) = match account {
        Some(a) => {
            let (g, s) = a.name.split_once(' ').unwrap_or((&a.name, ""));
            (g.to_owned(), s.to_owned(), a.address.clone())
        }
        None => {
            let (g, s, _) = person(rng, "");
            let mail =
                format!("{}.{}{}@contoso.example", g.to_lowercase(), s.to_lowercase(), rng.below(90) + 10);
            (g, s, mail)
        }
    };
    let mut item = object(json!({
        "businessPhones": [format!("+1 555 01{:02}", rng.below(100))],
        "displayName": format!("{given} {surname}").trim(),
        "givenName": given,
        "surname": surname,
        "jobTitle": rng.pick(&TITLES),
        "mail": mail,
        "userPrincipalName": mail,
        "officeLocation": format!("{}/{}", 1 + rng.below(30), 1000 + rng.below(3000)),
        "preferredLanguage": "en-US",
    }));
    if rng.chance(50) {
        item.insert("mobilePhone".to_owned(), format!("+1 555 01{:02}", rng.below(100)).into());
    }
    item
}

pub(crate) fn group(rng: &mut Rng) -> Item {
    let (department, company) = (rng.pick(&DEPARTMENTS), rng.pick(&COMPANIES));
    object(json!({
        "displayName": format!("{department} – {company}"),
        "description": format!("Everybody in {department} who works with {company}"),
        "mailNickname": format!("{}-{}", department.to_lowercase(), rng.below(900) + 100),
        "mailEnabled": true,
        "securityEnabled": false,
        "groupTypes": ["Unified"],
        "visibility": "Private",
    }))
}

// ---- recordings ----

/// The length of a recording, in milliseconds.
pub(crate) fn recording_length(rng: &mut Rng) -> i64 {
    i64::try_from(5 + rng.below(80)).unwrap_or(30) * MINUTE
}

/// A recording from one instant to another.
pub(crate) fn recording(
    rng: &mut Rng,
    organizer: &str,
    tenant: &str,
    root: &str,
    (start, end): (i64, i64),
) -> (String, Item) {
    let (meeting, call) = (format!("MSo{}", rng.text(80)), rng.guid());
    // Teams ids are standard base64 of long strings that contain `##` and `*`.
    let id = base64(format!("V2##{organizer}{tenant}{}##{call}", rng.text(40)).as_bytes());
    let item = object(json!({
        "id": id,
        "meetingId": meeting,
        "callId": call,
        "contentCorrelationId": rng.guid(),
        "createdDateTime": clock::stamp(start).replace('Z', &format!(".{:07}Z", rng.below(10_000_000))),
        "endDateTime": clock::stamp(end),
        "recordingContentUrl": format!("{root}/users/{organizer}/onlineMeetings/{meeting}/recordings/{id}/content"),
        "meetingOrganizer": {
            "application": null,
            "device": null,
            "user": {
                "@odata.type": "#microsoft.graph.teamworkUserIdentity",
                "id": organizer,
                "displayName": null,
                "userIdentityType": "aadUser",
                "tenantId": tenant,
            },
        },
    }));
    (id, item)
}

// ---- drive and mail ----

pub(crate) fn drive_item(rng: &mut Rng, parent: &str, folder: bool, at: i64) -> Item {
    const FOLDERS: [&str; 6] = ["Contracts", "Invoices", "Travel", "Team photos", "Archive", "Drafts"];
    const FILES: [(&str, &str); 5] = [
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("txt", "text/plain"),
    ];
    let mut item = object(json!({
        "createdDateTime": clock::stamp(at),
        "lastModifiedDateTime": clock::stamp(at),
        "parentReference": { "driveType": "business", "id": parent },
    }));
    if folder {
        item.insert("name".to_owned(), format!("{} {}", rng.pick(&FOLDERS), rng.below(90) + 10).into());
        item.insert("folder".to_owned(), json!({ "childCount": 0 }));
        item.insert("size".to_owned(), 0.into());
    } else {
        let at = rng.index(FILES.len());
        let (ending, mime) = FILES.get(at).copied().unwrap_or(("txt", "text/plain"));
        let name =
            format!("{} {}.{ending}", rng.pick(&SUBJECTS).replace([':', '/'], ""), rng.below(900) + 100);
        item.insert("name".to_owned(), name.into());
        item.insert("file".to_owned(), json!({ "mimeType": mime }));
        item.insert("size".to_owned(), (rng.below(4_000_000) + 200).into());
    }
    item
}

pub(crate) fn message(rng: &mut Rng, me: &Account, at: i64) -> Item {
    let (given, surname, mail) = person(rng, "fabrikam.example");
    let subject = rng.pick(&SUBJECTS);
    let from = json!({ "emailAddress": { "name": format!("{given} {surname}"), "address": mail } });
    object(json!({
        "subject": subject,
        "bodyPreview": format!("Hello, about {subject}"),
        "body": { "contentType": "text", "content": format!("Hello,\r\nabout {subject}: see you there.\r\n{given}") },
        "receivedDateTime": clock::stamp(at),
        "sentDateTime": clock::stamp(at - 2000),
        "isRead": rng.chance(50),
        "isDraft": false,
        "hasAttachments": rng.chance(20),
        "importance": "normal",
        "internetMessageId": format!("<{}@fabrikam.example>", rng.text(22)),
        "sender": from,
        "from": from,
        "toRecipients": [{ "emailAddress": { "name": me.name, "address": me.address } }],
    }))
}

// ---- events ----

pub(crate) fn when(ms: i64) -> Value {
    json!({ "dateTime": clock::local(ms), "timeZone": "UTC" })
}

/// An event with all properties of a real one.
pub(crate) fn event(rng: &mut Rng, me: &Account, subject: &str, start: i64, end: i64, now: i64) -> Item {
    object(json!({
        "@odata.type": "#microsoft.graph.event",
        "type": "singleInstance",
        "subject": subject,
        "bodyPreview": "",
        "body": { "contentType": "html", "content": "<html>\r\n<head></head>\r\n<body>\r\n</body>\r\n</html>\r\n" },
        "start": when(start),
        "end": when(end),
        "isAllDay": false,
        "isCancelled": false,
        "isOrganizer": true,
        "isDraft": false,
        "isReminderOn": true,
        "reminderMinutesBeforeStart": 15,
        "responseRequested": true,
        "allowNewTimeProposals": true,
        "hideAttendees": false,
        "hasAttachments": false,
        "importance": "normal",
        "sensitivity": "normal",
        "showAs": "busy",
        "categories": [],
        "seriesMasterId": null,
        "recurrence": null,
        "transactionId": null,
        "originalStartTimeZone": "W. Europe Standard Time",
        "originalEndTimeZone": "W. Europe Standard Time",
        "iCalUId": format!("040000008200E00074C5B7101A82E008{:016X}{:016X}", rng.next(), rng.next()),
        "isOnlineMeeting": false,
        "onlineMeetingProvider": "unknown",
        "onlineMeetingUrl": null,
        "onlineMeeting": null,
        "responseStatus": { "response": "organizer", "time": "0001-01-01T00:00:00Z" },
        "location": {
            "displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {},
            "coordinates": {},
        },
        "locations": [],
        "attendees": [],
        "organizer": { "emailAddress": { "name": me.name, "address": me.address } },
        "createdDateTime": clock::stamp(now - 20 * DAY),
        "lastModifiedDateTime": clock::stamp(now - 19 * DAY),
        "webLink": format!("https://outlook.example/calendar/item/{}", rng.text(16)),
    }))
}

fn set(item: &mut Item, key: &str, value: Value) {
    item.insert(key.to_owned(), value);
}

fn people(rng: &mut Rng, n: u64) -> Value {
    (0..n)
        .map(|_| {
            let (given, surname, mail) = person(rng, "fabrikam.example");
            json!({
                "type": if rng.chance(80) { "required" } else { "optional" },
                "status": { "response": rng.pick(&["accepted", "none", "tentativelyAccepted", "declined"]), "time": "0001-01-01T00:00:00Z" },
                "emailAddress": { "name": format!("{given} {surname}"), "address": mail },
            })
        })
        .collect()
}

fn place(item: &mut Item, name: &str) {
    let place = json!({
        "displayName": name, "locationType": "conferenceRoom", "uniqueId": name, "uniqueIdType": "private",
    });
    set(item, "locations", json!([place]));
    set(item, "location", place);
}

fn online(item: &mut Item, rng: &mut Rng) {
    set(item, "isOnlineMeeting", true.into());
    set(item, "onlineMeetingProvider", "teamsForBusiness".into());
    set(
        item,
        "onlineMeeting",
        json!({ "joinUrl": format!("https://teams.example/l/meetup-join/{}", rng.text(24)) }),
    );
}

/// A single event, or a series with its occurrences.
pub(crate) struct Series {
    pub(crate) master: Item,
    /// The start and end of each occurrence. `exception` is the index of the exception.
    pub(crate) occurrences: Vec<(i64, i64)>,
    pub(crate) exception: Option<usize>,
}

const DAILY: [&str; 3] = ["Stand-up", "Support hand-over", "Release watch"];
const WEEKLY: [&str; 4] = ["Weekly team meeting", "Design review", "Hiring round", "Budget check"];

/// A calendar of `n` rows around a day: a fixed mix of kinds of events.
pub(crate) fn calendar(rng: &mut Rng, me: &Account, around: i64, n: u64) -> Vec<Series> {
    let day = around.div_euclid(DAY) * DAY;
    let monday = day - i64::try_from((clock::weekday(day) + 6) % 7).unwrap_or(0) * DAY;
    let mut out = Vec::new();
    let mut left = n;
    let mut step = 0u64;
    while left > 0 {
        // Spreads any number of events over about a year, because a window is limited to 1825 days.
        let shift = i64::try_from(step / 8 % 40).unwrap_or(0);
        let single = |item: Item| Series { master: item, occurrences: Vec::new(), exception: None };
        let next = match step % 8 {
            0 | 5 if left >= 4 => {
                let standup = step.is_multiple_of(8);
                let start = monday
                    + (shift % 2) * 7 * DAY
                    + if standup { 9 * 60 * MINUTE } else { 14 * 60 * MINUTE }
                    + shift * 30 * MINUTE;
                let length = if standup { 15 * MINUTE } else { 45 * MINUTE };
                let titles: &[&str] = if standup { &DAILY } else { &WEEKLY };
                let title =
                    titles.iter().cycle().nth(usize::try_from(shift).unwrap_or(0)).unwrap_or(&"Meeting");
                let mut item = event(rng, me, title, start, start + length, day);
                set(&mut item, "type", "seriesMaster".into());
                set(&mut item, "attendees", people(rng, 4));
                online(&mut item, rng);
                let gaps: Vec<i64> = if standup {
                    (0..14).filter(|d| d % 7 < 5).collect()
                } else {
                    (-1..4).map(|w| w * 7).collect()
                };
                let max = usize::try_from(left - 1).unwrap_or(usize::MAX);
                let occurrences: Vec<_> =
                    gaps.iter().take(max).map(|d| (start + d * DAY, start + d * DAY + length)).collect();
                let pattern = if standup {
                    json!({
                        "type": "weekly", "interval": 1,
                        "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                        "firstDayOfWeek": "monday",
                    })
                } else {
                    json!({
                        "type": "weekly", "interval": 1, "daysOfWeek": ["monday"], "firstDayOfWeek": "monday",
                    })
                };
                let range = json!({
                    "type": "numbered", "startDate": clock::bare(start).split('T').next().unwrap_or(""),
                    "numberOfOccurrences": occurrences.len(),
                });
                set(&mut item, "recurrence", json!({ "pattern": pattern, "range": range }));
                let exception = (occurrences.len() > 2).then_some(2);
                Series { master: item, occurrences, exception }
            }
            2 => {
                let start = day + (3 + shift * 5) * DAY;
                let holiday = shift % 2 == 0;
                let end = start + if holiday { DAY } else { 3 * DAY };
                let mut item =
                    event(rng, me, if holiday { "Public holiday" } else { "Out of office" }, start, end, day);
                set(&mut item, "isAllDay", true.into());
                set(&mut item, "isReminderOn", false.into());
                set(&mut item, "showAs", if holiday { "free" } else { "oof" }.into());
                single(item)
            }
            3 => {
                let start = day + (8 + shift * 9) * DAY + 8 * 60 * MINUTE;
                let mut item = event(
                    rng,
                    me,
                    "Fabrikam partner conference",
                    start,
                    start + 2 * DAY + 9 * 60 * MINUTE,
                    day,
                );
                place(&mut item, "Harbour Congress Centre");
                set(&mut item, "attendees", people(rng, 6));
                single(item)
            }
            4 => {
                let start = day + (1 + shift) * DAY + 13 * 60 * MINUTE;
                let (given, _, _) = person(rng, "contoso.example");
                let mut item = event(rng, me, &format!("1:1 with {given}"), start, start + 30 * MINUTE, day);
                set(&mut item, "attendees", people(rng, 1));
                online(&mut item, rng);
                single(item)
            }
            6 => {
                let start = day + (2 + shift) * DAY + 15 * 60 * MINUTE;
                let subject = format!("Canceled: {}", rng.pick(&SUBJECTS));
                let mut item = event(rng, me, &subject, start, start + 60 * MINUTE, day);
                set(&mut item, "isCancelled", true.into());
                set(&mut item, "isOrganizer", false.into());
                set(&mut item, "showAs", "free".into());
                single(item)
            }
            _ => single(meeting(rng, me, day)),
        };
        left = left.saturating_sub(1 + next.occurrences.len() as u64);
        out.push(next);
        step += 1;
    }
    out
}

/// A meeting in the six weeks around a day.
pub(crate) fn meeting(rng: &mut Rng, me: &Account, day: i64) -> Item {
    let offset = i64::try_from(rng.below(42)).unwrap_or(0) - 14;
    let slot = i64::try_from(rng.below(18)).unwrap_or(0);
    let start = day.div_euclid(DAY) * DAY + offset * DAY + (8 * 60 + slot * 30) * MINUTE;
    let length = 30 * (1 + i64::try_from(rng.below(3)).unwrap_or(0)) * MINUTE;
    let subject = rng.pick(&SUBJECTS);
    let mut item = event(rng, me, subject, start, start + length, day);
    let n = 1 + rng.below(5);
    set(&mut item, "attendees", people(rng, n));
    if rng.chance(50) {
        place(&mut item, rng.pick(&ROOMS));
    } else {
        online(&mut item, rng);
    }
    item
}

/// A small realistic edit.
pub(crate) fn touch(rng: &mut Rng, collection: &str) -> Item {
    object(match collection {
        "events" => json!({ "subject": format!("{} (moved to {})", rng.pick(&SUBJECTS), rng.pick(&ROOMS)) }),
        "contacts" | "users" => {
            let rank = rng.pick(&["Senior", "Acting", "Deputy", "Group"]);
            json!({ "jobTitle": format!("{rank} {}", rng.pick(&TITLES)) })
        }
        "groups" => {
            json!({ "description": format!("Works with {} since day {}", rng.pick(&COMPANIES), rng.below(999)) })
        }
        "drive" => json!({ "size": rng.below(4_000_000) + 200 }),
        "messages" => json!({ "isRead": rng.chance(50), "importance": rng.pick(&["low", "normal", "high"]) }),
        _ => json!({}),
    })
}
