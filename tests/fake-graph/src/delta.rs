//! Rounds and their pages.

use crate::clock;
use crate::data;
use crate::listing::Entry;
use crate::options::{Duplicates, DuringRound};
use crate::page::Page;
use crate::request::{Preferences, Spec, check_zone, select};
use crate::response::{Body, Failure};
use crate::route::{Collection, Route};
use crate::table::Version;
use crate::text::{self, Param};
use crate::world::{Caller, State, World, is_token_name};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// All rounds that began with one initial request.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) spec: Spec,
    /// The generation of the newest link (graph-facts 2.6).
    pub(crate) highest: u64,
}

/// A round, with the entries that it saw when it began.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    stream: usize,
    entries: Vec<Entry>,
    /// The change after which the next round begins.
    pin: u64,
    /// The last change that the round lists.
    listed: u64,
}

impl World {
    pub(crate) fn serve(
        &mut self,
        caller: &Caller,
        route: &Route,
        params: &[Param],
        token: Option<String>,
        preferences: &Preferences,
        now: u64,
    ) -> Result<Body, Failure> {
        let owner = self.owner(caller, route)?;
        if let Some(id) = &route.item {
            return self.single(&owner, id, params, preferences).map(Body::Item);
        }
        let page = match token.as_deref() {
            Some(token)
                if route.collection == Some(Collection::Drive)
                    && clock::parse(&text::decode(token, true)).is_some() =>
            {
                let spec = self.spec(route, owner, params, preferences)?;
                self.begin_at(spec, clock::parse(&text::decode(token, true)).unwrap_or(0), preferences, now)?
            }
            Some(token) if !token.is_empty() && token != "latest" => {
                self.follow(token, route, owner, params, preferences, now)?
            }
            other => {
                let spec = self.spec(route, owner, params, preferences)?;
                self.begin(spec, other == Some("latest"), preferences, now)?
            }
        };
        Ok(Body::Page(Box::new(page)))
    }

    /// A single event, for example a series master that a round withheld (graph-facts 1.3).
    fn single(
        &self,
        owner: &str,
        id: &str,
        params: &[Param],
        preferences: &Preferences,
    ) -> Result<Map<String, Value>, Failure> {
        let missing =
            || Failure::new(404, "ErrorItemNotFound", "The specified object was not found in the store.");
        let user = owner.split('|').next().unwrap_or("");
        let table = self.tables.get(&Collection::Events).ok_or_else(missing)?;
        let fits = |v: &&Arc<Version>| {
            (v.id == id || data::immutable(&v.id) == id)
                && v.gone.is_none()
                && v.owner.split('|').next() == Some(user)
        };
        let row = table.get(id).filter(fits).or_else(|| table.all().find(fits)).ok_or_else(missing)?;
        let mut item = self.event(row, preferences, false)?;
        if row.text("type") == "occurrence" {
            // A single occurrence has all properties of its master.
            if let Some(master) = table.get(row.text("seriesMasterId")) {
                for (key, value) in self.event(master, preferences, false)? {
                    if key != "recurrence" {
                        item.entry(key).or_insert(value);
                    }
                }
            }
        }
        if let Some(select) = params.iter().find(|p| p.name.eq_ignore_ascii_case("$select")) {
            let names: Vec<&str> = select.value.split(',').map(str::trim).collect();
            item.retain(|k, _| k == "id" || k.starts_with('@') || names.contains(&k.as_str()));
        }
        item.insert(
            "@odata.context".to_owned(),
            format!("{}/$metadata#users('{user}')/events/$entity", self.root).into(),
        );
        Ok(item)
    }

