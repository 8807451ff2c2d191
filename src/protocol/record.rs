//! The state record of a query, which is stored with each page.

use std::collections::HashSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::series::{SeriesSummary, Window};
use super::time::Instant;

/// The version of the stored form. A record of another version is refused.
pub const FORMAT: u32 = 1;

/// The maximum number of series masters that the next round requests again: each costs a request.
const MAX_MISSING_MASTERS: usize = 100;
const OTHER_VERSION: &str = "it was written by another version of deltalink";

/// The state of a query. Plain data, readable in the browser's developer tools.
///
/// Most empty lists and zeros are not stored, and a missing one is read as such.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`].
    #[serde(deserialize_with = "this_format")]
    pub format: u32,
    /// A random epoch and a counter. Commits compare it.
    pub revision: String,
    /// The first step of the next round.
    pub phase: Phase,
    /// The link to continue with, byte for byte: the nextLink while paging, otherwise the
    /// deltaLink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The deltaLink that the running round began with.
    #[serde(rename = "start", default, skip_serializing_if = "Option::is_none")]
    pub start_link: Option<String>,
    /// While sweeping: the last id that was swept.
    #[serde(rename = "after", default, skip_serializing_if = "Option::is_none")]
    pub sweep_after: Option<String>,
    /// The kind of the running or last round.
    pub kind: Kind,
    /// The number of full rounds so far.
    pub generation: u32,
    /// The number of the running or last round. A row carries that of the round that last received
    /// it.
    #[serde(rename = "round")]
    pub round_number: u32,
    /// The index of the next page of the running round.
    #[serde(rename = "page")]
    pub page_index: u32,
    /// The Prefer values of the last request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefer: Vec<String>,
    /// When the running or the last round began.
    pub started_at: Instant,
    /// When the last complete round ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<Instant>,
    /// When the last complete full round ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_at: Option<Instant>,
    /// When Graph required full rounds, by resets or refusals, since the last complete round.
    #[serde(rename = "resets", default)]
    pub reset_times: Vec<Instant>,
    /// The window of a rolling calendar that the link belongs to, `start/end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// The number of items in the mirror, or `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Series masters that the round has not received, although its occurrences name them.
    #[serde(rename = "masters", default, skip_serializing_if = "Vec::is_empty")]
    pub awaited_masters: Vec<String>,
    /// Series masters that could not be fetched: the next round requests them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_masters: Vec<String>,
    /// Series masters that the running or last round received, and whose series take place on other
    /// dates than before: occurrences that the round did not receive are to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved_series: Vec<String>,
    /// Series masters that the round received and whose series may have moved: masters that
    /// cannot be compared with a stored one, and late ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_series: Vec<String>,
    /// Series masters that earlier rounds could not fetch. Their occurrences may be newer than
    /// the stored copy of the master.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late_masters: Vec<String>,
    /// The number of a round that stored series masters. If that round was interrupted before its
    /// first commit, its number is not used again: a later round may receive newer masters.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub masters_round: u32,
    /// Series masters that the round removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_series: Vec<String>,
    /// Whether a later round has to list everything, because this one may have missed changes.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub relist: bool,
    /// Whether the running full round must be followed by another full round.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub relist_again: bool,
    /// When a round last listed everything because of [`Self::relist`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relisted_at: Option<Instant>,
    /// Drives: whether two rows of a folder may have the same name.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub check_names: bool,
    /// Ids new to the mirror that a consumer received and has not acknowledged.
    #[serde(rename = "delivered", default, skip_serializing_if = "Vec::is_empty")]
    pub unacknowledged: Vec<String>,
    /// Whether rows of this full round have staged relationship sets, which are not published yet.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub staged: bool,
    /// Whether an item of this full round had no usable id. Rows that the round did not list may
    /// then still exist, so nothing is swept.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub unidentified: bool,
    /// Whether the link was made with `return=minimal`. Its pages may contain partial objects
    /// even if the query no longer requests them.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub minimal: bool,
    /// Consecutive pages with items that brought nothing new.
    #[serde(rename = "stale", default, skip_serializing_if = "is_zero")]
    pub no_progress_pages: u32,
    /// Consecutive empty pages.
    #[serde(rename = "empty", default, skip_serializing_if = "is_zero")]
    pub empty_pages: u32,
    /// Consecutive rounds that ended because Graph refused the link.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// When rounds ended with 402 or 403 on the link, at least an hour apart.
    #[serde(rename = "forbidden", default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden_times: Vec<Instant>,
    /// The fallback of this round after such refusals.
    #[serde(default, skip_serializing_if = "Fallback::is_none")]
    pub fallback: Fallback,
    /// Whether this round was restarted because its pages brought nothing new.
    #[serde(default, skip_serializing_if = "is_false", with = "flag")]
    pub restarted: bool,
    /// The page size to request instead of the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The maximum number of items on a page whose size Graph chose.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub largest_page: u32,
    /// A page size that failed in this round, or 0.
    #[serde(rename = "tooLarge", default, skip_serializing_if = "is_zero")]
    pub rejected_page_size: u32,
}

