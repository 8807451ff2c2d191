//! The rules of Graph's delta query, without I/O. Time and chance are arguments.
//!
//! | file | what it decides |
//! |---|---|
//! | [`round`] | the state machine of one round: one input in, one step out |
//! | [`record`] | what is stored of a query between its pages |
//! | [`page`] | what a body says: its link, its items |
//! | [`applier`] | the page at hand, from Graph's items to what is committed |
//! | [`acknowledge`] | when a page is acknowledged, and what `next()`, `ack()` and `return()` get |
//! | [`relation`] | relationship slices, folded into sets |
//! | [`recent`] | which versions of items a round has met |
//! | [`change`] | what a page does to the mirror, and what a sweep removes |
//! | [`refusal`] | what an answer other than a page means |
//! | [`challenge`] | the claims that a 401 or 403 asks for |
//! | [`backoff`] | how long to wait |
//! | [`rate`] | how fast a mailbox, or another scope of limits, may be asked |
//! | [`resource`] | which resource a path names, and what that kind can do |
//! | [`query`] | from options to the first URL, the Prefer header and the key |
//! | [`endpoint`] | the clouds, and which links may have the token |
//! | [`redact`] | keeps tokens and links out of messages |
//! | [`series`] | masters of recurring events, and occurrences completed from them |
//! | [`thrown`] | what an error of the caller's token source or `fetch` asks for |
//! | [`time`] | ISO 8601 and HTTP dates |
//! | [`item`] | the little that is asked of a JSON value |
//! | [`report`] | what a round tells about itself |
//! | [`memory`] | a store in memory |
//! | [`error`] | the closed list of error codes |

pub mod acknowledge;
pub mod applier;
pub mod backoff;
pub mod challenge;
pub mod change;
pub mod endpoint;
pub mod error;
pub mod item;
pub mod memory;
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
pub mod series;
pub mod thrown;
pub mod time;
