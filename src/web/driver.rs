//! Runs one round as a task: executes each `Step` of the state machine and feeds the result back.
//! Contains no policy.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, join, select};
use js_sys::{JsString, Math};
use wasm_bindgen::JsValue;
use web_sys::AbortSignal;

use super::batch::{Batch, Cursor};
use super::consumer::{Acknowledgement, Producer};
use super::error::{RoundError, round_left};
use super::fetch::Fetched;
use super::js::{apply, get, get_string, settled};
use super::json::Json;
use super::limiter::Limiter;
use super::mirror::Mirror;
use super::on_error::decision;
use super::output::page_to_js;
use super::received::Received;
use super::request::{Ahead, RequestDetails, RequestOutcome};
use super::round_run::RoundRun;
use super::session::{Committed, Keys, Session};
use super::signal::{aborted, is_offline, online};
use super::status::StatusDisplay;
use super::timers::{now, sleep, with_timeout};
use super::token::TokenOutcome;
use crate::protocol::applier::PageApplier;
use crate::protocol::backoff::WaitReason;
use crate::protocol::change::Row;
use crate::protocol::error::{Code, Error};
use crate::protocol::identity::{Identity, claims_of};
use crate::protocol::page;
use crate::protocol::record::{Completed, Record};
use crate::protocol::relation;
use crate::protocol::report;
use crate::protocol::round::{Decision, Delivery, Input, Round, Step, TokenReason, UNEXPECTED_INPUT};
use crate::protocol::time::{Duration, Instant};

/// A result of a round.
pub type Result<T, E = RoundError> = std::result::Result<T, E>;

/// One round.
pub struct Driver {
    /// The state machine. The handle of the round reads its report, so the driver borrows it for
    /// one synchronous step at a time.
    pub round: Rc<RefCell<Round>>,
    /// The state that the rounds of its client share.
    pub session: Rc<Session>,
    /// The keys of its state.
    pub keys: Keys,
    /// The limiter of its throttling scope.
    pub limiter: Rc<Limiter>,
    /// Stops the round when it fires.
    pub signal: AbortSignal,
    /// The facade's part of the round: its lock, status and listeners.
    pub round_run: RoundRun,
    /// The status that the facade shows.
    pub display: StatusDisplay,
    /// The task's side of the exchange with the consumer.
    pub consumer: Producer,
    /// The current page.
    pub page: PageApplier<Json>,
    /// The text of the current page, if a consumer gets its items.
    pub received: Received,
    /// The requests of the next pages that were sent already, in their order.
    pub ahead: VecDeque<Ahead>,
    /// The token of the next request.
    pub token: String,
    /// Why Graph would refuse that token for this kind.
    pub token_error: Option<Box<Error>>,
    /// The id of the last request, until its page is committed.
    pub client_request_id: Option<String>,
    /// The acknowledgement of the page that is to be committed.
    pub acknowledgement: Option<Acknowledgement>,
    /// The promise of the listeners of the last commit, or undefined.
    pub listeners: JsValue,
    /// The position of the sweep.
    pub sweep_cursor: Cursor,
    /// The last error of the caller's `fetch`; undefined after a response.
    pub thrown: JsValue,
    /// The cause of the current error.
    pub cause: JsValue,
}

impl Driver {
    /// Runs the round until it ends or is stopped, and reports how it ended.
    pub async fn drive(mut self) {
        let (signal, consumer) = (self.signal.clone(), self.consumer.clone());
        let result = match select(pin!(stopped(&signal, &consumer)), pin!(self.run())).await {
            Either::Left((error, _)) => Err(error),
            // Once the caller has stopped the round, an error of the caller's functions does not
            // matter.
            Either::Right((Err(_), _)) if signal.aborted() => {
                Err(RoundError::Aborted(get(&signal, "reason")))
            }
            Either::Right((result, _)) => result,
        };
        self.finish(result);
    }