    /// Handles an initial request.
    fn begin(
        &mut self,
        spec: Spec,
        latest: bool,
        preferences: &Preferences,
        now: u64,
    ) -> Result<Page, Failure> {
        let is_outlook = spec.collection.is_outlook();
        let stream = self.streams.len();
        if latest && !is_outlook {
            // Sync from now: a deltaLink and no data (graph-facts 2.3).
            self.streams.push(Stream { spec, highest: 0 });
            let round = self.rounds.len();
            self.rounds.push(Round { stream, entries: Vec::new(), pin: self.seq, listed: self.seq });
            return self.page(round, 0, 0, preferences, now);
        }
        let entries = self.full(&spec);
        let mut empty = match &spec.ids {
            Some(_) => self.options.filter_empty_pages,
            None => 0,
        };
        if spec.collection == Collection::Events
            && entries.is_empty()
            && self.options.empty_calendar_two_requests
        {
            empty = empty.max(1);
        }
        if latest {
            // Outlook does not support it and often sends a nextLink (graph-facts 1.3).
            empty = empty.max(1);
        }
        self.streams.push(Stream { spec, highest: 0 });
        self.round(stream, entries, empty, preferences, now)
    }

    /// Handles an initial request of a drive from a date, at most about four months ago
    /// (graph-facts 2.3).
    fn begin_at(
        &mut self,
        spec: Spec,
        at: i64,
        preferences: &Preferences,
        now: u64,
    ) -> Result<Page, Failure> {
        const MONTHS: u64 = 122 * 86_400_000;
        let at = u64::try_from(at).unwrap_or(0);
        if now.saturating_sub(at) > MONTHS {
            let mut failure =
                Failure::new(410, "resyncRequired", "Resync required. The date lies too far back.");
            failure.inner = Some("resyncChangesApplyDifferences".to_owned());
            return Err(failure);
        }
        let rows = self.tables.get(&spec.collection).map(|t| t.changed(&spec.owner, 0)).unwrap_or_default();
        let point = rows.iter().filter(|v| v.changed_ms <= at).map(|v| v.changed).max().unwrap_or(0);
        let entries = self.changes(&spec, point);
        let stream = self.streams.len();
        self.streams.push(Stream { spec, highest: 0 });
        self.round(stream, entries, 0, preferences, now)
    }

    fn round(
        &mut self,
        stream: usize,
        mut entries: Vec<Entry>,
        empty: u64,
        preferences: &Preferences,
        now: u64,
    ) -> Result<Page, Failure> {
        if self.options.reorder {
            self.rng.shuffle(&mut entries);
        }
        let round = self.rounds.len();
        self.rounds.push(Round { stream, entries, pin: self.seq, listed: self.seq });
        self.forget();
        self.page(round, 0, empty, preferences, now)
    }

    /// Drops the entries of old rounds, to limit the memory of a world. Their nextLinks expire.
    fn forget(&mut self) {
        const MAX_ENTRIES: usize = 3_000_000;
        let mut count: usize = self.rounds.iter().map(|r| r.entries.len()).sum();
        let last = self.rounds.len().saturating_sub(1);
        let mut dropped = BTreeSet::new();
        for (at, round) in self.rounds.iter_mut().enumerate().take(last) {
            if count <= MAX_ENTRIES {
                break;
            }
            count -= round.entries.len();
            if !round.entries.is_empty() {
                round.entries = Vec::new();
                dropped.insert(at);
            }
        }
        if !dropped.is_empty() {
            for token in self.issued_links.values_mut() {
                token.is_dead |= matches!(token.state, State::Page { round, .. } if dropped.contains(&round));
            }
        }
    }

