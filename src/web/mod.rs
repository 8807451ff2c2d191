//! The shell: it does what [`crate::protocol::round::Round`] says. Wasm only, and thin. It begins things; what they come to is waited
//! for by `pkg-template/drive.js`, which a caller's signal cuts short.
//!
//! | file | what it does |
//! |---|---|
//! | [`client`] | the exported types, which `pkg-template/index.js` wraps |
//! | [`driver`] | one round: a step in, its deed, an input out |
//! | [`fetch`] | one GET; the only place that puts a token on a request |
//! | [`token`] | the caller's token source, in all its forms |
//! | [`store`] | the store that the facade hands over |
//! | [`options`] | plain options, checked one by one |
//! | [`json`] | a JavaScript value as the protocol sees it |
//! | [`object`] | what goes out: pages, changes, reports, errors |

pub mod client;
pub mod driver;
pub mod fetch;
pub mod json;
pub mod object;
pub mod options;
pub mod store;
pub mod token;
