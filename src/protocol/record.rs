//! What is stored of a query between its pages: the state record.

use super::field::{Field, written};
use super::item::Item;
use super::text::{digits, filled, halves, joined, whole};
use crate::planted;

/// The version of the record's form. A record of a later one is refused, not guessed at.
pub const FORMAT: u32 = 1;

/// Where a query stands. Plain data, readable in the browser's developer tools. Times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// A random epoch and a counter: commits compare it.
    pub revision: String,
    /// What comes next.
    pub phase: Phase,
    /// The link to go on with, byte for byte: the nextLink while paging, else the deltaLink.
    pub link: Option<String>,
    /// The deltaLink that the running round began with.
    pub start: Option<String>,
    /// While sweeping: the last id that was looked at.
    pub after: Option<String>,
    /// Of the running or the last round.
    pub kind: Kind,
    /// Counts the full rounds.
    pub generation: u32,
    /// Counts all rounds: rows carry the number of the one that last brought them.
    pub round: u32,
    /// The index of the next page of the running round.
    pub page: u32,
    /// The Prefer values that were sent last.
    pub prefer: Vec<String>,
    /// When the running or the last round began.
    pub started_at: f64,
    /// When the last complete round ended.
    pub synced_at: Option<f64>,
    /// When the last complete full round ended.
    pub full_at: Option<f64>,
    /// When Graph asked for a full round, since the last complete one.
    pub resets: Vec<f64>,
    /// The window of a rolling calendar that the link is for, `start/end`.
    pub window: Option<String>,
    /// Items in the mirror; none if that is not known.
    pub count: Option<u32>,
    /// Series masters that occurrences of this round name and the round has not brought.
    pub masters: Vec<String>,
    /// Ids new to the mirror that a consumer got with a page and has not acknowledged.
    pub delivered: Vec<String>,
    /// Whether rows of this full round hold relationship sets that are not shown yet.
    pub staged: bool,
    /// Pages with items in a row that brought nothing new.
    pub stale: u32,
    /// Empty pages in a row.
    pub empty: u32,
    /// Rounds in a row that ended because Graph refused the link.
    pub refusals: u32,
    /// What this round fell back to after such refusals: 1 the deltaLink it began with, 2 a full round.
    pub fallback: u32,
    /// Whether this round was begun again because its pages brought nothing new.
    pub restarted: bool,
    /// The page size to ask for, where pages of the configured one brought nothing new.
    pub page_size: Option<u32>,
    /// A page size that Graph could not make in this round; 0 if there is none.
    pub too_large: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A full round from the query itself.
    Fresh,
    /// The round goes on at the nextLink.
    Paging,
    /// Graph's pages are done; ghosts are still to be removed.
    Sweeping,
    /// The next round starts at the deltaLink.
    Idle,
}

/// The kind of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It lists everything, and what it does not list is gone.
    Full,
    /// It lists what changed.
    Incremental,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Fresh, Self::Paging, Self::Sweeping, Self::Idle];

    /// The phase as it is stored.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Paging => "paging",
            Self::Sweeping => "sweeping",
            Self::Idle => "idle",
        }
    }
}

impl Kind {
    const ALL: [Self; 2] = [Self::Full, Self::Incremental];

    /// The kind as users see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// The right to remove ghosts: only a record whose full round is complete gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed(u32);

impl Completed {
    /// The number of the full round that is complete.
    pub fn round(&self) -> u32 {
        self.0
    }