    async fn run(&mut self) -> Result<()> {
        settled(self.round_run.begin().into()).await.map_err(RoundError::Foreign)?;
        // An earlier round of this query may have been stopped during a commit.
        self.session.commits_settled(&self.keys.query).await;
        let mut input = Input::Begin;
        loop {
            let decided_at = now();
            let step = self.round.borrow_mut().step(input, decided_at, Math::random());
            self.ahead.truncate(self.round.borrow().needed_ahead(&step));
            if let Step::Load | Step::SignIn(_) | Step::Sweep { .. } | Step::SaveRecord { .. } = step {
                // Between two pages the round waits until the consumer requests the next one, and
                // for the listeners of the last one.
                self.consumer.page_requested().await?;
                self.await_listeners().await;
            }
            let result = match step {
                Step::Done => {
                    self.complete().await;
                    return Ok(());
                }
                Step::Fail(error) => {
                    return Err(RoundError::Failed(error, std::mem::take(&mut self.cause)));
                }
                Step::Sleep(span, reason) => Ok(self.wait_until(decided_at + span, reason).await),
                step => self.execute(step).await,
            };
            input = match result {
                // The state machine asks the caller, or ends the round with the error.
                Err(RoundError::Failed(error, cause)) => {
                    self.cause = cause;
                    Input::StepFailed(error)
                }
                result => result?,
            };
        }
    }

    /// Executes any step except `Sleep`, `Done` and `Fail`.
    async fn execute(&mut self, step: Step) -> Result<Input> {
        match step {
            Step::Load => self.load().await,
            Step::SignIn(reason) => self.sign_in(&reason).await,
            Step::Fetch(url) => self.fetch_page(url).await,
            Step::Receive => self.receive_page().await,
            Step::FetchMaster(url) => self.fetch_master(url).await,
            Step::StoreThrottle(until) => self.store_throttle(until).await,
            Step::Apply => self.apply().await,
            Step::Deliver(delivery) => self.deliver(delivery),
            Step::AwaitAcknowledgement => {
                self.acknowledgement = Some(self.consumer.acknowledged().await);
                Ok(Input::Acknowledged)
            }
            Step::Commit { expect, record } => self.commit(expect, &record).await,
            Step::SaveRecord { expect, record } => self.save_record(expect, &record).await,
            Step::SaveMasters { expect, record } => self.save_masters(expect, &record).await,
            Step::Sweep { after, completed } => self.sweep(after.as_deref(), &completed).await,
            Step::AskCaller(error) => Ok(Input::Decided(self.ask_caller(error).await?)),
            Step::Sleep(..) | Step::Done | Step::Fail(_) => {
                Err(Error::new(Code::Internal, UNEXPECTED_INPUT).into())
            }
        }
    }

    /// Calls the caller's `onError`.
    async fn ask_caller(&mut self, error: Box<Error>) -> Result<Decision> {
        let Some(on_error) = &self.session.on_error else { return Ok(Decision::Stop) };
        let error = RoundError::Failed(error, self.cause.clone());
        let error = self.session.errors.error_to_js(error, Some(&self.round.borrow().report));
        let returned = match apply(on_error, &JsValue::UNDEFINED, &[&error]) {
            Ok(returned) => settled(returned).await,
            Err(thrown) => Err(thrown),
        };
        match returned {
            Ok(returned) => Ok(decision(&returned)?),
            // The round ends with the original error; the error of `onError` becomes its cause.
            Err(thrown) => {
                self.cause = thrown;
                Ok(Decision::Stop)
            }
        }
    }

    async fn load(&mut self) -> Result<Input> {
        self.display.show_working();
        let record = async {
            Mirror { session: &self.session, key: &self.keys.query }.take_over(&self.keys).await;
            self.session.store().await?.record(&self.keys.query).await
        };
        let (record, ()) = self.timed(join(record, self.read_throttle_early())).await;
        let record = record?;
        self.page.loaded(record.as_deref());
        if let Some((revision, names)) = self.session.names.borrow_mut().remove(&self.keys.query)
            && record.as_ref().is_some_and(|record| record.revision == revision)
        {
            self.page.remember_names(names);
        }
        self.sweep_cursor = Cursor::default();
        Ok(Input::Loaded(record))
    }

    /// Reads the throttle time while the record is read, unless no round has used the scope before:
    /// the first token may show that the scope is another one. If the read fails, the request
    /// repeats it.
    async fn read_throttle_early(&self) {
        let was_used = self.limiter.rate.borrow().was_stored_read();
        if was_used {
            let _ = self.session.read_throttle(&self.keys.throttle, &self.limiter, Duration::ZERO).await;
        }
    }

