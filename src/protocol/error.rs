//! The error type and the closed list of its codes.

use std::fmt;

use super::time::Instant;
use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The `code` of a `DeltaError`. A test checks that `errors.d.ts` has the same list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of `errors.d.ts`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as users see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// A page was acknowledged after the consumer had left its round.
    Aborted = "aborted",
    /// No complete response after all attempts.
    Network = "network",
    /// The host reports that it has no network.
    Offline = "offline",
    /// Graph asks for a longer wait than this round may take, or throttled all its attempts.
    Throttled = "throttled",
    /// No token, or a token that Graph refuses.
    Unauthorized = "unauthorized",
    /// Graph asks for a token that satisfies claims.
    Claims = "claims",
    /// The user has to sign in.
    Interaction = "interaction",
    /// The token lacks a permission.
    Forbidden = "forbidden",
    /// The user, calendar or folder does not exist.
    NotFound = "not-found",
    /// Invalid options, or a query that Graph refuses.
    BadRequest = "bad-request",
    /// Graph has no delta query here.
    NotSupported = "not-supported",
    /// Graph keeps asking for full rounds.
    ResyncLoop = "resync-loop",
    /// Graph keeps sending pages that bring nothing new.
    Livelock = "livelock",
    /// Graph's response is not a page of a delta query.
    Protocol = "protocol",
    /// A link or a redirect leads to an origin that must not receive the token.
    ForeignLink = "foreign-link",
    /// The store cannot be opened, read or written.
    Store = "store",
    /// The store is full.
    Quota = "quota",
    /// Another tab or process committed to the same query in the meantime.
    Conflict = "conflict",
    /// No account to store the state under.
    Account = "account",
    /// The client was closed, here or by another tab.
    Closed = "closed",
    /// The wasm module cannot be loaded.
    Wasm = "wasm",
    /// A defect of deltalink.
    Internal = "internal",
}

/// A result with a boxed error: an unboxed one would be copied at every `?`.
pub type Result<T, E = Box<Error>> = std::result::Result<T, E>;

/// Returns an error with the code `bad-request`.
pub fn bad_request<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::BadRequest, message))
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An error before it becomes a JavaScript `DeltaError`. Serializes to the fields of the
/// `DeltaError` except the message and `retryAt`, which is a Date.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    /// The code, for programs.
    pub code: Code,
    /// The text for people: what is wrong, where, and what to do.
    #[serde(skip)]
    pub message: String,
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The innermost error code of Graph's response, or that of a reset signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_code: Option<String>,
    /// Graph's `request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The `client-request-id` that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// Whether the same call may succeed later without a change.
    pub retryable: bool,
    /// The earliest instant at which the same call may succeed.
    #[serde(skip)]
    pub retry_at: Option<Instant>,
    /// Whether the object that the path names was deleted for good, such as a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<bool>,
    /// The claims that the user's sign-in has to satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

impl Error {
    /// An error that would recur if the same call were repeated.
    pub fn new(code: Code, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            message: message.into(),
            status: None,
            graph_code: None,
            request_id: None,
            client_request_id: None,
            retryable: false,
            retry_at: None,
            gone: None,
            claims: None,
        })
    }

    /// An error that may not occur again.
    pub fn retryable(code: Code, message: impl Into<String>) -> Box<Self> {
        let mut failure = Self::new(code, message);
        failure.retryable = true;
        failure
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_type_declarations() {
        let types = include_str!("../../pkg-template/errors.d.ts");
        let union = types
            .split("export type DeltaErrorCode =")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .unwrap_or("");
        let declared: Vec<&str> = union.split('"').skip(1).step_by(2).collect();
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(declared, codes);
    }
}
