//! What can go wrong, as one closed list of codes.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The `code` of a `DeltaError`. The same list stands in `index.d.ts`; a test holds the two
        /// together.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of `index.d.ts`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as users see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The caller's signal fired. Reported by itself only where the signal has no reason of its
    /// own.
    Aborted = "aborted",
    /// No answer, or a cut one, after all attempts.
    Network = "network",
    /// The host says that it has no network.
    Offline = "offline",
    /// Graph asks for a wait that is longer than this round may take.
    Throttled = "throttled",
    /// No token, or one that Graph refuses.
    Unauthorized = "unauthorized",
    /// Graph wants a token that satisfies claims.
    Claims = "claims",
    /// The user has to sign in.
    Interaction = "interaction",
    /// The token lacks a permission.
    Forbidden = "forbidden",
    /// The user, calendar or folder is not there.
    NotFound = "not-found",
    /// Wrong options, or a query that Graph refuses.
    BadRequest = "bad-request",
    /// Graph has no delta query for this.
    NotSupported = "not-supported",
    /// Graph keeps on asking for full rounds.
    ResyncLoop = "resync-loop",
    /// Pages that bring nothing new, without an end.
    Livelock = "livelock",
    /// An answer that is no page of a delta query.
    Protocol = "protocol",
    /// A link or a redirect to a host that must not get the token.
    ForeignLink = "foreign-link",
    /// The store can't be opened, read or written.
    Store = "store",
    /// The store is full.
    Quota = "quota",
    /// Another tab or process committed to the same query meanwhile.
    Conflict = "conflict",
    /// No account to keep the state under.
    Account = "account",
    /// The client was closed, here or by another tab.
    Closed = "closed",
    /// The wasm module can't be loaded.
    Wasm = "wasm",
    /// A defect of deltalink.
    Internal = "internal",
}

/// A result whose error is boxed: a result that carries the error in itself is copied at every `?`.
pub type Result<T, E = Box<Error>> = std::result::Result<T, E>;

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An error before it becomes a JavaScript `DeltaError`. Serializes to its fields, without the
/// message and `retryAt`, which is a Date.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// For people: what was wrong, where, and the way out.
    #[serde(skip)]
    pub message: String,
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Graph's innermost code.
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
    /// Not before this time, in milliseconds since 1970.
    #[serde(skip)]
    pub retry_at: Option<f64>,
    /// Whether what the path names is gone for good, such as a folder that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<bool>,
    /// What the user's sign-in has to satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

impl Error {
    /// A failure that the same call will meet again.
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

    /// A failure that may be gone next time.
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
        let ours: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(declared, ours);
    }
}
