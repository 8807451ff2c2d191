//! One round: a step in, its deed, an input out. Nothing is decided here.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Date, Math, Object};
use wasm_bindgen::prelude::*;

use super::client::Shared;
use super::fetch::{self, Answer, Fetch};
use super::json::Json;
use super::object::{self, Stop, get, method, promise, set, set_date, set_number, set_text};
use super::store::{self, CHUNK};
use super::token::Got;
use crate::protocol::applier::PageApplier;
use crate::protocol::backoff::WaitReason;
use crate::protocol::change::PageEffects;
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::page;
use crate::protocol::rate::RateLimiter;
use crate::protocol::report::Outcome;
use crate::protocol::round::{Delivery, Input, Round, Step, TokenReason, UNASKED};

/// A round that runs.
pub struct Driver {
    round: Round,
    shared: Rc<Shared>,
    pace: Rc<Cell<RateLimiter>>,
    keys: Keys,
    /// The revision of what is stored of the pace.
    revision: JsValue,
    /// The facade's `Drive`: it waits, and sends.
    host: JsValue,
    /// Whether a consumer sees the items.
    shown: bool,
    /// Whether anybody could hear of the changes that the next page brings.
    heard: bool,
    /// For the next request.
    token: String,
    /// Of the last request, until a page of it is committed.
    request_id: Option<String>,
    /// The page at hand.
    desk: PageApplier<Json>,
    /// The page as the consumer gets it.
    delivered: Option<JsValue>,
    /// What to do next.
    step: Option<Step>,
    /// What is waited for.
    then: Option<Then>,
    /// Whether the page at hand is being committed for its consumer, who waits for no more.
    acked: bool,
}

/// Where things are stored.
pub struct Keys {
    /// The state and the items.
    pub query: JsValue,
    /// Until when Graph throttles the scope.
    pub throttle: JsValue,
}

/// What a step has come to.
enum Turn {
    Over(Input),
    Wait(JsValue, Then),
}

/// Where an answer goes.
enum Then {
    Token(TokenReason),
    /// There is room for this request.
    Room(Step),
    /// Until when the scope is throttled, as it is stored.
    Throttle(Step),
    /// It is time for this request.
    Paced(Step),
    /// Of a page, or of one object.
    Answer(bool),
    Sleep,
    Store(Step),
    /// What is stored in the place of the time that this step has.
    Held(Step),
    /// Whether its second try was stored or not: a store that refuses everything must not be asked for ever.
    Tried,
}