/// The first step of the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It lists everything, from the query itself.
    Fresh,
    /// It continues at the nextLink.
    Paging,
    /// It removes the ghosts of a round whose pages are done.
    Sweeping,
    /// It starts at the deltaLink.
    Idle,
}

/// The fallback of a round whose link Graph keeps refusing. Stored as 0, 1 and 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum Fallback {
    /// Nothing: the round follows its own links.
    #[default]
    None,
    /// The deltaLink that the round began with.
    StartLink,
    /// A full round.
    FullRound,
}

impl Fallback {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl From<u32> for Fallback {
    fn from(stored: u32) -> Self {
        match stored {
            0 => Self::None,
            1 => Self::StartLink,
            _ => Self::FullRound,
        }
    }
}

impl From<Fallback> for u32 {
    fn from(fallback: Fallback) -> Self {
        match fallback {
            Fallback::None => 0,
            Fallback::StartLink => 1,
            Fallback::FullRound => 2,
        }
    }
}

/// The kind of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It begins at the query itself and lists everything.
    Full,
    /// It lists changes.
    Incremental,
}

/// The right to sweep. Only the record of a completed round grants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    round: u32,
    scope: SweepScope,
}

/// The rows that a sweep looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum SweepScope {
    /// Rows that a full round did not list.
    Ghosts {
        /// Whether every item of the round had a usable id. Only then is an unlisted item gone.
        lists_all: bool,
        /// The rolling window that the round listed.
        window: Option<Window>,
        /// Series masters that the round could not fetch: their earlier copies stay.
        missing_masters: Vec<String>,
    },
    /// Occurrences that an incremental round did not receive, although it received the masters of
    /// their series.
    Series {
        /// Masters of series that take place on other dates than before.
        moved: Vec<String>,
        /// Masters of series that may have moved.
        unknown: Vec<String>,
        /// Masters that were removed.
        removed: Vec<String>,
    },
    /// Drives: rows whose name another row of the same folder has.
    Names,
}

impl Completed {
    /// The number of the completed round.
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The rows to look for.
    pub fn sweep_scope(&self) -> &SweepScope {
        &self.scope
    }

    #[cfg(test)]
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn for_tests(round: u32) -> Self {
        Self {
            round,
            scope: SweepScope::Ghosts { lists_all: true, window: None, missing_masters: Vec::new() },
        }
    }
}

impl Record {
    /// Reads a stored record. It comes from a store that others can write, so every field is
    /// checked. The error is a sentence about the record. It may name a field, and never repeats
    /// its content.
    pub fn read<'de, D: Deserializer<'de>>(stored: D) -> Result<Self, String> {
        let record = Self::deserialize(stored).map_err(|error| explain(&error.to_string()))?;
        let has_link = record.link.as_ref().is_some_and(|link| !link.is_empty());
        if record.phase != Phase::Fresh && !has_link {
            return Err("it has no link".to_owned());
        }
        if record.phase == Phase::Sweeping && record.kind != Kind::Full {
            return Err("its phase is sweeping, but its round was not a full one".to_owned());
        }
        Ok(record)
    }

