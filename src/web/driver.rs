//! One round: a step in, its deed, an input out. Nothing is decided here.

use std::rc::Rc;

use js_sys::{Array, Date, Function, Math, Object};
use wasm_bindgen::prelude::*;

use super::client::Shared;
use super::fetch::{Answer, Fetch};
use super::json::Json;
use super::leash::Leash;
use super::object::{self, Stop, date, set};
use super::store::CHUNK;
use crate::protocol::change::{Applied, Collapsed, Mode, apply, collapse, pass, sweep};
use crate::protocol::error::{Code, Failure};
use crate::protocol::page;
use crate::protocol::record::Kind;
use crate::protocol::report::Outcome;
use crate::protocol::round::{Delivery, Input, Round, Step};

/// A round that runs.
pub struct Driver {
    round: Round,
    shared: Rc<Shared>,
    key: String,
    leash: Leash,
    on_status: Function,
    /// Whether a consumer sees the items.
    shown: bool,
    /// For the next request.
    token: String,
    /// The items of the page that was fetched.
    items: Option<Vec<Json>>,
    /// What the page that was delivered does.
    page: Option<Collapsed<()>>,
    applied: Applied<Json>,
    /// What to do next.
    step: Option<Step>,
}

impl Driver {
    /// A round that has not begun.
    pub fn new(round: Round, shared: Rc<Shared>, key: String, leash: Leash, on_status: Function, shown: bool) -> Self {
        Self { round, shared, key, leash, on_status, shown, token: String::new(), items: None, page: None, applied: Applied::default(), step: None }
    }

    /// The `RoundReport` so far.
    pub fn report(&self) -> JsValue {
        object::report(&self.round.report)
    }

    /// Ends the round where it is.
    pub fn leave(&mut self) {
        if self.round.report.outcome == Outcome::Running {
            self.round.report.end(Outcome::Partial, Date::now());
            self.tell("idle", |_| {});
        }
    }

    /// The next page, or nothing at the end of the round.
    pub async fn next(&mut self) -> Result<Option<JsValue>, JsValue> {
        let mut step = match self.step.take() {
            Some(step) => step,
            None => self.take(Input::Begin),
        };
        loop {
            let input = match step {
                Step::Deliver(delivery) => match self.deliver(delivery).await {
                    Ok(page) => {
                        self.step = Some(self.take(Input::Delivered));
                        return Ok(Some(page));
                    }
                    Err(stop) => Err(stop),
                },
                Step::Done => {
                    self.tell("idle", |_| {});
                    return Ok(None);
                }
                Step::Fail(failure) => Err((*failure).into()),
                step => self.act(step).await,
            };
            step = self.follow(input)?;
        }
    }

    /// Commits the page that was delivered last.
    pub async fn ack(&mut self) -> Result<(), JsValue> {
        if !matches!(self.step, Some(Step::Await)) {
            return Ok(());
        }
        let commit = self.take(Input::Acked);
        let input = self.act(commit).await;
        let step = self.follow(input)?;
        if let Step::Fail(failure) = step {
            return self.follow(Err((*failure).into())).map(drop);
        }
        self.step = Some(step);
        Ok(())
    }

    fn take(&mut self, input: Input) -> Step {
        self.round.step(input, Date::now(), Math::random())
    }

    /// Goes on, or ends the round in the words of its failure.
    fn follow(&mut self, input: Result<Input, Stop>) -> Result<Step, JsValue> {
        let stop = match input {
            Ok(input) => return Ok(self.take(input)),
            Err(stop) => stop,
        };
        let (outcome, phase) = match &stop {
            Stop::Aborted(_) => (Outcome::Partial, "idle"),
            Stop::Failed(failure, _) if failure.code == Code::Closed => (Outcome::Partial, "closed"),
            Stop::Failed(failure, _) if failure.code == Code::Interaction => (Outcome::Failed, "needs-auth"),
            Stop::Failed(..) => (Outcome::Failed, "failed"),
        };
        self.round.report.end(outcome, Date::now());
        let error = object::rejection(stop, &self.shared.make_error, Some(&self.round.report));
        self.tell(phase, |status| {
            if matches!(phase, "failed" | "needs-auth") {
                set(status, "error", error.clone());
            }
        });
        Err(error)
    }

    fn tell(&self, phase: &str, more: impl FnOnce(&Object)) {
        let status = Object::new();
        set(&status, "phase", phase);
        if let Some(at) = self.round.record().synced_at {
            set(&status, "lastSyncedAt", date(at));
        }
        if self.round.report.outcome == Outcome::Running {
            let progress = Object::new();
            set(&progress, "pages", self.round.report.pages);
            set(&progress, "items", self.round.report.items);
            set(&progress, "requests", self.round.report.requests);
            set(&status, "progress", progress);
        }
        more(&status);
        // The facade's own function; it does not throw.
        let _ = self.on_status.call1(&JsValue::UNDEFINED, &status);
    }