impl Driver {
    /// A round that has not begun.
    pub fn new(round: Round, shared: Rc<Shared>, pace: Rc<Cell<RateLimiter>>, keys: Keys, host: JsValue, shown: bool) -> Self {
        Self {
            round,
            shared,
            pace,
            keys,
            revision: JsValue::UNDEFINED,
            host,
            shown,
            heard: false,
            token: String::new(),
            request_id: None,
            desk: PageApplier::default(),
            delivered: None,
            step: None,
            then: None,
            acked: false,
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

    /// The next page, or undefined at the end of the round; or a promise to wait for: [`Self::go_on`] takes what it comes to. `heard`
    /// says whether anybody could hear of its changes.
    pub fn next(&mut self, heard: bool) -> Result<JsValue, JsValue> {
        self.acked = false;
        self.heard = heard;
        let step = match self.step.take() {
            Some(step) => step,
            None => self.take(Input::Begin),
        };
        self.run(step)
    }

    /// Commits the page that was delivered last; without one, does nothing. Waits like [`Self::next`].
    pub fn ack(&mut self) -> Result<JsValue, JsValue> {
        self.acked = true;
        match self.step.take() {
            Some(Step::Await) => {
                let step = self.take(Input::Acked);
                self.run(step)
            }
            step => {
                self.step = step;
                Ok(JsValue::UNDEFINED)
            }
        }
    }

    /// Goes on with what was waited for.
    pub fn go_on(&mut self, answer: Result<JsValue, JsValue>) -> Result<JsValue, JsValue> {
        let turn = match self.then.take() {
            Some(then) => self.came(then, answer),
            None => Err(Error::new(Code::Internal, UNASKED).into()),
        };
        self.turn(turn)
    }

    fn run(&mut self, step: Step) -> Result<JsValue, JsValue> {
        let turn = match step {
            Step::Done => {
                self.tell(&self.status("idle"));
                return Ok(JsValue::UNDEFINED);
            }
            Step::Fail(failure) => Err(failure.into()),
            step => self.begin(step),
        };
        self.turn(turn)
    }

    fn turn(&mut self, turn: Result<Turn, Stop>) -> Result<JsValue, JsValue> {
        let input = match turn {
            Ok(Turn::Over(input)) => input,
            Ok(Turn::Wait(promise, then)) => {
                self.then = Some(then);
                return Ok(promise);
            }
            Err(stop) => return Err(self.stop(stop)),
        };
        let delivered = input == Input::Delivered;
        let step = self.take(input);
        if delivered {
            self.step = Some(step);
            return Ok(self.delivered.take().unwrap_or(JsValue::UNDEFINED));
        }
        // A commit that was refused rejects the acknowledgement itself.
        if self.acked && !matches!(step, Step::Fail(_)) {
            self.step = Some(step);
            return Ok(JsValue::UNDEFINED);
        }
        self.run(step)
    }

    fn take(&mut self, input: Input) -> Step {
        self.round.step(input, Date::now(), Math::random())
    }

    /// Ends the round in the words of its failure.
    fn stop(&mut self, mut stop: Stop) -> JsValue {
        if let Stop::Failed(failure, _) = &mut stop {
            failure.client_request_id = self.request_id.take();
        }
        let (outcome, phase) = match &stop {
            Stop::Failed(failure, _) if matches!(failure.code, Code::Interaction | Code::Claims) => (Outcome::Failed, "needs-auth"),
            Stop::Theirs(error) if object::text(error, "code").as_deref() == Some(Code::Closed.as_str()) => (Outcome::Partial, "closed"),
            _ => (Outcome::Failed, "failed"),
        };
        self.round.report.end(outcome, Date::now());
        let error = object::rejection(stop, &self.shared.make_error, Some(&self.round.report));
        let status = self.status(phase);
        if outcome == Outcome::Failed {
            set(&status, "error", &error);
        }
        self.tell(&status);
        error
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
        let _ = method(&self.host, "tell", status, &JsValue::UNDEFINED);
    }

    fn working(&self) {
        self.tell(&self.status(if self.round.report.resync.is_some() { "resyncing" } else { "syncing" }));
    }

    fn begin(&mut self, step: Step) -> Result<Turn, Stop> {
        match step {
            Step::SignIn(need) => {
                if let Some(token) = self.shared.tokens.kept(&need, &self.token) {
                    self.token = token;
                    return Ok(Turn::Over(Input::SignedIn));
                }
                let call = self.shared.tokens.call(&need, &get(&self.host, "signal"));
                let policy = &self.round.plan().policy;
                Ok(self.wait("within", &call, &policy.max_wait.max(policy.timeout).into(), Then::Token(need)))
            }
            Step::Fetch(_) | Step::Item(_) => {
                let scope = JsValue::from_str(&self.round.plan().query.scope);
                let limit = self.pace.get().limit();
                Ok(self.wait("enter", &scope, &limit.into(), Then::Room(step)))
            }
            Step::Sleep(ms, why) => {
                let status = self.status("waiting");
                set_date(&status, "waitUntil", Some(Date::now() + ms));
                set_text(&status, "waitReason", why.as_str());
                self.tell(&status);
                Ok(self.wait("sleep", &ms.into(), &(why == WaitReason::Offline).into(), Then::Sleep))
            }
            step => match self.ask(&step)? {
                Some(promise) => Ok(Turn::Wait(promise, Then::Store(step))),
                None => self.answered(step, JsValue::UNDEFINED).map(Turn::Over),
            },
        }
    }

    /// Asks the host for something that has to be waited for.
    fn wait(&self, what: &str, first: &JsValue, second: &JsValue, then: Then) -> Turn {
        Turn::Wait(promise(&self.host, what, first, second), then)
    }

    fn offline(&self) -> bool {
        get(&self.host, "offline").is_truthy()
    }

    fn came(&mut self, then: Then, answer: Result<JsValue, JsValue>) -> Result<Turn, Stop> {
        let input = match then {
            Then::Token(need) => match self.shared.tokens.taken(answer, &need, self.offline())? {
                Got::Token(token) => {
                    self.token = token;
                    Input::SignedIn
                }
                Got::NoResponse(lost) => Input::Unreachable(lost),
                Got::Busy(until) => Input::Busy(until),
            },
            Then::Sleep => {
                self.working();
                Input::Slept
            }
            Then::Room(step) => return Ok(Turn::Wait(self.shared.store()?.load(&self.keys.throttle), Then::Throttle(step))),
            Then::Throttle(step) => {
                let stored = answer.map_err(Stop::Theirs)?;
                let number = |name: &str| get(&stored, name).as_f64().unwrap_or(0.0);
                self.revision = get(&stored, "revision");
                let now = Date::now();
                let mut pace = self.pace.get();
                pace.stored(number("until"), number("at"), now);
                let delay = if pace.until(now) > now { 0.0 } else { pace.take(now, Math::random()) };
                self.pace.set(pace);
                if delay > 0.0 {
                    return Ok(self.wait("sleep", &delay.into(), &JsValue::FALSE, Then::Paced(step)));
                }
                return self.send(&step);
            }
            Then::Paced(step) => return self.send(&step),
            Then::Answer(item) => {
                let answer = answer.map_err(Stop::Theirs).and_then(|sent| Ok(fetch::answer(&sent, self.offline())?));
                let input = answer.map(|answer| self.read(answer, item));
                if matches!(input, Ok(Input::Page(_) | Input::Item)) {
                    let mut pace = self.pace.get();
                    pace.answered();
                    self.pace.set(pace);
                }
                self.exit();
                input?
            }
            // Somebody else stored such a time meanwhile: the later one is to stand.
            Then::Store(step @ Step::StoreThrottle(_)) if answer.as_ref().is_ok_and(JsValue::is_falsy) => {
                return Ok(Turn::Wait(self.shared.store()?.load(&self.keys.throttle), Then::Held(step)));
            }
            Then::Held(step) => {
                let stored = answer.map_err(Stop::Theirs)?;
                self.revision = get(&stored, "revision");
                let later =
                    matches!(step, Step::StoreThrottle(until) if get(&stored, "until").as_f64().is_some_and(|stored| stored >= until));
                if !later && let Some(promise) = self.ask(&step)? {
                    return Ok(Turn::Wait(promise, Then::Tried));
                }
                Input::ThrottleStored
            }
            Then::Tried => answer.map(|_| Input::ThrottleStored).map_err(Stop::Theirs)?,
            Then::Store(step) => self.answered(step, answer.map_err(Stop::Theirs)?)?,
        };
        Ok(Turn::Over(input))
    }

    /// Makes room for the next request of the scope.
    fn exit(&self) {
        let _ = method(&self.host, "exit", &self.pace.get().limit().into(), &JsValue::UNDEFINED);
    }

    fn send(&mut self, step: &Step) -> Result<Turn, Stop> {
        let (Step::Fetch(url) | Step::Item(url)) = step else {
            return Err(Error::new(Code::Internal, UNASKED).into());
        };
        let now = Date::now();
        let until = self.pace.get().until(now);
        if until > now {
            self.exit();
            return Ok(Turn::Over(Input::Throttled(until)));
        }
        self.working();
        let id = fetch::request_id();
        let prefer = self.round.prefer();
        let plan = self.round.plan();
        let fetch = Fetch {
            endpoint: &plan.endpoint,
            function: &self.shared.fetch,
            token: &self.token,
            prefer: &prefer,
            host: &self.host,
            timeout: plan.policy.timeout,
            id: &id,
        };
        let sent = fetch.send(url)?;
        self.request_id = Some(id);
        Ok(Turn::Wait(sent, Then::Answer(matches!(step, Step::Item(_)))))
    }

    /// What a step asks of the store.
    fn ask(&mut self, step: &Step) -> Result<Option<JsValue>> {
        let store = self.shared.store()?;
        let asked = match step {
            Step::Load => {
                self.working();
                store.load(&self.keys.query)
            }
            Step::Commit { expect, record } => store.commit(&self.keys.query, expect.as_deref(), record, self.desk.applied()),
            Step::SaveRecord { expect, record } => store.commit(&self.keys.query, expect.as_deref(), record, &PageEffects::default()),
            Step::StoreThrottle(until) => {
                let now = Date::now();
                let mut pace = self.pace.get();
                pace.throttled(*until, now);
                self.pace.set(pace);
                store.hold(&self.keys.throttle, &self.revision, *until, now)
            }
            Step::Sweep { after, .. } => store.scan(&self.keys.query, after.as_deref()),
            Step::Apply => {
                let ids = self.desk.ids(&self.round.plan().query);
                if ids.is_empty() {
                    return Ok(None);
                }
                store.rows(&self.keys.query, &ids)
            }
            Step::Deliver(_) => return Ok(None),
            _ => return Err(Error::new(Code::Internal, "a page must be acknowledged before the next one is asked for")),
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
            Step::StoreThrottle(_) => Ok(Input::ThrottleStored),
            step => {
                if !answer.is_truthy() {
                    return Ok(Input::Conflict);
                }
                if matches!(step, Step::Commit { .. }) {
                    self.request_id = None;
                    self.desk.committed(&mut self.round.report);
                }
                Ok(Input::Committed)
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<()> {
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
            Answer::Strange(what) => Input::Malformed(what),
            Answer::Refused(refusal) => Input::Refused(refusal),
            Answer::NoResponse(lost) => Input::Unreachable(lost),
        }
    }
}

/// What commits is the page as received, whatever the consumer does to its items meanwhile: the rows get copies.
fn keep(applied: &mut PageEffects<Json>) -> Result<()> {
    let items = Array::new();
    for (_, row) in &applied.put {
        items.push(&row.item.0);
    }
    let copies: Array = structured_clone(&items).map_err(|_| Error::new(Code::Internal, "an item can't be copied"))?.unchecked_into();
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