    async fn sign_in(&mut self, reason: &TokenReason) -> Result<Input> {
        let policy = self.session.policy;
        let timeout = policy.max_wait.max(policy.timeout);
        Ok(match self.session.tokens.token(reason, &self.token, &self.signal, timeout).await? {
            TokenOutcome::Token(token) => match self.adopt(token) {
                Some(error) => Input::StepFailed(error),
                None => Input::SignedIn,
            },
            TokenOutcome::NoResponse(reason, thrown) => {
                self.thrown = thrown;
                Input::Unreachable(reason)
            }
            TokenOutcome::RetryAfter(until) => Input::TokenSourceBusy(until),
        })
    }

    /// Uses a token from now on. Returns an error if Graph would refuse it for this kind.
    fn adopt(&mut self, token: String) -> Option<Box<Error>> {
        let is_new = self.token != token;
        self.token = token;
        if !is_new {
            return self.token_error.clone();
        }
        let claims = claims_of(&self.token).and_then(|claims| Json::parse(&claims));
        let identity = claims.map(|claims| Identity::read(&claims)).unwrap_or_default();
        let error = self.round.borrow().token_error(&identity);
        self.session.identity.replace(identity);
        let query = Rc::clone(&self.round.borrow().config().query);
        self.limiter = self.session.limiter(&query);
        self.keys.throttle = self.session.throttle_key(&query);
        self.token_error.clone_from(&error);
        error
    }

    async fn fetch_page(&mut self, url: String) -> Result<Input> {
        let (request, next_link) = self.prepare(url);
        let (result, details) = self.look_ahead_during(request.send(), next_link).await;
        self.page_input(result, details)
    }

    pub(super) fn page_input(
        &mut self,
        result: Result<RequestOutcome>,
        details: RequestDetails,
    ) -> Result<Input> {
        let (body, text) = match self.body_or_input(result, details)? {
            Ok(body) => body,
            Err(input) => return Ok(input),
        };
        let page = match page::parse(&body) {
            Ok(page) => page,
            Err(why) => return Ok(Input::Malformed(why)),
        };
        self.limiter.response_received();
        self.page.received((0..).zip(page.items).map(|(at, item)| item.at(at)).collect());
        let kind_has_slices = self.round.borrow().config().query.item_format().slices;
        if kind_has_slices && !relation::may_occur(|part| text.includes(part, 0)) {
            self.page.without_slices();
        }
        if self.round.borrow().config().has_consumer {
            self.received = Received::new(text);
        }
        Ok(Input::Page(page.link))
    }

    async fn fetch_master(&mut self, url: String) -> Result<Input> {
        let (request, _) = self.prepare(url);
        let (result, details) = request.send().await;
        let (body, _) = match self.body_or_input(result, details)? {
            Ok(body) => body,
            Err(input) => return Ok(input),
        };
        if !self.page.receive_master(body) {
            return Ok(Input::Malformed(page::Malformed::NoId));
        }
        self.limiter.response_received();
        let rows = self.read_rows(&self.page.master_ids()).await?;
        Ok(Input::Master(self.page.apply_master(rows, self.round.borrow().mode())))
    }

    /// Returns the body of a response and its text; otherwise the input that reports the failure.
    fn body_or_input(
        &mut self,
        result: Result<RequestOutcome>,
        details: RequestDetails,
    ) -> Result<std::result::Result<(Json, JsString), Input>> {
        self.log_request(&result, &details);
        {
            let report = &mut self.round.borrow_mut().report;
            report.bytes += details.bytes;
            report.store_time += details.store_time;
        }
        if !details.client_request_id.is_empty() {
            self.client_request_id = Some(details.client_request_id);
        }
        let fetched = match result? {
            RequestOutcome::Fetched(fetched) => fetched,
            RequestOutcome::Throttled(until) => return Ok(Err(Input::Throttled(until))),
        };
        self.thrown = JsValue::UNDEFINED;
        Ok(match fetched {
            Fetched::Body(body, text) => Ok((body, text)),
            Fetched::Malformed(why) => Err(Input::Malformed(why)),
            Fetched::Refused(refusal) => Err(Input::Refused(refusal)),
            Fetched::NoResponse(reason, thrown) => {
                self.thrown = thrown;
                Err(Input::Unreachable(reason))
            }
        })
    }

