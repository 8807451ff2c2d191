//! Classifies errors that the caller's token source or `fetch` threw. Errors are recognized by the
//! names and codes of MSAL, `@azure/identity` and OAuth. Engines word a failed `fetch` differently.

use super::error::Code;

/// Codes that only a sign-in of the user can resolve: OAuth's, and those of msal-browser 2 to 5 for
/// a silent request that the hidden iframe, the broker or the cache could not satisfy. MSAL throws
/// `timed_out` and `monitor_window_timeout` when the refresh token and the session cookie are both
/// gone.
const INTERACTION_CODES: [&str; 25] = [
    "interaction_required",
    "login_required",
    "consent_required",
    "bad_token",
    "refresh_token_expired",
    "native_account_unavailable",
    "no_tokens_found",
    "no_account_error",
    "no_account_found",
    "no_account_in_silent_request",
    "timed_out",
    "monitor_window_timeout",
    "monitor_popup_timeout",
    "iframe_closed_prematurely",
    "block_iframe_reload",
    "redirect_in_iframe",
    "hash_empty_error",
    "empty_response",
    "redirect_bridge_empty_response",
    "interaction_in_progress",
    "interaction_in_progress_cancelled",
    "interrupted_user",
    "ui_not_allowed",
    "user_cancelled",
    "user_canceled",
];

/// Names of errors that only a sign-in of the user can resolve: those of MSAL and
/// `@azure/identity`.
const INTERACTION_NAMES: [&str; 2] = ["InteractionRequiredAuthError", "AuthenticationRequiredError"];

/// Codes for a failed network: MSAL's, and that of this package.
const NETWORK_CODES: [&str; 7] = [
    "network",
    "no_network_connectivity",
    "network_error",
    "get_request_failed",
    "post_request_failed",
    "endpoints_resolution_error",
    "openid_config_error",
];

/// Names of errors of MSAL that a mistake in the app's code or configuration causes.
const MISTAKE_NAMES: [&str; 2] = ["ClientConfigurationError", "BrowserConfigurationAuthError"];

/// Codes of configuration errors that MSAL also uses when it cannot fetch a document of the
/// authority. A retry may succeed.
const TRANSIENT_CODES: [&str; 2] = ["untrusted_authority", "issuer_validation_failed"];

