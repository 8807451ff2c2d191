//! Limits the rate of requests per throttling scope: the requests that Graph's limits count
//! together (graph-facts 5).
//!
//! 1. After a throttle no request of the scope is sent before the time that Graph gave (invariant
//!    10). A time counts only if it was written in the past and is at most a week later than that,
//!    because a clock may have been wrong. A request reads the stored time again if the last read
//!    is a second old, or if it has waited for other tabs: a read before each request would wait
//!    for the commits of the store.
//! 2. Concurrency is capped. After a throttle it drops to 1 with jitter, then grows by 1 per
//!    successful response.
//! 3. Requests per period are capped at the documented limits. The client does not know what other
//!    clients consume, but it obeys the throttles that they cause.

use super::time::{Duration, Instant};

/// A service with separate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Outlook: limits per mailbox.
    Outlook,
    /// Entra: limits per app and tenant.
    Directory,
    /// SharePoint and OneDrive.
    Files,
    /// Teams, meetings.
    Teams,
    /// Anything else.
    Other,
}

/// A throttle of more than a week is ignored: a clock was wrong.
const MAX_THROTTLE: Duration = Duration::from_millis(7.0 * 86_400_000.0);
/// The stored throttle time is read again when the last read is this old.
const MAX_STORED_AGE: Duration = Duration::from_millis(1000.0);
/// A request that has waited longer for other tabs always reads the stored throttle time again.
const LONG_WAIT: Duration = Duration::from_millis(20.0);
/// The maximum difference between the clocks of two tabs of one machine.
const MAX_CLOCK_SKEW: Duration = Duration::from_millis(60_000.0);
/// The throttle time before any throttle: in the past on every clock.
const LONG_AGO: Instant = Instant::from_millis(0.0);
/// The maximum jitter of a request while its scope recovers.
const MAX_JITTER: Duration = Duration::from_millis(1000.0);

impl Workload {
    /// The name of the workload in the scope.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Outlook => "outlook",
            Self::Directory => "directory",
            Self::Files => "files",
            Self::Teams => "teams",
            Self::Other => "other",
        }
    }

    /// Concurrent requests, requests per period, and the period (Graph's page "Microsoft Graph
    /// service-specific throttling limits"). The concurrency is documented for Outlook only.
    const fn limits(self) -> (u32, f64, Duration) {
        let (concurrency, requests, period_ms) = match self {
            Self::Outlook => (4, 10_000.0, 600_000.0),
            Self::Directory => (8, 3500.0, 10_000.0),
            Self::Files => (8, 1250.0, 60_000.0),
            Self::Teams => (8, 30.0, 1000.0),
            Self::Other => (8, 130_000.0, 10_000.0),
        };
        (concurrency, requests, Duration::from_millis(period_ms))
    }

    /// How many requests of a scope all tabs together may have in flight, where Graph documents a
    /// limit.
    pub fn shared_limit(self) -> Option<u32> {
        (self == Self::Outlook).then(|| self.limits().0)
    }

    /// Whether a scope belongs to this workload.
    pub fn owns(self, scope: &str) -> bool {
        scope.split(' ').next() == Some(self.as_str())
    }

    /// The scope of the limits: the mailbox for Outlook, otherwise the workload.
    pub fn scope(self, mailbox: &str) -> String {
        let mut scope = self.as_str().to_owned();
        if self == Self::Outlook {
            scope.push(' ');
            scope += &mailbox.to_ascii_lowercase();
        }
        scope
    }
}

/// The limiter of one scope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimiter {
    workload: Workload,
    /// The throttle time: until when Graph throttles the scope.
    until: Instant,
    /// When Graph set the throttle time.
    throttled_at: Instant,
    /// When the stored throttle time was read last.
    read_stored_at: Instant,
    /// The current cap of concurrent requests.
    limit: u32,
    /// The remaining requests of the period: the tokens of a token bucket.
    tokens: f64,
    /// When `tokens` was computed.
    refilled_at: Instant,
}

impl RateLimiter {
    /// A limiter without history.
    pub fn new(workload: Workload) -> Self {
        let (limit, tokens, _) = workload.limits();
        Self {
            workload,
            until: LONG_AGO,
            throttled_at: LONG_AGO,
            read_stored_at: LONG_AGO,
            limit,
            tokens,
            refilled_at: LONG_AGO,
        }
    }

    /// The throttle time, or an instant in the past.
    pub fn throttled_until(&self, now: Instant) -> Instant {
        if is_plausible(self.until, self.throttled_at, now) { self.until } else { LONG_AGO }
    }

    /// How many requests may be in flight at once.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether the scope recovers from a throttle: fewer requests may be in flight than usual.
    pub fn is_recovering(&self) -> bool {
        self.limit < self.workload.limits().0
    }

