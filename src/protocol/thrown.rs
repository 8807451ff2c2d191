//! What an error that the caller's token source or `fetch` threw asks for. Errors are told apart by the names and codes that
//! MSAL, `@azure/identity` and OAuth give them; engines word a failed `fetch` differently.

use super::error::Code;

/// Codes of MSAL, and of OAuth, that only the user can cure.
const INTERACTION: [&str; 6] =
    ["interaction_required", "login_required", "consent_required", "native_account_unavailable", "no_tokens_found", "no_account_error"];

/// Names of errors that only the user can cure: MSAL's, and that of `@azure/identity`.
const SIGN_IN: [&str; 2] = ["InteractionRequiredAuthError", "AuthenticationRequiredError"];

/// Codes of MSAL for a network that fails, and ours.
const NETWORK: [&str; 5] = ["network", "no_network_connectivity", "network_error", "get_request_failed", "post_request_failed"];

/// What engines say when `fetch` gets no answer. A `TypeError` by itself may be any mistake.
const NO_ANSWER: [&str; 4] = ["Failed to fetch", "NetworkError", "Load failed", "fetch failed"];

/// What engines say of a mistake in the code that ran. A list of what they say of networks would miss those of hosts to come.
const MISTAKE: [&str; 16] = [
    "is not a function",
    "is not a constructor",
    "is not iterable",
    "is not an object",
    "is not a valid",
    "is undefined",
    "is null",
    "is readonly",
    "readonly property",
    "assignment to const",
    "ssignment to constant",
    "Cannot ",
    "cannot have body",
    "Failed to construct",
    "Failed to execute",
    "nvalid URL",
];

/// The parts of a thrown value that tell what it is. Missing ones are empty.
#[derive(Clone, Debug, Default)]
pub struct Thrown {
    /// `name`.
    pub name: String,
    /// `code`, if it is a string.
    pub code: String,
    /// `errorCode`, which MSAL's errors have.
    pub error_code: String,
    /// `message`.
    pub message: String,
}

impl Thrown {
    /// Whether only the user can cure it, by signing in.
    pub fn needs_interaction(&self) -> bool {
        SIGN_IN.contains(&self.name.as_str()) || self.code == Code::Interaction.as_str() || INTERACTION.contains(&self.error_code.as_str())
    }

    /// Whether a token source could not reach those it asks.
    pub fn is_network_failure(&self) -> bool {
        let unanswered = self.name == "TypeError" && NO_ANSWER.iter().any(|words| self.message.contains(words));
        unanswered || NETWORK.contains(&self.code.as_str()) || NETWORK.contains(&self.error_code.as_str())
    }

    /// Whether a `fetch` of the caller's has a defect: asking again would meet it again.
    pub fn is_programming_error(&self) -> bool {
        match self.name.as_str() {
            "ReferenceError" | "SyntaxError" | "RangeError" => true,
            "TypeError" => MISTAKE.iter().any(|words| self.message.contains(words)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thrown(name: &str, message: &str) -> Thrown {
        Thrown { name: name.into(), message: message.into(), ..Thrown::default() }
    }

    #[test]
    fn a_mistake_in_a_fetch_is_told_from_a_network_that_fails() {
        for (name, message) in [
            ("TypeError", "x is not a function"),
            ("TypeError", "undefined is not an object (evaluating 'a.b')"),
            ("TypeError", "Cannot read properties of undefined (reading 'b')"),
            ("TypeError", "can't access property \"b\", a is undefined"),
            ("TypeError", "Assignment to constant variable."),
            ("TypeError", "invalid assignment to const 'a'"),
            ("TypeError", "Attempted to assign to readonly property."),
            ("TypeError", "Cannot destructure property 'a' of 'undefined' as it is undefined."),
            ("TypeError", "Invalid URL"),
            ("TypeError", "URL constructor: no url is not a valid URL."),
            ("TypeError", "Failed to construct 'Request': Request with GET/HEAD method cannot have body."),
            ("TypeError", "Failed to execute 'fetch' on 'Window': Illegal invocation"),
            ("ReferenceError", "x is not defined"),
        ] {
            assert!(thrown(name, message).is_programming_error(), "{name}: {message}");
        }
        for (name, message) in [
            ("TypeError", "Failed to fetch"),
            ("TypeError", "NetworkError when attempting to fetch resource."),
            ("TypeError", "Load failed"),
            ("TypeError", "fetch failed"),
            ("TypeError", "network error"),
            ("TypeError", "The network connection was lost."),
            ("TypeError", "error sending request for url"),
            ("TypeError", "terminated"),
            ("AbortError", "The operation was aborted"),
            ("Error", "ECONNRESET"),
            ("", ""),
        ] {
            assert!(!thrown(name, message).is_programming_error(), "{name}: {message}");
        }
    }
}