    async fn store_throttle(&self, until: Instant) -> Result<Input> {
        self.timed(self.session.store_throttle(&self.keys.throttle, &self.limiter, until)).await?;
        Ok(Input::ThrottleStored)
    }

    async fn apply(&mut self) -> Result<Input> {
        self.send_ahead(Round::next_request);
        let query = Rc::clone(&self.round.borrow().config().query);
        let ids = self.page.ids(&query);
        let rows = self.read_rows(&ids).await?;
        let summary = self.page.apply(rows, self.round.borrow().mode());
        Ok(Input::Applied(Box::new(summary)))
    }

    /// Commits a batch, and counts the time that the store takes.
    async fn write(
        &self,
        key: &str,
        batch: Batch,
        acknowledgement: Option<Acknowledgement>,
    ) -> Result<Committed> {
        self.timed(self.session.commit(key, batch, acknowledgement)).await
    }

    /// Counts the time that a use of the store takes.
    async fn timed<T>(&self, operation: impl Future<Output = T>) -> T {
        let started_at = now();
        let output = operation.await;
        self.round.borrow_mut().report.store_time += now() - started_at;
        output
    }

    async fn read_rows(&self, ids: &[String]) -> Result<Vec<Option<Row<Json>>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        // Listeners get copies: only a consumer could change the items of stored rows.
        let is_exposed = self.round.borrow().mode().has_consumer;
        self.timed(async { self.session.store().await?.read_rows(&self.keys.query, &ids, is_exposed).await })
            .await
    }

    async fn wait_until(&self, until: Instant, reason: WaitReason) -> Input {
        let span = (until - now()).max(Duration::ZERO);
        let waited = async {
            if reason != WaitReason::Offline {
                sleep(span).await;
            } else if is_offline() {
                // The network may be back before the listener for `online` is added.
                with_timeout(span, online()).await;
            }
        };
        self.display.during(Some(until), reason, waited).await;
        Input::Slept
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<Input> {
        let (has_consumer, has_mirror) = {
            let round = self.round.borrow();
            let mode = round.mode();
            (mode.has_consumer, mode.has_mirror)
        };
        let has_receiver = has_consumer || self.round_run.has_listeners();
        let changes = if has_receiver { self.page.effects().changes.as_slice() } else { &[] };
        let has_series = self.round.borrow().config().query.masters_path.is_some();
        let series = has_series.then(|| self.page.changed_series());
        let page = page_to_js(delivery, changes, series, has_mirror);
        let announce = self.round_run.announcer(&page).map_err(RoundError::Foreign)?;
        if has_consumer {
            self.received.protect(self.page.effects_mut())?;
        }
        self.consumer.deliver(page, announce);
        Ok(Input::Delivered)
    }

    async fn commit(&mut self, expect: Option<String>, record: &Record) -> Result<Input> {
        self.received.restore(self.page.effects_mut())?;
        let batch = Batch::of_page(expect, record, self.page.effects());
        let acknowledgement = self.acknowledgement.take();
        let (session, key) = (Rc::clone(&self.session), self.keys.query.clone());
        let started_at = now();
        let written = async move { session.commit(&key, batch, acknowledgement).await };
        let committed = self.look_beyond_during(written).await;
        self.round.borrow_mut().report.store_time += now() - started_at;
        match committed? {
            Committed::Written(listeners) => {
                self.listeners = listeners;
                self.client_request_id = None;
                self.page.committed(&mut self.round.borrow_mut().report);
                Ok(Input::Committed)
            }
            Committed::Refused(acknowledgement) => {
                self.acknowledgement = acknowledgement;
                Ok(Input::Conflict)
            }
        }
    }

    async fn save_record(&self, expect: Option<String>, record: &Record) -> Result<Input> {
        let batch = Batch::of_record(expect, record);
        let committed = self.write(&self.keys.query, batch, None).await?;
        Ok(if committed.is_written() { Input::Committed } else { Input::Conflict })
    }

    async fn save_masters(&mut self, expect: Option<String>, record: &Record) -> Result<Input> {
        let batch = Batch::of_masters(expect, record, &self.page.take_masters());
        let committed = self.write(&self.keys.query, batch, None).await?;
        Ok(if committed.is_written() { Input::Committed } else { Input::Conflict })
    }

    async fn sweep(&mut self, after: Option<&str>, completed: &Completed) -> Result<Input> {
        if let Some(summary) = self.page.sweep_unread(after, completed) {
            return Ok(Input::Swept(summary));
        }
        if after.is_none() {
            self.sweep_cursor = Cursor::default();
        }
        let is_exposed = self.round.borrow().mode().has_consumer;
        let rows = self
            .timed(async {
                self.session.store().await?.read_chunk(&self.keys.query, after, is_exposed).await
            })
            .await?;
        let has_more =
            self.sweep_cursor.advance(rows.last().map(|(id, _)| id.as_str()), rows.len())?.is_some();
        Ok(Input::Swept(self.page.sweep(rows, has_more, completed)))
    }

    /// Completes the round. Releases its lock before the listeners of the last page return: they
    /// may wait for another round of the query.
    async fn complete(&mut self) {
        self.display.show(&self.display.in_phase("idle"));
        self.round_run.release();
        if !self.consumer.has_left() {
            self.await_listeners().await;
        }
    }

    /// Waits for the listeners of the last commit.
    async fn await_listeners(&mut self) {
        let listeners = std::mem::take(&mut self.listeners);
        if !listeners.is_undefined() {
            // Their errors are reported where they are called.
            let _ = settled(listeners).await;
        }
    }

    /// Sets the final report and status, and settles the calls of the consumer.
    fn finish(&mut self, result: Result<()>) {
        if let Some(names) = self.page.take_names() {
            let revision = self.round.borrow().record().revision.clone();
            self.session.names.borrow_mut().insert(self.keys.query.clone(), (revision, names));
        }
        let error = result.err().map(|error| self.fail(error));
        if let (Some(acknowledgement), Some(error)) = (self.acknowledgement.take(), &error) {
            acknowledgement.reject(error.clone());
        }
        self.round_run.end();
        self.log_round(error.as_ref());
        self.consumer.end(error);
    }

    fn fail(&mut self, mut error: RoundError) -> JsValue {
        if let RoundError::Failed(error, cause) = &mut error {
            error.client_request_id = self.client_request_id.take();
            if cause.is_undefined() && error.code == Code::Network {
                *cause = std::mem::take(&mut self.thrown);
            }
        }
        let (outcome, phase) = match &error {
            RoundError::Aborted(_) => (report::Outcome::Partial, "idle"),
            RoundError::Failed(error, _) if error.code == Code::Aborted => (report::Outcome::Partial, "idle"),
            RoundError::Failed(error, _) if error.code == Code::Closed => {
                (report::Outcome::Partial, "closed")
            }
            RoundError::Failed(error, _) if matches!(error.code, Code::Interaction | Code::Claims) => {
                (report::Outcome::Failed, "needs-auth")
            }
            RoundError::Foreign(error)
                if get_string(error, "code").as_deref() == Some(Code::Closed.as_str()) =>
            {
                (report::Outcome::Partial, "closed")
            }
            RoundError::Failed(..) | RoundError::Foreign(_) => (report::Outcome::Failed, "failed"),
        };
        self.round.borrow_mut().report.end(outcome, now());
        let error = self.session.errors.error_to_js(error, Some(&self.round.borrow().report));
        let mut status = self.display.in_phase(phase);
        if outcome == report::Outcome::Failed {
            status.error = error.clone();
        }
        self.display.show(&status);
        error
    }
}

/// Resolves when the round must stop: its signal fires, or its consumer leaves it.
async fn stopped(signal: &AbortSignal, consumer: &Producer) -> RoundError {
    match select(pin!(aborted(signal)), pin!(consumer.left())).await {
        Either::Left((reason, _)) => RoundError::Aborted(reason),
        Either::Right(_) => round_left().into(),
    }
}