    fn working(&self) {
        self.tell(if self.round.report.resync.is_some() { "resyncing" } else { "syncing" }, |_| {});
    }

    /// Does one step.
    async fn act(&mut self, step: Step) -> Result<Input, Stop> {
        self.leash.check()?;
        match step {
            Step::Load => {
                self.working();
                Ok(Input::Loaded(self.shared.store.load(&self.key).await?.map(Box::new)))
            }
            Step::SignIn(need) => {
                self.token = self.shared.tokens.get(need, &self.leash).await?;
                Ok(Input::SignedIn)
            }
            Step::Fetch(url) => self.fetch(&url).await,
            Step::Sleep(ms, why) => {
                self.tell("waiting", |status| {
                    set(status, "waitUntil", date(Date::now() + ms));
                    set(status, "waitReason", why.as_str());
                });
                self.leash.sleep(ms).await?;
                self.working();
                Ok(Input::Slept)
            }
            Step::Commit { expect, record } => {
                let applied = std::mem::take(&mut self.applied);
                if !self.shared.store.commit(&self.key, expect.as_deref(), &record, &applied).await? {
                    return Ok(Input::Conflict);
                }
                if let Some(page) = self.page.take() {
                    self.round.report.count_page(&page);
                }
                self.round.report.count_changes(&applied);
                Ok(Input::Committed)
            }
            Step::Resync { expect, record } => {
                self.working();
                let stored = self.shared.store.commit(&self.key, expect.as_deref(), &record, &Applied::default()).await?;
                Ok(if stored { Input::Committed } else { Input::Conflict })
            }
            Step::Sweep { after, completed } => {
                let rows = self.shared.store.scan(&self.key, after.as_deref(), CHUNK).await?;
                let last = if rows.len() < CHUNK as usize { None } else { rows.last().map(|(id, _)| id.clone()) };
                self.applied = sweep(rows, &completed);
                Ok(Input::Swept { ghosts: !self.applied.remove.is_empty(), after: last })
            }
            Step::Deliver(_) | Step::Await | Step::Done | Step::Fail(_) => {
                Err(Failure::new(Code::Internal, "a page must be acknowledged before the next one is asked for").into())
            }
        }
    }

    async fn fetch(&mut self, url: &str) -> Result<Input, Stop> {
        self.working();
        let plan = self.round.plan();
        let fetch = Fetch {
            endpoint: &plan.endpoint,
            function: self.shared.fetch.as_ref(),
            token: &self.token,
            prefer: &plan.query.prefer,
            leash: &self.leash,
        };
        Ok(match fetch.get(url).await? {
            Answer::Body(body) => match page::read(&body) {
                Ok(page) => {
                    self.items = Some(page.items);
                    Input::Page(page.link)
                }
                Err(why) => Input::Malformed(why),
            },
            Answer::NotJson => Input::Malformed(page::Malformed::NotJson),
            Answer::Refused(refusal) => Input::Refused(refusal),
            Answer::Unreachable => Input::Unreachable,
        })
    }

    /// A page of Graph's is applied to the rows of its ids; a chunk of the sweep already is.
    async fn deliver(&mut self, delivery: Delivery) -> Result<JsValue, Stop> {
        let query = &self.round.plan().query;
        let mirror = query.mirror;
        if let Some(items) = self.items.take() {
            let mode = Mode { generation: delivery.generation, full: delivery.kind == Kind::Full, minimal: query.minimal };
            let Collapsed { entries, items, duplicates, no_id, not_an_object } = collapse(items, query.dialect(), query.minimal);
            self.page = Some(Collapsed { entries: Vec::new(), items, duplicates, no_id, not_an_object });
            self.applied = if mirror {
                let ids: Vec<&str> = entries.iter().map(|(id, _)| id.as_str()).collect();
                let rows = self.shared.store.rows(&self.key, &ids).await?;
                let mut applied = apply(entries, rows, mode);
                if self.shown {
                    keep(&mut applied)?;
                }
                applied
            } else {
                pass(entries, mode)
            };
        }
        Ok(object::page(delivery, &self.applied.changes, mirror))
    }
}

/// What commits is the page as received, whatever the consumer does to its items meanwhile: the rows get copies.
fn keep(applied: &mut Applied<Json>) -> Result<(), Failure> {
    let items: Array = applied.put.iter().map(|(_, row)| row.item.0.clone()).collect();
    let copies: Array = structured_clone(&items).map_err(|_| Failure::new(Code::Internal, "an item can't be copied"))?.unchecked_into();
    for ((_, row), copy) in applied.put.iter_mut().zip(copies.iter()) {
        row.item = Json(copy);
    }
    Ok(())
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = structuredClone, catch)]
    fn structured_clone(value: &JsValue) -> Result<JsValue, JsValue>;
}
