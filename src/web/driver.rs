//! One round: a step in, its deed, an input out. Nothing is decided here.

use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Array, Date, Function, Math, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::client::Shared;
use super::fetch::{self, Answer, Fetch};
use super::json::Json;
use super::leash::{Leash, timer};
use super::object::{self, Stop, set, set_date, set_number, set_text};
use super::store::{self, CHUNK};
use crate::protocol::change::Applied;
use crate::protocol::desk::Desk;
use crate::protocol::error::{Code, Failure, Read};
use crate::protocol::page;
use crate::protocol::report::Outcome;
use crate::protocol::round::{Delivery, Input, Round, Step};

/// A round that runs.
pub struct Driver {
    round: Round,
    shared: Rc<Shared>,
    key: JsValue,
    leash: Leash,
    on_status: Function,
    /// Whether a consumer sees the items.
    shown: bool,
    /// Whether anybody could hear of the changes that the next page brings.
    pub heard: bool,
    /// For the next request.
    token: String,
    /// The page at hand.
    desk: Desk<Json>,
    /// The page as the consumer gets it.
    delivered: Option<JsValue>,
    /// What to do next.
    step: Option<Step>,
}

/// What a step has come to.
enum Turn {
    Over(Input),
    Wait(Promise, Then),
}

/// Where an answer goes.
enum Then {
    Token,
    Response(bool),
    /// Of a page, or of one object.
    Body(JsValue, bool),
    /// What is left of a sleep behind this slice of it, in milliseconds.
    Timer(f64, Timeout),
    Store(Step),
}

impl Driver {
    /// A round that has not begun.
    pub fn new(round: Round, shared: Rc<Shared>, key: JsValue, leash: Leash, on_status: Function, shown: bool) -> Self {
        Self {
            round,
            shared,
            key,
            leash,
            on_status,
            shown,
            heard: false,
            token: String::new(),
            desk: Desk::default(),
            delivered: None,
            step: None,
        }
    }

    /// The `RoundReport` so far.
    pub fn report(&self) -> JsValue {
        object::report(&self.round.report)
    }

    /// Ends the round where it is.
    pub fn leave(&mut self) {
        if self.round.report.outcome == Outcome::Running {
            self.round.report.end(Outcome::Partial, Date::now());
            self.tell(&self.status("idle"));
        }
    }