    /// Throttles the scope until this instant, as Graph asked.
    pub fn throttle(&mut self, until: Instant, now: Instant) {
        if until > self.throttled_until(now) {
            (self.until, self.throttled_at) = (until, now);
        }
        self.limit = 1;
    }

    /// Allows one request at a time, as after a throttle.
    pub fn restrict(&mut self) {
        self.limit = 1;
    }

    /// Whether the stored throttle time has to be read before a request, because another tab may
    /// have stored one since the last read. `waited`: how long the request waited for the requests
    /// of other tabs, whose responses may be throttles.
    pub fn has_to_read_stored(&self, waited: Duration, now: Instant) -> bool {
        let age = now - self.read_stored_at;
        age < Duration::ZERO || age >= MAX_STORED_AGE || waited > LONG_WAIT
    }

    /// Whether the stored throttle time has been read at all.
    pub fn was_stored_read(&self) -> bool {
        self.read_stored_at != LONG_AGO
    }

    /// Records that the stored throttle time was read, even if none is stored.
    pub fn mark_stored_read(&mut self, now: Instant) {
        self.read_stored_at = now;
    }

    /// Adopts the throttle time that another tab stored, or this one before a reload. `at` is when
    /// it was written.
    pub fn adopt_stored(&mut self, until: Instant, at: Instant, now: Instant) {
        if is_plausible(until, at, now) && until > now && until > self.throttled_until(now) {
            self.throttle(until, now);
            self.throttled_at = at;
        }
    }

    /// Allows one more concurrent request, after a successful response.
    pub fn raise_limit(&mut self) {
        let (max, ..) = self.workload.limits();
        self.limit = max.min(self.limit + 1);
    }

    /// Reserves one request if it may be sent now and the scope is not recovering from a throttle.
    pub fn try_reserve(&mut self, now: Instant) -> bool {
        if self.throttled_until(now) > now || self.is_recovering() {
            return false;
        }
        self.refill(now);
        let is_free = self.tokens >= 1.0;
        if is_free {
            self.tokens -= 1.0;
        }
        is_free
    }

    /// Reserves one request. Returns how long to wait before sending it. `random` in `0.0..1.0` is
    /// the jitter.
    pub fn reserve(&mut self, now: Instant, random: f64) -> Duration {
        let (_, requests, period) = self.workload.limits();
        self.refill(now);
        self.tokens -= 1.0;
        let overdrawn = (-self.tokens).max(0.0) * period.as_millis() / requests;
        let jitter = if self.is_recovering() { MAX_JITTER.as_millis() * random } else { 0.0 };
        Duration::from_millis((overdrawn + jitter).ceil())
    }

    /// Adds the requests that the time since the last refill permits.
    fn refill(&mut self, now: Instant) {
        let (_, requests, period) = self.workload.limits();
        let elapsed = (now - self.refilled_at).as_millis().max(0.0);
        self.tokens = requests.min(self.tokens + elapsed * requests / period.as_millis());
        self.refilled_at = now;
    }
}