    /// Returns the record before the first page of the first round. `random` in `0.0..1.0` makes
    /// its epoch.
    pub fn new(now: Instant, random: f64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "random is clamped to the range of u32"
        )]
        let epoch = (random.clamp(0.0, 0.999_999_999) * f64::from(u32::MAX)) as u32;
        Self {
            format: FORMAT,
            revision: format!("{epoch:08x}.0"),
            phase: Phase::Fresh,
            link: None,
            start_link: None,
            sweep_after: None,
            kind: Kind::Full,
            generation: 0,
            round_number: 0,
            page_index: 0,
            prefer: Vec::new(),
            started_at: now,
            synced_at: None,
            full_at: None,
            reset_times: Vec::new(),
            window: None,
            count: Some(0),
            awaited_masters: Vec::new(),
            missing_masters: Vec::new(),
            moved_series: Vec::new(),
            unknown_series: Vec::new(),
            late_masters: Vec::new(),
            removed_series: Vec::new(),
            masters_round: 0,
            relist: false,
            relist_again: false,
            relisted_at: None,
            check_names: false,
            unacknowledged: Vec::new(),
            staged: false,
            unidentified: false,
            minimal: false,
            no_progress_pages: 0,
            empty_pages: 0,
            refusals: 0,
            forbidden_times: Vec::new(),
            fallback: Fallback::None,
            restarted: false,
            page_size: None,
            largest_page: 0,
            rejected_page_size: 0,
        }
    }

    /// Returns the same record with the next revision. A malformed counter restarts in the same
    /// epoch.
    #[must_use]
    pub fn next_revision(&self) -> Self {
        let (epoch, count) = self.revision.split_once('.').unwrap_or((&self.revision, ""));
        let count: u64 = count.parse().unwrap_or(0);
        Self { revision: format!("{epoch}.{}", count.wrapping_add(1)), ..self.clone() }
    }

    /// Returns the record without its link. Keeps the round number and the generation, which
    /// distinguish the rows of the next full round from the old ones.
    #[must_use]
    pub fn without_link(&self) -> Self {
        let mut record = Self {
            phase: Phase::Fresh,
            link: None,
            sweep_after: None,
            kind: Kind::Full,
            page_size: None,
            ..self.next_revision()
        };
        record.clear_round_counts();
        record
    }

    /// Adds the items that a page added, minus those that it removed.
    pub fn add_to_count(&mut self, by: i32) {
        self.count = self.count.map(|count| count.saturating_add_signed(by));
    }

    /// Resets the fields that have a meaning only within a round.
    pub fn clear_round_counts(&mut self) {
        self.page_index = 0;
        self.start_link = None;
        self.awaited_masters = Vec::new();
        self.staged = false;
        self.unidentified = false;
        (self.no_progress_pages, self.empty_pages, self.refusals, self.rejected_page_size) = (0, 0, 0, 0);
        self.fallback = Fallback::None;
        self.restarted = false;
    }

    /// Records which series a round received.
    pub fn add_series(&mut self, mut series: SeriesSummary) {
        if series.moved_meanwhile {
            self.require_relist();
        }
        let late: HashSet<&str> = self.late_masters.iter().map(String::as_str).collect();
        let (unknown, moved): (Vec<_>, Vec<_>) =
            series.moved.into_iter().partition(|id| late.contains(id.as_str()));
        series.moved = moved;
        series.unknown.extend(unknown);
        for (list, new) in [
            (&mut self.moved_series, series.moved),
            (&mut self.unknown_series, series.unknown),
            (&mut self.removed_series, series.removed),
        ] {
            let known: HashSet<&str> = list.iter().map(String::as_str).collect();
            let new: Vec<String> = new.into_iter().filter(|id| !known.contains(id.as_str())).collect();
            list.extend(new);
        }
    }

    /// Records a series master that cannot be fetched. The next round requests a limited number of
    /// them again.
    pub fn add_missing_master(&mut self, id: &str) {
        if self.missing_masters.len() < MAX_MISSING_MASTERS {
            self.missing_masters.push(id.to_owned());
        } else {
            self.require_relist();
        }
    }

    /// Records that a later round has to list everything.
    fn require_relist(&mut self) {
        match self.kind {
            Kind::Full => self.relist_again = true,
            Kind::Incremental => self.relist = true,
        }
    }

    /// Whether a commit may replace the stored record: it must have the revision that the round has
    /// read.
    pub fn may_follow(stored: Option<&Self>, expect: Option<&str>) -> bool {
        stored.map(|record| record.revision.as_str()) == expect
    }

    /// Returns the sweep that is still to be done. Only a completed round may sweep.
    pub fn completed(&self) -> Option<Completed> {
        let scope = match self.phase {
            Phase::Sweeping if self.kind == Kind::Full => SweepScope::Ghosts {
                lists_all: !self.unidentified,
                window: self.window.as_deref().and_then(Window::parse),
                missing_masters: self.missing_masters.clone(),
            },
            // An interrupted round has recorded series without receiving all their occurrences.
            Phase::Idle if self.has_changed_series() && self.masters_round <= self.round_number => {
                SweepScope::Series {
                    moved: self.moved_series.clone(),
                    unknown: self.unknown_series.clone(),
                    removed: self.removed_series.clone(),
                }
            }
            Phase::Idle if self.check_names => SweepScope::Names,
            _ => return None,
        };
        Some(Completed { round: self.round_number, scope })
    }

    /// The number of the next round. No interrupted round has used it.
    pub fn next_round_number(&self) -> u32 {
        self.round_number.max(self.masters_round).saturating_add(1)
    }

    fn has_changed_series(&self) -> bool {
        [&self.moved_series, &self.unknown_series, &self.removed_series].iter().any(|ids| !ids.is_empty())
    }

    /// Forgets which series a round received.
    pub fn clear_series(&mut self) {
        for ids in [&mut self.moved_series, &mut self.unknown_series, &mut self.removed_series] {
            ids.clear();
        }
    }

    /// Records that a sweep has reached the end of the mirror.
    pub fn swept(&mut self, completed: &Completed) {
        self.sweep_after = None;
        match completed.sweep_scope() {
            SweepScope::Ghosts { .. } => self.phase = Phase::Idle,
            SweepScope::Series { .. } => self.clear_series(),
            SweepScope::Names => self.check_names = false,
        }
    }
}

/// Explains an error of the deserializer. Its own message may repeat a field's content, such as a
/// link.
fn explain(message: &str) -> String {
    if message.contains(OTHER_VERSION) {
        return OTHER_VERSION.to_owned();
    }
    match message.split_once("missing field `").and_then(|(_, rest)| rest.split_once('`')) {
        Some((name, _)) => format!("its {name} is missing"),
        None => "one of its fields has the wrong type".to_owned(),
    }
}

fn this_format<'de, D: Deserializer<'de>>(stored: D) -> Result<u32, D::Error> {
    let format = u32::deserialize(stored)?;
    if format == FORMAT { Ok(format) } else { Err(D::Error::custom(OTHER_VERSION)) }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Flags are stored as 0 and 1, as version 0.1.0 stored them.
mod flag {
    use super::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(u32::from(*flag))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        Ok(u32::deserialize(deserializer)? > 0)
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