    /// The next page, or undefined at the end of the round; with `acked`, commits the page that was delivered last and stops.
    pub async fn go(&mut self, acked: bool) -> Result<JsValue, JsValue> {
        let mut step = match self.step.take() {
            Some(Step::Await) if acked => self.take(Input::Acked),
            step if acked => {
                self.step = step;
                return Ok(JsValue::UNDEFINED);
            }
            Some(step) => step,
            None => self.take(Input::Begin),
        };
        loop {
            let input = match step {
                Step::Done => {
                    self.tell(&self.status("idle"));
                    return Ok(JsValue::UNDEFINED);
                }
                Step::Fail(failure) => Err(failure.into()),
                step => self.act(step).await,
            };
            if let Ok(Input::Delivered) = input {
                self.step = Some(self.take(Input::Delivered));
                return Ok(self.delivered.take().unwrap_or(JsValue::UNDEFINED));
            }
            step = self.follow(input)?;
            // A commit that was refused rejects the acknowledgement itself.
            if acked && !matches!(step, Step::Fail(_)) {
                self.step = Some(step);
                return Ok(JsValue::UNDEFINED);
            }
        }
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
            Stop::Failed(failure, _) => match failure.code {
                Code::Closed => (Outcome::Partial, "closed"),
                Code::Interaction => (Outcome::Failed, "needs-auth"),
                _ => (Outcome::Failed, "failed"),
            },
            Stop::Store(error) if object::text(error, "code").as_deref() == Some(Code::Closed.as_str()) => (Outcome::Partial, "closed"),
            Stop::Store(_) => (Outcome::Failed, "failed"),
        };
        self.round.report.end(outcome, Date::now());
        let error = object::rejection(stop, &self.shared.make_error, Some(&self.round.report));
        let status = self.status(phase);
        if outcome == Outcome::Failed {
            set(&status, "error", &error);
        }
        self.tell(&status);
        Err(error)
    }

    fn status(&self, phase: &str) -> Object {
        let status = Object::new();
        set_text(&status, "phase", phase);
        set_date(&status, "lastSyncedAt", self.round.record().synced_at);
        let report = &self.round.report;
        if report.outcome == Outcome::Running {
            let progress = Object::new();
            for (name, count) in [("pages", report.pages), ("items", report.items), ("requests", report.requests)] {
                set_number(&progress, name, count.into());
            }
            set(&status, "progress", &progress);
        }
        status
    }

    fn tell(&self, status: &Object) {
        // The facade's own function; it does not throw.
        let _ = self.on_status.call1(&JsValue::UNDEFINED, status);
    }

    fn working(&self) {
        self.tell(&self.status(if self.round.report.resync.is_some() { "resyncing" } else { "syncing" }));
    }

    /// Does one step. All that a round waits for is waited for here: every `await` is a state of its own in the wasm.
    async fn act(&mut self, step: Step) -> Result<Input, Stop> {
        let mut turn = self.begin(step)?;
        loop {
            match turn {
                Turn::Over(input) => return Ok(input),
                Turn::Wait(promise, then) => {
                    let answer = JsFuture::from(self.leash.hold(&promise)).await;
                    turn = self.go_on(then, answer)?;
                }
            }
        }
    }

    fn begin(&mut self, step: Step) -> Result<Turn, Stop> {
        if !matches!(step, Step::Deliver(_)) {
            self.leash.check()?;
        }
        match step {
            Step::SignIn(need) => {
                if let Some(token) = self.shared.tokens.kept(need) {
                    self.token = token;
                    return Ok(Turn::Over(Input::SignedIn));
                }
                let promise = self.shared.tokens.ask(need, &self.leash);
                Ok(Turn::Wait(promise, Then::Token))
            }
            Step::Fetch(ref url) | Step::Item(ref url) => {
                self.working();
                let prefer = self.round.prefer();
                let plan = self.round.plan();
                let fetch = Fetch {
                    endpoint: &plan.endpoint,
                    function: self.shared.fetch.as_ref(),
                    token: &self.token,
                    prefer: &prefer,
                    leash: &self.leash,
                };
                Ok(Turn::Wait(fetch.send(url)?, Then::Response(matches!(step, Step::Item(_)))))
            }
            Step::Sleep(ms, why) => {
                let status = self.status("waiting");
                set_date(&status, "waitUntil", Some(Date::now() + ms));
                set_text(&status, "waitReason", why.as_str());
                self.tell(&status);
                Ok(self.sleep(ms))
            }
            step => match self.ask(&step)? {
                Some(promise) => Ok(Turn::Wait(promise, Then::Store(step))),
                None => self.answered(step, JsValue::UNDEFINED).map(Turn::Over),
            },
        }
    }

    fn go_on(&mut self, then: Then, answer: Result<JsValue, JsValue>) -> Result<Turn, Stop> {
        // Of a commit that is cut off here nothing is known; if it was stored, the next round goes on behind it.
        self.leash.check()?;
        if let Then::Store(step) = then {
            return self.answered(step, answer.map_err(Stop::Store)?).map(Turn::Over);
        }
        Ok(match then {
            Then::Response(item) => match fetch::opened(answer)? {
                Ok((response, body)) => Turn::Wait(body, Then::Body(response, item)),
                Err(answer) => Turn::Over(self.read(answer, item)),
            },
            Then::Body(response, item) => Turn::Over(self.read(fetch::answer(&response, answer), item)),
            Then::Timer(left, timeout) => {
                drop(timeout);
                self.sleep(left)
            }
            _ => {
                self.token = self.shared.tokens.taken(answer)?;
                Turn::Over(Input::SignedIn)
            }
        })
    }

    /// By the timers alone: the clock may be set back meanwhile.
    fn sleep(&self, left: f64) -> Turn {
        if left <= 0.0 {
            self.working();
            return Turn::Over(Input::Slept);
        }
        let (promise, timeout, slice) = timer(left);
        Turn::Wait(promise, Then::Timer(left - slice, timeout))
    }

    /// What a step asks of the store.
    fn ask(&mut self, step: &Step) -> Read<Option<Promise>> {
        let store = &self.shared.store;
        let asked = match step {
            Step::Load => {
                self.working();
                store.load(&self.key)
            }
            Step::Commit { expect, record } => store.commit(&self.key, expect.as_deref(), record, self.desk.applied())?,
            Step::Note { expect, record } => store.commit(&self.key, expect.as_deref(), record, &Applied::default())?,
            Step::Sweep { after, .. } => store.scan(&self.key, after.as_deref()),
            Step::Apply => {
                let ids = self.desk.ids(&self.round.plan().query);
                if ids.is_empty() {
                    return Ok(None);
                }
                store.rows(&self.key, &ids)
            }
            Step::Deliver(_) => return Ok(None),
            _ => return Err(Failure::new(Code::Internal, "a page must be acknowledged before the next one is asked for")),
        };
        Ok(Some(asked))
    }

    /// What the answer of the store means for the round.
    fn answered(&mut self, step: Step, answer: JsValue) -> Result<Input, Stop> {
        match step {
            Step::Load => Ok(Input::Loaded(store::loaded(answer)?)),
            Step::Sweep { completed, .. } => {
                let rows = store::scanned(&answer);
                let whole = rows.len() == CHUNK as usize;
                Ok(self.desk.sweep(rows, whole, &completed))
            }
            Step::Apply => Ok(self.desk.apply(store::found(&answer), &self.round)),
            Step::Deliver(delivery) => {
                self.deliver(delivery)?;
                Ok(Input::Delivered)
            }
            step => {
                if !answer.is_truthy() {
                    return Ok(Input::Conflict);
                }
                if matches!(step, Step::Commit { .. }) {
                    self.desk.committed(&mut self.round.report);
                }
                Ok(Input::Committed)
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) -> Read<()> {
        let mirror = self.round.plan().query.mirror;
        let changes = if self.shown || self.heard { self.desk.applied().changes.as_slice() } else { &[] };
        self.delivered = Some(object::page(delivery, changes, mirror));
        if self.shown {
            keep(self.desk.applied_mut())?;
        }
        Ok(())
    }

    fn read(&mut self, answer: Answer, item: bool) -> Input {
        match answer {
            Answer::Body(body) if item => self.desk.master(body, &self.round),
            Answer::Body(body) => match page::read(&body) {
                Ok(page) => {
                    self.desk.received(page.items);
                    Input::Page(page.link)
                }
                Err(why) => Input::Malformed(why),
            },
            Answer::NotJson => Input::Malformed(page::Malformed::NotJson),
            Answer::Refused(refusal) => Input::Refused(refusal),
            Answer::Unreachable => Input::Unreachable,
        }
    }
}

/// What commits is the page as received, whatever the consumer does to its items meanwhile: the rows get copies.
fn keep(applied: &mut Applied<Json>) -> Read<()> {
    let items = Array::new();
    for (_, row) in &applied.put {
        items.push(&row.item.0);
    }
    let copies: Array = structured_clone(&items).map_err(|_| Failure::new(Code::Internal, "an item can't be copied"))?.unchecked_into();
    for ((_, row), at) in applied.put.iter_mut().zip(0..) {
        row.item = Json(copies.get(at));
    }
    Ok(())
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = structuredClone, catch)]
    fn structured_clone(value: &JsValue) -> Result<JsValue, JsValue>;
}
