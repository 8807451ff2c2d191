//! What is stored of a query between its pages: the state record.

use serde::{Deserialize, Serialize};

/// The version of the record's form. A record of a later one is refused, not guessed at.
pub const FORMAT: u32 = 1;

/// Where a query stands. Plain data, readable in the browser's developer tools. Times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// A random epoch and a counter: commits compare it.
    pub revision: String,
    /// What comes next.
    pub phase: Phase,
    /// The link to go on with, byte for byte: the nextLink while paging, else the deltaLink.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
    /// The deltaLink that the running round began with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start: Option<String>,
    /// While sweeping: the last id that was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// Of the running or the last round.
    pub kind: Kind,
    /// Counts the full rounds.
    pub generation: u32,
    /// The index of the next page of the running round.
    pub page: u32,
    /// The Prefer values that were sent last.
    pub prefer: Vec<String>,
    /// When the running or the last round began.
    pub started_at: f64,
    /// When the last complete round ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub synced_at: Option<f64>,
    /// When the last complete full round ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub full_at: Option<f64>,
    /// When Graph asked for a full round, since the last complete one.
    pub resets: Vec<f64>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It lists everything, and what it does not list is gone.
    Full,
    /// It lists what changed.
    Incremental,
}

impl Kind {
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
    /// The generation of the full round that is complete.
    pub fn generation(&self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn for_tests(generation: u32) -> Self {
        Self(generation)
    }
}

impl Record {
    /// Before the first page of the first round. `chance` in `0.0..1.0` makes its epoch.
    pub fn new(now: f64, chance: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "chance is clamped to what fits")]
        let epoch = (chance.clamp(0.0, 0.999_999_999) * f64::from(u32::MAX)) as u32;
        Self {
            format: FORMAT,
            revision: format!("{epoch:08x}.0"),
            phase: Phase::Fresh,
            link: None,
            start: None,
            after: None,
            kind: Kind::Full,
            generation: 0,
            page: 0,
            prefer: Vec::new(),
            started_at: now,
            synced_at: None,
            full_at: None,
            resets: Vec::new(),
        }
    }

    /// The same with the counter of its revision one higher. A revision that can't be counted begins again in the same epoch.
    #[must_use]
    pub fn next(&self) -> Self {
        let (epoch, count) = self.revision.rsplit_once('.').unwrap_or((self.revision.as_str(), ""));
        let count: u64 = count.parse().unwrap_or(0);
        Self { revision: format!("{epoch}.{}", count.wrapping_add(1)), ..self.clone() }
    }

    /// Forgets the link and keeps the generation, so that the next full round can tell its rows from the old ones.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { phase: Phase::Fresh, link: None, start: None, after: None, page: 0, kind: Kind::Full, ..self.next() }
    }

    /// The right to sweep, which only a completed full round gives.
    pub fn completed(&self) -> Option<Completed> {
        (self.phase == Phase::Sweeping && self.kind == Kind::Full).then_some(Completed(self.generation))
    }

    /// Why this record can't be used, if it can't: it came from a store, so nothing about it is taken for granted.
    pub fn defect(&self) -> Option<&'static str> {
        let linked = self.link.as_ref().is_some_and(|link| !link.is_empty());
        if self.format != FORMAT {
            Some("it was written by another version of deltalink")
        } else if self.phase != Phase::Fresh && !linked {
            Some("it has no link")
        } else if self.phase == Phase::Sweeping && self.kind != Kind::Full {
            Some("it is to remove ghosts after a round that was not full")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_stored_form() {
        let record = Record { phase: Phase::Paging, link: Some("https://graph.example/x?$skiptoken=a+b%2B".into()), ..Record::new(5.0, 0.5) };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
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
    fn a_record_that_makes_no_sense_is_told_apart() {
        let good = Record::new(0.0, 0.0);
        assert_eq!(good.defect(), None);
        assert_eq!(Record { format: 2, ..good.clone() }.defect(), Some("it was written by another version of deltalink"));
        assert_eq!(Record { phase: Phase::Idle, ..good.clone() }.defect(), Some("it has no link"));
        assert_eq!(Record { phase: Phase::Paging, link: Some(String::new()), ..good.clone() }.defect(), Some("it has no link"));
        let sweeping = Record { phase: Phase::Sweeping, kind: Kind::Incremental, link: Some("d".into()), ..good };
        assert_eq!(sweeping.defect(), Some("it is to remove ghosts after a round that was not full"));
    }
}