/// Whether a throttle time was written in the past and is at most a week later than that. If a
/// clock was set back, the time of writing is in the future.
fn is_plausible(until: Instant, at: Instant, now: Instant) -> bool {
    at <= now + MAX_CLOCK_SKEW && until - at <= MAX_THROTTLE
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(1_795_000_000_000.0);

    const fn ms(ms: f64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn outlook_has_a_scope_per_mailbox_and_other_workloads_have_one_each() {
        assert_eq!(Workload::Outlook.scope("Alex@Contoso.example"), "outlook alex@contoso.example");
        assert_eq!(
            (Workload::Directory.scope("x"), Workload::Teams.scope("")),
            ("directory".into(), "teams".into())
        );
    }

    #[test]
    fn a_stored_throttle_time_is_read_again_after_a_second_or_a_wait_for_another_tab() {
        let mut limiter = RateLimiter::new(Workload::Outlook);
        assert!(limiter.has_to_read_stored(ms(0.0), NOW));
        limiter.mark_stored_read(NOW);
        assert!(!limiter.has_to_read_stored(ms(20.0), NOW + ms(999.0)));
        assert!(limiter.has_to_read_stored(ms(0.0), NOW + ms(1000.0)));
        assert!(limiter.has_to_read_stored(ms(0.0), NOW - ms(1.0)), "the clock was set back");
        assert!(limiter.has_to_read_stored(ms(21.0), NOW + ms(1.0)), "it waited for another tab");
    }

    #[test]
    fn a_mailbox_gets_four_requests_at_once() {
        assert_eq!(RateLimiter::new(Workload::Outlook).limit(), 4);
    }

    #[test]
    fn a_request_is_reserved_at_once_unless_the_scope_is_throttled_recovering_or_at_its_limit() {
        let mut limiter = RateLimiter::new(Workload::Teams);
        for _ in 0..30 {
            assert!(limiter.try_reserve(NOW));
        }
        assert!(!limiter.try_reserve(NOW), "30 requests a second");
        assert!(limiter.try_reserve(NOW + ms(1000.0)));
        limiter.throttle(NOW + ms(3000.0), NOW);
        assert!(!limiter.try_reserve(NOW + ms(2000.0)));
        for _ in 1..8 {
            assert!(!limiter.try_reserve(NOW + ms(60_000.0)), "it recovers");
            limiter.raise_limit();
        }
        assert!(limiter.try_reserve(NOW + ms(60_000.0)));
    }

    #[test]
    fn after_a_throttle_concurrency_recovers_by_one_per_response_with_jitter() {
        let mut limiter = RateLimiter::new(Workload::Outlook);
        assert_eq!(limiter.reserve(NOW, 0.7), ms(0.0));
        limiter.throttle(NOW + ms(5000.0), NOW);
        limiter.throttle(NOW + ms(1000.0), NOW);
        assert_eq!((limiter.throttled_until(NOW), limiter.limit()), (NOW + ms(5000.0), 1));
        assert_eq!(limiter.reserve(NOW + ms(5000.0), 0.7), ms(700.0));
        for limit in [2, 3, 4, 4] {
            limiter.raise_limit();
            assert_eq!(limiter.limit(), limit);
        }
        assert_eq!(limiter.reserve(NOW + ms(6000.0), 0.7), Duration::ZERO);
    }

    #[test]
    fn a_stored_time_counts_unless_it_has_passed_or_is_implausible() {
        let stored = |until, at| {
            let mut limiter = RateLimiter::new(Workload::Directory);
            limiter.adopt_stored(until, at, NOW);
            limiter.throttled_until(NOW)
        };
        assert_eq!(stored(NOW + ms(60_000.0), NOW - ms(1000.0)), NOW + ms(60_000.0));
        assert_eq!(
            stored(NOW + ms(86_400_000.0), NOW - ms(1000.0)),
            NOW + ms(86_400_000.0),
            "a day is plausible"
        );
        assert_eq!(stored(NOW - ms(1.0), NOW - ms(1000.0)), LONG_AGO);
        assert_eq!(stored(NOW + ms(30.0 * 86_400_000.0), NOW), LONG_AGO, "a month");
        assert_eq!(
            stored(NOW + ms(4e9), NOW + ms(3_999_000_000.0)),
            LONG_AGO,
            "written by a clock that went wrong"
        );
        assert_eq!(stored(Instant::from_millis(f64::NAN), Instant::from_millis(f64::NAN)), LONG_AGO);
        assert_eq!(stored(Instant::from_millis(f64::INFINITY), NOW), LONG_AGO);
    }

    #[test]
    fn after_a_clock_is_set_back_an_older_throttle_is_ignored() {
        let mut limiter = RateLimiter::new(Workload::Directory);
        limiter.throttle(NOW + ms(1000.0), NOW);
        assert_eq!(limiter.throttled_until(NOW), NOW + ms(1000.0));
        assert_eq!(limiter.throttled_until(NOW - ms(86_400_000.0)), LONG_AGO);
        limiter.throttle(NOW + ms(10.0 * 365.0 * 86_400_000.0), NOW);
        assert_eq!(limiter.throttled_until(NOW), LONG_AGO, "a wait of ten years is a mistake");
    }

    #[test]
    fn the_documented_number_of_requests_per_period_is_not_exceeded() {
        for (workload, requests, period) in [
            (Workload::Outlook, 10_000, 600_000.0),
            (Workload::Files, 1250, 60_000.0),
            (Workload::Teams, 30, 1000.0),
        ] {
            let mut limiter = RateLimiter::new(workload);
            for _ in 0..requests {
                assert_eq!(limiter.reserve(NOW, 0.5), ms(0.0));
            }
            let mut wait = Duration::ZERO;
            for _ in 0..requests {
                wait = limiter.reserve(NOW, 0.5);
            }
            assert_eq!(wait, ms(period), "{workload:?}: the next ones wait a period");
            assert!(limiter.reserve(NOW + ms(2.0) * period, 0.5) <= ms(1.0));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_the_wait_finite() {
        let mut limiter = RateLimiter::new(Workload::Outlook);
        for _ in 0..20_000 {
            let wait = limiter.reserve(NOW - ms(1e9), 0.5);
            assert!(wait.as_millis().is_finite() && wait >= Duration::ZERO);
        }
    }
}