    /// Handles a request for a link.
    fn follow(
        &mut self,
        text: &str,
        route: &Route,
        owner: String,
        params: &[Param],
        preferences: &Preferences,
        now: u64,
    ) -> Result<Page, Failure> {
        let Some(collection) = route.collection else {
            return Err(Failure::unexpected(400, "BadRequest", "No collection."));
        };
        let known = self.issued_links.get(text).filter(|t| t.collection == collection).cloned();
        let stream = known.as_ref().and_then(|t| self.streams.get(t.stream)).cloned();
        let (Some(token), Some(stream)) = (known, stream) else {
            return Err(self.never_issued(collection, params));
        };
        if stream.spec.owner != owner {
            return Err(self.never_issued(collection, params));
        }
        if let Some((status, code)) = &token.poison {
            return Err(Failure::new(*status, code, "nextLink value without skip or skiptoken"));
        }
        let has_expired = collection.is_directory()
            && now.saturating_sub(token.issued) > self.options.directory_token_days * 86_400_000;
        let is_superseded = collection.is_outlook()
            && self.options.generations.is_some_and(|n| stream.highest - token.generation >= n.max(1));
        if token.is_dead || has_expired || is_superseded {
            return Err(self.expired(collection, route, token.generation, stream.highest));
        }
        if collection.is_outlook() {
            check_zone(preferences, self.zone_offset)?;
        }
        let mut at = token.stream;
        for param in params {
            let name = param.name.to_ascii_lowercase();
            let dates =
                collection == Collection::Events && matches!(name.as_str(), "startdatetime" | "enddatetime");
            if is_token_name(Some(collection), &name) || (dates && self.options.ignore_repeated_dates) {
                continue;
            }
            if name == "$select" && collection.is_directory() && !token.is_next {
                // Some directory kinds allow adding this parameter to a deltaLink
                // (graph-facts 2.3).
                let mut spec = stream.spec.clone();
                spec.select = Some(select(collection, param.value.trim())?);
                at = self.streams.len();
                self.streams.push(Stream { spec, highest: stream.highest });
                continue;
            }
            let code = if collection.is_outlook() { "ErrorInvalidUrlQuery" } else { "BadRequest" };
            return Err(Failure::unexpected(
                400,
                code,
                format!("The query parameter '{}' cannot be repeated with a token.", param.name),
            ));
        }
        match token.state {
            State::Page { round, at, empty } => self.page(round, at, empty, preferences, now),
            State::Since(point) => {
                let spec = self.streams.get(at).map_or(stream.spec, |s| s.spec.clone());
                let mut entries = self.changes(&spec, point);
                if collection == Collection::Recordings && self.options.older_artifacts {
                    // "Delta queries might return older artifacts" (graph-facts 1.1, known issue
                    // 22934).
                    let old: Vec<_> = self
                        .tables
                        .get(&collection)
                        .map(|t| t.present(&spec.owner))
                        .unwrap_or_default()
                        .into_iter()
                        .filter(|v| v.created <= point)
                        .collect();
                    let n = self.rng.index(old.len());
                    entries.extend(old.get(n).map(|row| Entry {
                        row: Arc::clone(row),
                        gone: None,
                        since: Some(point),
                        relations: Vec::new(),
                        is_slice: false,
                    }));
                }
                self.round(at, entries, 0, preferences, now)
            }
        }
    }

    // ---- pages and links ----