    #[cfg(test)]
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn for_tests(round: u32) -> Self {
        Self(round)
    }
}

/// What is wrong with a stored record.
enum Odd {
    Member(&'static str),
    Whole(&'static str),
}

impl Record {
    /// Reads a stored record. It came from a store, so nothing about it is taken for granted.
    pub fn read<I: Item>(stored: &I) -> Result<Self, String> {
        match Self::checked(stored) {
            Ok(record) => Ok(record),
            Err(Odd::Member(name)) => Err(filled("its {} is missing or of the wrong type", &[name])),
            Err(Odd::Whole(why)) => Err(why.to_owned()),
        }
    }

    fn checked<I: Item>(stored: &I) -> Result<Self, Odd> {
        let text = |name: &str| stored.text_of(name);
        let number = |name: &str| stored.get(name).and_then(|value| value.number());
        let list = |name: &str| stored.get(name).and_then(|list| list.list()).unwrap_or_default();
        let texts = |name: &str, to: &mut Vec<String>| {
            for value in list(name) {
                to.extend(value.text());
            }
        };
        // What is not there counts nothing.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
        let small = |name: &str| number(name).unwrap_or(0.0) as u32;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
        let count = |name: &'static str| number(name).map(|count| count as u32).ok_or(Odd::Member(name));
        if count("format")? != FORMAT {
            return Err(Odd::Whole("it was written by another version of deltalink"));
        }
        let mut record = Self::new(number("startedAt").unwrap_or(f64::NAN), 0.0);
        let phase = text("phase").unwrap_or_default();
        let kind = text("kind").unwrap_or_default();
        record.phase = *Phase::ALL.iter().find(|known| known.as_str() == phase).ok_or(Odd::Member("phase"))?;
        record.kind = *Kind::ALL.iter().find(|known| known.as_str() == kind).ok_or(Odd::Member("kind"))?;
        record.link = text("link").filter(|link| !link.is_empty());
        if record.phase != Phase::Fresh && record.link.is_none() {
            return Err(Odd::Whole("it has no link"));
        }
        if record.phase == Phase::Sweeping && record.kind != Kind::Full && !planted::is("an incremental round sweeps") {
            return Err(Odd::Whole("it is to remove ghosts after a round that was not full"));
        }
        record.revision = text("revision").ok_or(Odd::Member("revision"))?;
        record.generation = count("generation")?;
        record.round = count("round")?;
        record.page = count("page")?;
        if record.started_at.is_nan() {
            return Err(Odd::Member("startedAt"));
        }
        record.start = text("start");
        record.after = text("after");
        record.synced_at = number("syncedAt");
        record.full_at = number("fullAt");
        texts("prefer", &mut record.prefer);
        texts("masters", &mut record.masters);
        texts("delivered", &mut record.delivered);
        record.window = text("window");
        record.count = number("count").map(|_| small("count"));
        record.staged = small("staged") > 0;
        record.stale = small("stale");
        record.empty = small("empty");
        record.refusals = small("refusals");
        record.fallback = small("fallback");
        record.restarted = small("restarted") > 0;
        record.page_size = Some(small("pageSize")).filter(|size| *size > 0);
        record.too_large = small("tooLarge");
        for at in list("resets") {
            if let Some(ms) = at.number() {
                record.resets.push(ms);
            }
        }
        Ok(record)
    }

    /// Before the first page of the first round. `chance` in `0.0..1.0` makes its epoch.
    pub fn new(now: f64, chance: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "chance is clamped to what fits")]
        let epoch = (chance.clamp(0.0, 0.999_999_999) * f64::from(u32::MAX)) as u32;
        Self {
            format: FORMAT,
            revision: hex(epoch) + ".0",
            phase: Phase::Fresh,
            link: None,
            start: None,
            after: None,
            kind: Kind::Full,
            generation: 0,
            round: 0,
            page: 0,
            prefer: Vec::new(),
            started_at: now,
            synced_at: None,
            full_at: None,
            resets: Vec::new(),
            window: None,
            count: Some(0),
            masters: Vec::new(),
            delivered: Vec::new(),
            staged: false,
            stale: 0,
            empty: 0,
            refusals: 0,
            fallback: 0,
            restarted: false,
            page_size: None,
            too_large: 0,
        }
    }

    /// The same with the counter of its revision one higher. A revision that can't be counted begins again in the same epoch.
    #[must_use]
    pub fn next(&self) -> Self {
        let (epoch, count) = halves(&self.revision, b".").unwrap_or((&self.revision, ""));
        let count = whole(count).unwrap_or(0);
        Self { revision: joined(&[epoch, &digits(count.wrapping_add(1), 1)], "."), ..self.clone() }
    }

    /// Forgets the link and keeps what tells the rows of the next full round from the old ones.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let mut record = Self { phase: Phase::Fresh, link: None, after: None, kind: Kind::Full, page_size: None, ..self.next() };
        record.close();
        record
    }

    /// Counts what a page brought and took.
    pub fn grow(&mut self, by: i32) {
        self.count = self.count.map(|count| count.saturating_add_signed(by));
    }

    /// Forgets what only counts within a round.
    pub fn close(&mut self) {
        self.page = 0;
        self.start = None;
        self.masters = Vec::new();
        self.staged = false;
        (self.stale, self.empty, self.refusals, self.fallback, self.too_large) = (0, 0, 0, 0, 0);
        self.restarted = false;
    }

    /// Whether a record of this revision may be replaced: a commit compares it with the one that its round has read.
    pub fn may_follow(stored: Option<&Self>, expect: Option<&str>) -> bool {
        stored.map(|record| record.revision.as_str()) == expect || planted::is("no revision is compared")
    }

    /// The right to sweep, which only a completed full round gives.
    pub fn completed(&self) -> Option<Completed> {
        let full = self.kind == Kind::Full || planted::is("an incremental round sweeps");
        (self.phase == Phase::Sweeping && full).then_some(Completed(self.round))
    }
}

/// A number in eight hexadecimal digits.
fn hex(number: u32) -> String {
    let mut out = String::new();
    for at in (0..8).rev() {
        out.push(char::from_digit(number >> (4 * at) & 15, 16).unwrap_or('0'));
    }
    out
}

fn texts(texts: &[String]) -> Field<'_> {
    let mut list = Vec::new();
    for text in texts {
        list.push(Field::Text(text));
    }
    if list.is_empty() { Field::Nothing } else { Field::List(list) }
}

