//! Turns a refusal into an error that says what to do.

use super::{Round, Target};
use crate::protocol::endpoint::redacted;
use crate::protocol::error::{Code, Error};
use crate::protocol::identity::Identity;
use crate::protocol::page::Malformed;
use crate::protocol::redact::{redact, without_values_of};
use crate::protocol::refusal::Refusal;
use crate::protocol::time::format_iso;

impl Round {
    /// Returns an error if the token is that of a signed-in user and Graph requires an app-only
    /// one. A token whose claims cannot be read is accepted.
    pub fn token_error(&self, identity: &Identity) -> Option<Box<Error>> {
        let resource = self.config.query.resource.filter(|resource| resource.app_only)?;
        let message = format!(
            "only an app-only token can read {}, and the token source returned the token of a signed-in user \
            (it has the claim scp); use a Worker or a server with the application permission {}",
            resource.name,
            if resource.permission.is_empty() { "for this kind" } else { resource.permission }
        );
        identity.is_delegated.then(|| Error::new(Code::Forbidden, message))
    }

    /// Returns the error of a refusal: what was wrong, where, and what to do.
    pub(super) fn refusal_error(&self, refusal: &Refusal) -> Box<Error> {
        let resource = self.config.query.resource;
        let name = resource.map_or("this resource", |resource| resource.name);
        let app_only = resource.is_some_and(|resource| resource.app_only);
        let (code, retryable, advice) = match refusal.status {
            401 | 403 if refusal.claims.is_some() => (
                Code::Claims,
                true,
                "it requires a token that satisfies claims, and the token source returned one that does \
                not; sign the user in with error.claims, then call resume()",
            ),
            0 | 300..=399 => (
                Code::ForeignLink,
                false,
                "a redirect is not followed, because it would carry the token elsewhere; check \
                options.endpoint",
            ),
            401 => (
                Code::Unauthorized,
                true,
                "the token source returned a token that Graph refuses, twice in a row; check its audience, \
                its tenant, its cloud and its expiry: with the reason `unauthorized` the source must return \
                a new one",
            ),
            400..=499 if refusal.says_not_supported() => (
                Code::NotSupported,
                false,
                "Graph has no delta query for this path, or not for this kind of account or tenant: personal \
                accounts, External ID and B2C tenants lack some; list the collection without delta",
            ),
            400..=499 if refusal.says_needs_user() => (
                Code::BadRequest,
                false,
                "an app-only token has no signed-in user; set options.user, or track a path below \
                /users/{id}",
            ),
            402 => {
                (Code::Forbidden, false, "this metered API requires payment, which is not set up for the app")
            }
            403 if app_only => (
                Code::Forbidden,
                false,
                "the token lacks the permission, or is that of a signed-in user, who cannot read this kind: \
                use an app-only token, in a Worker or a server",
            ),
            403 => (
                Code::Forbidden,
                false,
                "the token lacks the permission, or the user is not allowed, to read this",
            ),
            404 => (
                Code::NotFound,
                false,
                "the object that the path names (a user, a calendar, a folder, a meeting organizer) does \
                not exist, or no longer exists",
            ),
            410 => (
                Code::ResyncLoop,
                true,
                "it refuses the query itself as if it were an expired link; try again later",
            ),
            // `retry()` adds why the round ends.
            429 | 509 => (Code::Throttled, true, ""),
            501 => (
                Code::NotSupported,
                false,
                "options.select names a property outside the main store, which has no delta query; leave it out",
            ),
            408 | 500..=599 => (
                Code::Network,
                true,
                "the service did not recover in time; the next round continues at the same page",
            ),
            _ if refusal.has_code("Request_UnsupportedQuery") || refusal.has_code("NotSupported") => {
                (Code::NotSupported, false, "Graph has no delta query of this form here")
            }
            _ => (Code::BadRequest, false, "check the path and the options of the query"),
        };
        let status = if refusal.status == 0 { "a redirect".to_owned() } else { refusal.status.to_string() };
        let graph_code = refusal.code().map(|code| format!(" {code}")).unwrap_or_default();
        let html =
            refusal.malformed.as_ref().filter(|body| **body == Malformed::Html).map(Malformed::message);
        let detail = refusal.message.as_deref().or(html.as_deref());
        let link = match &self.target {
            Target::Link(link) | Target::Location(link) => link.as_str(),
            Target::Query | Target::Master(_) => "",
        };
        let detail = detail.map(|detail| format!(" ({})", redact(&without_values_of(detail, link), 300)));
        let detail = detail.unwrap_or_default();
        let permission = match resource.map(|resource| resource.permission) {
            Some(permission)
                if refusal.status == 403 && code == Code::Forbidden && !permission.is_empty() =>
            {
                format!("; it requires {permission}")
            }
            _ => String::new(),
        };
        let age = match self.record.synced_at {
            Some(at) if code == Code::Forbidden && self.config.query.has_mirror => {
                format!("; the mirror is as of {}", format_iso(at))
            }
            _ => String::new(),
        };
        let path = redacted(self.config.query.path());
        let colon = if advice.is_empty() { "" } else { ": " };
        let mut failure = Error::new(
            code,
            format!(
                "Graph returned {status}{graph_code} on {name} at {path}{detail}{colon}{advice}{permission}{age}"
            ),
        );
        failure.status = (refusal.status != 0).then_some(refusal.status);
        failure.graph_code = refusal.code().map(str::to_owned);
        failure.request_id = refusal.request_id.clone();
        failure.claims = refusal.claims.clone();
        let is_gone = refusal.status == 404
            && ["ErrorItemNotFound", "ErrorSyncFolderNotFound"].iter().any(|code| refusal.has_code(code));
        failure.gone = is_gone.then_some(true);
        failure.retryable = retryable;
        failure
    }
}
