//! The page at hand, from Graph's items to what is committed. The shell and the model tests run the same one.
//!
//! ```text
//! received ─► ids ─► (the rows of these ids are read) ─► apply ─► [master …] ─► delivered ─► committed
//!                     (a chunk of the mirror is read) ─► sweep ─────────────────► delivered ─► committed
//! ```

use super::change::{Change, Collapsed, Entry, PageEffects, Reason, Row, apply, collapse, pass, side, sweep};
use super::item::Item;
use super::page::Malformed;
use super::query::Query;
use super::recent::RecentVersions;
use super::record::Completed;
use super::report::Report;
use super::round::{Input, Round};

/// What a page brought, as far as the round has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// Members of `value`.
    pub items: u32,
    /// Whether any of them is new to this round.
    pub news: bool,
    /// Whether relationship sets wait for the end of the round.
    pub staged: bool,
    /// Items more in the mirror, or fewer.
    pub growth: i32,
    /// Ids new to the mirror.
    pub fresh: Vec<String>,
    /// Of the ids delivered without an acknowledgement, those that this page does not mention.
    pub left: Vec<String>,
    /// Series masters that this round has not brought.
    pub masters: Vec<String>,
    /// Series masters that this page brings.
    pub brought: Vec<String>,
}

/// The page at hand.
pub struct PageApplier<I> {
    items: Vec<I>,
    page: Option<Collapsed<I>>,
    /// Series masters that are named by occurrences of the page and are not in it.
    masters: Vec<String>,
    applied: PageEffects<I>,
    seen: RecentVersions,
}

impl<I: Item> Default for PageApplier<I> {
    fn default() -> Self {
        Self { items: Vec::new(), page: None, masters: Vec::new(), applied: PageEffects::default(), seen: RecentVersions::default() }
    }
}

impl<I: Item> PageApplier<I> {
    /// Puts down what Graph sent.
    pub fn received(&mut self, items: Vec<I>) {
        self.items = items;
    }

    /// The ids whose rows [`Self::apply`] needs, in the order in which it needs them; none without a mirror.
    pub fn ids(&mut self, query: &Query) -> Vec<&str> {
        let page = self.page.insert(collapse(std::mem::take(&mut self.items), query.reading()));
        let mut ids = Vec::new();
        if !query.mirror {
            return ids;
        }
        self.masters = if query.masters.is_some() { masters(&page.entries) } else { Vec::new() };
        for (id, _) in &page.entries {
            ids.push(id.as_str());
        }
        for id in &self.masters {
            ids.push(id.as_str());
        }
        ids
    }

    /// Applies the page to the rows of its ids.
    pub fn apply(&mut self, rows: Vec<Option<Row<I>>>, round: &Round) -> Input {
        let query = &round.plan().query;
        let mode = round.mode();
        let Some(page) = &mut self.page else { return Input::Applied(Box::default()) };
        let entries = std::mem::take(&mut page.entries);
        let mut sum = PageSummary { items: page.items, ..PageSummary::default() };
        for id in mode.delivered {
            // A round that nobody sees leaves removals to one that its consumer does.
            let told = |entry: &Entry<I>| round.plan().shown || matches!(entry, Entry::Upsert(_));
            if !entries.iter().any(|(other, entry)| other == id && told(entry)) {
                sum.left.push(id.clone());
            }
        }
        let (mut sides, mut edited) = (Vec::new(), Vec::new());
        if query.masters.is_some() {
            for ((id, entry), row) in entries.iter().zip(&rows) {
                let Entry::Upsert(item) = entry else { continue };
                if is(item, "seriesMaster") {
                    sides.push(side(id));
                    sum.brought.push(id.clone());
                } else if row.as_ref().is_some_and(|row| row.round == mode.round && !row.item.same(item)) {
                    edited.extend(item.text_of(MASTER));
                }
            }
        }
        let mut rows = rows.into_iter();
        if query.mirror {
            self.applied = apply(entries, &mut rows, mode, &mut self.seen);
            for change in &self.applied.changes {
                if let Change::Upsert { id, old: None, .. } = change {
                    sum.fresh.push(id.clone());
                }
            }
        } else {
            self.applied = pass(entries, mode, &mut self.seen);
        }
        for (id, row) in std::mem::take(&mut self.masters).into_iter().zip(rows) {
            // An occurrence that changed since this round brought it: what the round brought of its master may be older.
            if edited.contains(&id) || row.is_none_or(|row| row.round != mode.round) {
                sum.masters.push(id);
            }
        }
        // What Graph lists itself takes the place of what was fetched.
        self.applied.remove.append(&mut sides);
        if round.listed() && round.plan().shown {
            // Graph never spoke again of what was delivered before: it is not there.
            for id in std::mem::take(&mut sum.left) {
                self.applied.changes.push(Change::Remove { id, reason: Reason::Ghost, old: None });
            }
        }
        sum.news = self.applied.news;
        sum.staged = self.applied.staged;
        sum.growth = self.applied.growth;
        Input::Applied(Box::new(sum))
    }

    /// Puts a series master, fetched by itself, beside the mirror.
    pub fn master(&mut self, item: I, round: &Round) -> Input {
        let Some(id) = item.text_of("id") else { return Input::Malformed(Malformed::NoId) };
        self.applied.put.push((side(&id), Row::new(round.mode().round, item)));
        Input::Item
    }

    /// Ends a completed full round over a chunk of the mirror; `whole` if there may be more behind it.
    pub fn sweep(&mut self, rows: Vec<(String, Row<I>)>, whole: bool, completed: &Completed) -> Input {
        let after = if whole { rows.last().map(|(id, _)| id.clone()) } else { None };
        self.applied = sweep(rows, completed);
        let work = !self.applied.remove.is_empty() || !self.applied.put.is_empty();
        Input::Swept { work, growth: self.applied.growth, after }
    }

    /// What the page does.
    pub fn applied(&self) -> &PageEffects<I> {
        &self.applied
    }

    /// The same, to put copies in the place of what its consumer gets.
    pub fn applied_mut(&mut self) -> &mut PageEffects<I> {
        &mut self.applied
    }

    /// Takes the page away, committed, and counts it.
    pub fn committed(&mut self, report: &mut Report) -> PageEffects<I> {
        if let Some(page) = self.page.take() {
            report.count_page(&page);
        }
        let applied = std::mem::take(&mut self.applied);
        report.count_changes(&applied);
        applied
    }
}

const MASTER: &str = "seriesMasterId";

fn is<I: Item>(item: &I, kind: &str) -> bool {
    item.text_of("type").is_some_and(|text| text == kind)
}

/// The series masters that bare occurrences name.
fn masters<I: Item>(entries: &[(String, Entry<I>)]) -> Vec<String> {
    let mut masters: Vec<String> = Vec::new();
    for (_, entry) in entries {
        if let Entry::Upsert(item) = entry
            && is(item, "occurrence")
            && let Some(id) = item.text_of(MASTER).filter(|id| !id.is_empty())
            && !masters.contains(&id)
            && !entries.iter().any(|(other, entry)| *other == id && matches!(entry, Entry::Upsert(_)))
        {
            masters.push(id);
        }
    }
    masters
}