impl Record {
    /// As it is stored.
    pub fn written<I: Item>(&self) -> I {
        let mut resets = Vec::new();
        for at in &self.resets {
            resets.push(Field::Number(*at));
        }
        // What is empty or zero is left out: the record is read by people too.
        let small = |count: u32| if count == 0 { Field::Nothing } else { Field::Number(f64::from(count)) };
        let all = [
            ("format", Field::Number(f64::from(self.format))),
            ("revision", Field::Text(&self.revision)),
            ("phase", Field::Text(self.phase.as_str())),
            ("link", Field::text(self.link.as_deref())),
            ("start", Field::text(self.start.as_deref())),
            ("after", Field::text(self.after.as_deref())),
            ("kind", Field::Text(self.kind.as_str())),
            ("generation", Field::Number(f64::from(self.generation))),
            ("round", Field::Number(f64::from(self.round))),
            ("page", Field::Number(f64::from(self.page))),
            ("prefer", texts(&self.prefer)),
            ("startedAt", Field::Number(self.started_at)),
            ("syncedAt", Field::number(self.synced_at)),
            ("fullAt", Field::number(self.full_at)),
            ("resets", Field::List(resets)),
            ("window", Field::text(self.window.as_deref())),
            ("count", Field::number(self.count.map(f64::from))),
            ("masters", texts(&self.masters)),
            ("delivered", texts(&self.delivered)),
            ("staged", small(self.staged.into())),
            ("stale", small(self.stale)),
            ("empty", small(self.empty)),
            ("refusals", small(self.refusals)),
            ("fallback", small(self.fallback)),
            ("restarted", small(self.restarted.into())),
            ("pageSize", small(self.page_size.unwrap_or(0))),
            ("tooLarge", small(self.too_large)),
        ];
        written(&all)
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_stored_form() {
        let record =
            Record { phase: Phase::Paging, link: Some("https://graph.example/x?$skiptoken=a+b%2B".into()), ..Record::new(5.0, 0.5) };
        assert_eq!(Record::read(&record.written::<serde_json::Value>()), Ok(record));
        let full = Record {
            start: Some("s".into()),
            after: Some("a".into()),
            prefer: vec!["x".into()],
            synced_at: Some(1.0),
            full_at: Some(2.0),
            resets: vec![3.0],
            round: 7,
            window: Some("a/b".into()),
            count: Some(4),
            masters: vec!["m".into()],
            delivered: vec!["i".into()],
            staged: true,
            stale: 1,
            empty: 2,
            refusals: 3,
            fallback: 1,
            restarted: true,
            page_size: Some(40),
            too_large: 80,
            ..Record::new(5.0, 0.5)
        };
        assert_eq!(Record::read(&full.written::<serde_json::Value>()), Ok(full));
    }

    #[test]
    fn each_commit_counts_the_revision_up_within_its_epoch() {
        let record = Record::new(0.0, 0.999);
        let epoch = record.revision.split('.').next().map(str::to_owned);
        let next = record.next().next();
        assert_eq!(next.revision.split_once('.').map(|(epoch, count)| (Some(epoch.to_owned()), count)), Some((epoch, "2")));
        assert_ne!(Record::new(0.0, 0.1).revision, Record::new(0.0, 0.2).revision);
    }

    #[test]
    fn only_a_completed_full_round_gives_the_right_to_sweep() {
        for phase in [Phase::Fresh, Phase::Paging, Phase::Sweeping, Phase::Idle] {
            for kind in [Kind::Full, Kind::Incremental] {
                let record = Record { phase, kind, ..Record::new(0.0, 0.0) };
                assert_eq!(record.completed().is_some(), phase == Phase::Sweeping && kind == Kind::Full);
            }
        }
    }

    #[test]
    fn a_stored_record_of_any_shape_is_told_apart() {
        let with = |change: serde_json::Value| {
            let stored = Record::new(0.0, 0.0).written::<serde_json::Value>();
            Record::read(&stored.overlaid(&change)).map_err(|why| why.clone())
        };
        assert!(with(serde_json::json!({})).is_ok());
        for (change, why) in [
            (serde_json::json!({"format": 2}), "it was written by another version of deltalink"),
            (serde_json::json!({"format": "1"}), "its format is missing or of the wrong type"),
            (serde_json::json!({"phase": "idle"}), "it has no link"),
            (serde_json::json!({"phase": "paging", "link": ""}), "it has no link"),
            (
                serde_json::json!({"phase": "sweeping", "kind": "incremental", "link": "d"}),
                "it is to remove ghosts after a round that was not full",
            ),
            (serde_json::json!({"phase": 3}), "its phase is missing or of the wrong type"),
            (serde_json::json!({"kind": null}), "its kind is missing or of the wrong type"),
            (serde_json::json!({"revision": {}}), "its revision is missing or of the wrong type"),
            (serde_json::json!({"generation": []}), "its generation is missing or of the wrong type"),
            (serde_json::json!({"round": "1"}), "its round is missing or of the wrong type"),
        ] {
            assert_eq!(with(change), Err(why.to_owned()));
        }
        for odd in [serde_json::json!(null), serde_json::json!("x"), serde_json::json!([])] {
            assert!(Record::read(&odd).is_err());
        }
    }
}