/// Codes for a mistake in the app's code, configuration or registration: those of msal-browser 2 to
/// 5, and OAuth's (RFC 6749, section 5.2). A retry would fail in the same way.
const MISTAKE_CODES: [&str; 37] = [
    "uninitialized_public_client_application",
    "stubbed_public_client_application_called",
    "native_broker_called_before_initialize",
    "non_browser_environment",
    "pkce_not_created",
    "crypto_nonexistent",
    "no_crypto_object",
    "invalid_cache_type",
    "empty_navigate_uri",
    "silent_prompt_value_error",
    "silent_logout_unsupported",
    "block_nested_popups",
    "popup_relay_unsupported_flow",
    "native_prompt_not_supported",
    "auth_request_not_set_error",
    "auth_code_required",
    "auth_code_or_nativeAccountId_required",
    "spa_code_and_nativeAccountId_present",
    "invalid_pop_token_request",
    "unsupported_token_binding_algorithm",
    "request_cannot_be_made",
    "empty_input_scopeset",
    "cannot_append_scopeset",
    "cannot_remove_empty_scope",
    "invalid_assertion",
    "invalid_client_credential",
    "missing_tenant_id_error",
    "method_not_implemented",
    "http_method_not_implemented",
    "resource_parameter_required",
    "misplaced_resource_parameter",
    "invalid_client",
    "invalid_request",
    "invalid_resource",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Phrases of engines when `fetch` gets no response. Any other `TypeError` may be a mistake.
const NO_RESPONSE_PHRASES: [&str; 4] = ["Failed to fetch", "NetworkError", "Load failed", "fetch failed"];

/// Phrases of engines for a mistake in the code. Listing the phrases for failed networks instead
/// would miss those of future hosts.
const MISTAKE_PHRASES: [&str; 16] = [
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

/// The properties of a thrown value that identify it. Missing ones are empty.
#[derive(Clone, Debug, Default)]
pub struct Thrown {
    /// `name`.
    pub name: String,
    /// `code`, if it is a string.
    pub code: String,
    /// `errorCode`, a property of MSAL's errors.
    pub error_code: String,
    /// `message`.
    pub message: String,
}

impl Thrown {
    /// Whether only a sign-in of the user can resolve it.
    pub fn needs_interaction(&self) -> bool {
        INTERACTION_NAMES.contains(&self.name.as_str())
            || self.code == Code::Interaction.as_str()
            || INTERACTION_CODES.contains(&self.error_code.as_str())
    }

    /// Whether a token source could not reach its authority.
    pub fn is_network_failure(&self) -> bool {
        let has_no_response = self.name == "TypeError"
            && NO_RESPONSE_PHRASES.iter().any(|phrase| self.message.contains(phrase));
        has_no_response
            || NETWORK_CODES.contains(&self.code.as_str())
            || NETWORK_CODES.contains(&self.error_code.as_str())
    }

    /// Whether a token source failed because of a mistake in the app's code, configuration or
    /// registration, so that a retry would fail in the same way. A `SyntaxError` or a `TypeError`
    /// does not count: it may come from an authority's response, or from an account that is not
    /// signed in.
    pub fn is_token_source_mistake(&self) -> bool {
        let depends_on_network = TRANSIENT_CODES.contains(&self.error_code.as_str());
        !depends_on_network && MISTAKE_NAMES.contains(&self.name.as_str())
            || MISTAKE_CODES.contains(&self.error_code.as_str())
            || ["ReferenceError", "RangeError"].contains(&self.name.as_str())
    }

    /// Whether the caller's `fetch` has a programming error, which a retry cannot fix.
    pub fn is_programming_error(&self) -> bool {
        match self.name.as_str() {
            "ReferenceError" | "SyntaxError" | "RangeError" => true,
            "TypeError" => MISTAKE_PHRASES.iter().any(|phrase| self.message.contains(phrase)),
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
    fn codes_of_msal_that_need_the_user_are_distinguished_from_network_failures_and_mistakes() {
        let msal = |code: &str| Thrown {
            name: "BrowserAuthError".into(),
            error_code: code.into(),
            ..Thrown::default()
        };
        for code in [
            "timed_out",
            "monitor_window_timeout",
            "no_account_error",
            "interaction_in_progress",
            "block_iframe_reload",
            "bad_token",
        ] {
            assert!(msal(code).needs_interaction() && !msal(code).is_network_failure(), "{code}");
        }
        for code in ["no_network_connectivity", "post_request_failed", "endpoints_resolution_error"] {
            assert!(msal(code).is_network_failure() && !msal(code).needs_interaction(), "{code}");
        }
        for code in [
            "uninitialized_public_client_application",
            "pkce_not_created",
            "crypto_nonexistent",
            "request_cannot_be_made",
            "invalid_client",
        ] {
            assert!(
                !msal(code).needs_interaction()
                    && !msal(code).is_network_failure()
                    && msal(code).is_token_source_mistake(),
                "{code} is a mistake of the app"
            );
        }
    }

    #[test]
    fn a_mistake_in_the_token_source_of_the_app_is_distinguished_from_a_temporary_failure() {
        for (name, message) in [
            ("ClientConfigurationError", "empty_input_scopes_error"),
            ("BrowserConfigurationAuthError", "storage_not_supported"),
            ("ReferenceError", "pca is not defined"),
        ] {
            assert!(thrown(name, message).is_token_source_mistake(), "{name}: {message}");
        }
        for (name, message) in [
            ("SyntaxError", "Unexpected token '<', \"<html>\" is not valid JSON"),
            ("TypeError", "Failed to fetch"),
            ("TypeError", "Cannot read properties of null (reading 'homeAccountId')"),
            ("ServerError", "temporarily_unavailable"),
            ("Error", "the backend returned 500"),
        ] {
            assert!(!thrown(name, message).is_token_source_mistake(), "{name}: {message}");
        }
        let error_code = "untrusted_authority".to_owned();
        let discovery = Thrown { error_code, ..thrown("ClientConfigurationError", "") };
        assert!(!discovery.is_token_source_mistake(), "its document may be temporarily unreachable");
    }

    #[test]
    fn a_mistake_in_a_custom_fetch_is_distinguished_from_a_failed_network() {
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
