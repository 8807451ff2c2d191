//! The rules of Graph's delta query, without I/O. Time and randomness are arguments.
//!
//! | module | contents |
//! |---|---|
//! | [`round`] | the state machine of one round: one input in, one step out |
//! | [`record`] | the state record of a query, stored with each page |
//! | [`page`] | reads the body of a page: its link and its items |
//! | [`head`] | finds the nextLink of a page while the page arrives |
//! | [`applier`] | applies one page: makes a commit from Graph's items |
//! | [`acknowledge`] | when a page is acknowledged, and the results of `next()`, `ack()` and `return()` |
//! | [`relation`] | relationships that Graph sends in parts, such as `members@delta` |
//! | [`recent`] | detects pages that bring nothing new |
//! | [`known_ids`] | remembers which ids may have rows |
//! | [`change`] | the changes of a page to the mirror |
//! | [`names`] | names in a drive: a row displaces another row with the same name |
//! | [`sweep`] | removes the rows that a completed round has made obsolete |
//! | [`refusal`] | the meaning of a response with an error status |
//! | [`challenge`] | the claims that a 401 or 403 requires |
//! | [`backoff`] | how long to wait before a retry |
//! | [`rate`] | how fast requests of one throttling scope may be sent |
//! | [`resource`] | the documented kinds of resources, and the options that each supports |
//! | [`query`] | options, first URL, Prefer header and key of a query |
//! | [`endpoint`] | the clouds, and which links may receive the token |
//! | [`identity`] | the user or the app of a token |
//! | [`redact`] | keeps tokens and links out of messages |
//! | [`schedule`] | when live queries run rounds, and which tab runs them |
//! | [`series`] | series masters, and occurrences completed from them |
//! | [`thrown`] | classifies errors thrown by the caller's token source or `fetch` |
//! | [`time`] | instants, durations and ISO 8601 |
//! | [`item`] | the operations that the protocol needs on a JSON value |
//! | [`report`] | the report of a round |
//! | [`memory`] | a store in memory |
//! | [`error`] | the closed list of error codes |

pub mod acknowledge;
pub mod applier;
pub mod backoff;
pub mod challenge;
pub mod change;
pub mod endpoint;
pub mod error;
pub mod head;
pub mod identity;
pub mod item;
pub mod known_ids;
pub mod memory;
pub mod names;
pub mod page;
pub mod query;
pub mod rate;
pub mod recent;
pub mod record;
pub mod redact;
pub mod refusal;
pub mod relation;
pub mod report;
pub mod resource;
pub mod round;
pub mod schedule;
pub mod series;
pub mod sweep;
pub mod thrown;
pub mod time;