    fn page_size(&self, spec: &Spec, preferences: &Preferences) -> usize {
        let requested = match spec.collection {
            c if c.is_outlook() => {
                preferences.max_page.filter(|_| self.options.honour_maxpagesize).or(spec.top)
            }
            _ => spec.top,
        };
        let size = requested.unwrap_or(self.options.page_size).min(self.options.maxpagesize_cap).max(1)
            + self.options.page_overshoot;
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    fn page(
        &mut self,
        number: usize,
        at: usize,
        empty: u64,
        preferences: &Preferences,
        now: u64,
    ) -> Result<Page, Failure> {
        let broken = || Failure::new(500, "InternalServerError", "The round does not exist.");
        let stream = self.rounds.get(number).map(|r| r.stream).ok_or_else(broken)?;
        let spec = self.streams.get(stream).map(|s| s.spec.clone()).ok_or_else(broken)?;
        let here = State::Page { round: number, at, empty };
        let context = self
            .options
            .odata_context
            .then(|| format!("{}/$metadata#{}", self.root, context(spec.collection)));
        let mut page = Page {
            context,
            next: None,
            delta: None,
            has_count: spec.collection == Collection::Recordings,
            value: Vec::new(),
            is_link_last: spec.collection == Collection::Drive,
            stream,
            here,
            value_fault: None,
        };
        if empty > 0 {
            page.next = self.mint(stream, State::Page { round: number, at, empty: empty - 1 }, true, now);
            return Ok(page);
        }
        let size = self.page_size(&spec, preferences);
        let mut len = self.rounds.get(number).map_or(0, |r| r.entries.len());
        if at.saturating_add(size) >= len {
            self.catch_up(number, &spec);
            len = self.rounds.get(number).map_or(0, |r| r.entries.len());
        }
        let mut end = at.saturating_add(size).min(len);
        let mut chosen: Vec<Entry> =
            self.rounds.get(number).and_then(|r| r.entries.get(at..end)).unwrap_or_default().to_vec();
        // A large group is repeated on further pages with other members (graph-facts 2.2).
        let mut ids = BTreeSet::new();
        if let Some(cut) = chosen.iter().position(|e| !ids.insert(e.row.id.clone()) && e.is_slice) {
            chosen.truncate(cut);
            end = at + cut;
        }
        if self.options.duplicates != Duplicates::None {
            self.repeat(number, at, &mut chosen);
        }
        let is_live = self.options.changes_during_round == DuringRound::Live;
        for mut entry in chosen {
            if is_live && entry.gone.is_none() {
                let present = self.tables.get(&spec.collection).and_then(|t| t.get(&entry.row.id)).cloned();
                match present {
                    Some(row) if row.gone.is_none() => entry.row = row,
                    _ => continue,
                }
            }
            page.value.push(self.render(&spec, &entry, preferences)?);
        }
        if end < len || (self.options.trailing_empty_page && end > at) {
            let empty = if end < len { self.options.empty_pages } else { 0 };
            page.next = self.mint(stream, State::Page { round: number, at: end, empty }, true, now);
            if spec.collection == Collection::Recordings
                && spec.top.is_some()
                && self.options.top_drops_next_link
            {
                page.next = None;
            }
        } else {
            let point = self.rounds.get(number).map_or(self.seq, |r| r.pin);
            page.delta = self.mint(stream, State::Since(point), false, now);
        }
        Ok(page)
    }

    /// Adds the changes since the round began, if the option says so.
    fn catch_up(&mut self, number: usize, spec: &Spec) {
        let mode = self.options.changes_during_round;
        if !matches!(mode, DuringRound::LaterInRound | DuringRound::Both) {
            return;
        }
        let seq = self.seq;
        let Some(from) = self.rounds.get(number).map(|r| r.listed).filter(|l| *l < seq) else { return };
        let more = self.changes(spec, from);
        if let Some(round) = self.rounds.get_mut(number) {
            round.entries.extend(more);
            round.listed = seq;
            if mode == DuringRound::LaterInRound {
                round.pin = seq;
            }
        }
    }

    fn repeat(&self, number: usize, at: usize, chosen: &mut Vec<Entry>) {
        let mode = self.options.duplicates;
        if matches!(mode, Duplicates::Page | Duplicates::Both) {
            // Not after a newer entry of the same item, because "use the last occurrence you see"
            // must hold.
            let first =
                chosen.first().filter(|f| chosen.iter().skip(1).all(|e| e.row.id != f.row.id)).cloned();
            chosen.extend(first);
        }
        if matches!(mode, Duplicates::Pages | Duplicates::Both)
            && let Some(before) = at.checked_sub(1).and_then(|b| self.rounds.get(number)?.entries.get(b))
        {
            chosen.insert(0, before.clone());
        }
    }
}

fn context(collection: Collection) -> &'static str {
    match collection {
        Collection::Events => "Collection(event)",
        Collection::Contacts => "contacts",
        Collection::Recordings => "Collection(callRecording)",
        Collection::Users => "users",
        Collection::Groups => "groups",
        Collection::Drive => "Collection(driveItem)",
        Collection::Messages => "Collection(message)",
    }
}
