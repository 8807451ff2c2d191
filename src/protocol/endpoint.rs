//! The clouds, and the rule that decides which links may receive the token.
//!
//! 1. Only one origin receives the token: the endpoint's. The port counts. The path does not,
//!    because Graph rewrites paths between a request and its links.
//! 2. Only `https`, or `http` on loopback.
//! 3. A link is sent byte for byte. Nothing here decodes or rebuilds it; a relative link is
//!    appended as it is: to the origin if it begins with the path of the root, otherwise to the
//!    root.
//! 4. A link that a URL parser could read differently from how it looks (control characters,
//!    backslashes, user-info) is foreign.

use super::error::{Code, Error, Result};
use super::redact::{MIN_TOKEN_LENGTH, quote};

/// The four clouds, by the names that users give (graph-facts 2.7).
pub const CLOUDS: [(&str, &str); 4] = [
    ("global", "https://graph.microsoft.com/v1.0"),
    ("usgov", "https://graph.microsoft.us/v1.0"),
    ("usgov-dod", "https://dod-graph.microsoft.us/v1.0"),
    ("china", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
];

/// Graph's root: an origin and the path of an API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `scheme://host` or `scheme://host:port`, lower case, without a default port.
    origin: String,
    /// The path, such as `/v1.0`, without a trailing slash.
    path: String,
}

impl Endpoint {
    /// The root of a named cloud.
    pub fn cloud(name: &str) -> Result<Self> {
        match CLOUDS.iter().find(|(cloud, _)| *cloud == name) {
            Some((_, root)) => Self::parse(root),
            None => {
                let names = CLOUDS.map(|(cloud, _)| cloud);
                Err(Error::new(
                    Code::BadRequest,
                    format!("options.cloud must be one of \"{}\", got {}", names.join("\", \""), quote(name)),
                ))
            }
        }
    }

    /// Reads a root that the caller gave.
    pub fn parse(root: &str) -> Result<Self> {
        let invalid_root = |why: &str| {
            let shown = match root.rsplit_once('@') {
                None => quote(root),
                // Everything may belong to the parameters.
                Some((before, _)) if before.contains(['?', '#']) => quote("…"),
                // A password may be in front of the host.
                Some((_, host)) => quote(&format!("…@{host}")),
            };
            Error::new(
                Code::BadRequest,
                format!(
                    "options.endpoint must be a root such as \"https://graph.microsoft.com/v1.0\": {why}, \
                    got {shown}"
                ),
            )
        };
        if has_unsafe_character(root) || root.contains(['?', '#', ' ']) {
            return Err(invalid_root("it contains a character that is not allowed there"));
        }
        let split = split(root).ok_or_else(|| invalid_root("it is not an absolute http or https URL"))?;
        if split.authority.contains('@') {
            return Err(invalid_root("it must not contain a user name or a password"));
        }
        let origin = split.origin();
        let host = split.host();
        if host.is_empty() {
            return Err(invalid_root("it has no host"));
        }
        if !split.rest.is_ascii() || split.rest.split('/').any(is_dot_segment) {
            return Err(invalid_root("its path is not normalized: a URL parser would change it"));
        }
        if split.is_secure || is_loopback(&host) {
            let path = split.rest.trim_end_matches('/');
            Ok(Self { origin, path: if path.is_empty() { "/v1.0".into() } else { path.into() } })
        } else {
            Err(invalid_root(
                "http is allowed for loopback only, because a token must not be sent unencrypted",
            ))
        }
    }

    /// Origin and path, without a trailing slash.
    pub fn root(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The only origin that receives the token.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the origin is that of one of the national clouds.
    pub fn is_national_cloud(&self) -> bool {
        let mut others = CLOUDS.iter().filter(|(name, _)| *name != "global");
        others.any(|(_, root)| root.strip_suffix("/v1.0") == Some(&self.origin))
    }

    /// The OAuth scope of a token for this root.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.origin)
    }

    /// The absolute form of a link that may receive the token, or a `foreign-link` error. A link
    /// with an empty segment in its path, such as `users//`, lacks an id: a `protocol` error.
    pub fn admit(&self, link: &str) -> Result<String> {
        let foreign = |why: &str| {
            Err(Error::new(
                Code::ForeignLink,
                format!(
                    "a link leads away from {}: {why} ({}); the token was not sent, reset() starts over \
                    without this link",
                    self.origin,
                    redacted(link)
                ),
            ))
        };
        if has_unsafe_character(link) {
            return foreign("it contains a control character or a backslash");
        }
        if let Some(rest) = link.strip_prefix('/') {
            if rest.starts_with('/') {
                return foreign("it names a host without a scheme");
            }
            if has_empty_segment(link) {
                return empty_segment(link);
            }
            // Some documented relative links begin with the version, others do not contain it.
            let versioned = link
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| matches!(rest.bytes().next(), None | Some(b'/' | b'?')));
            return Ok(if versioned {
                format!("{}{link}", self.origin)
            } else {
                format!("{}{link}", self.root())
            });
        }
        let Some(split) = split(link) else {
            return foreign("it is neither an http nor an https URL, nor a path");
        };
        if split.authority.contains('@') {
            return foreign("it contains a user name before the host");
        }
        if split.origin() != self.origin {
            return foreign("its origin differs");
        }
        if has_empty_segment(split.rest) {
            return empty_segment(link);
        }
        Ok(link.to_owned())
    }
}

/// Whether the path of a URL has an empty segment.
fn has_empty_segment(path_and_query: &str) -> bool {
    path_and_query.split(['?', '#']).next().is_some_and(|path| path.contains("//"))
}

fn empty_segment(link: &str) -> Result<String> {
    let message = format!(
        "a link has an empty segment in its path, so an id is missing ({}); it was not requested, reset() \
        starts over without this link",
        redacted(link)
    );
    Err(Error::new(Code::Protocol, message))
}

/// Shortens a link for messages and reports: removes long segments of its path, and everything from
/// the first `(`, `?` or `#`, because both may contain tokens. Returns `…` for a text that is not a
/// link: it may be a token too.
pub fn redacted(link: &str) -> String {
    if split(link).is_none() && !link.starts_with('/') {
        return "…".to_owned();
    }
    let (path, rest) = link.split_at(link.find(['?', '#', '(']).unwrap_or(link.len()));
    let segments: Vec<&str> =
        path.split(['/', '\\']).map(|part| if part.len() < MIN_TOKEN_LENGTH { part } else { "…" }).collect();
    let mut text: String = segments.join("/").chars().take(200).filter(|c| !c.is_control()).collect();
    if !rest.is_empty() {
        text.push('…');
    }
    text
}

/// Whether a URL parser resolves a segment of a path: `.` or `..`, encoded or not.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Whether a URL parser would read the text differently from how it looks: parsers drop tabs and
/// line ends, trim other control characters at the ends, and read `\` as `/`.
fn has_unsafe_character(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_control() || c == '\\')
}

fn is_loopback(host: &str) -> bool {
    if host == "localhost" || host == "[::1]" {
        return true;
    }
    host.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
}

struct Split<'a> {
    is_secure: bool,
    authority: &'a str,
    rest: &'a str,
}

/// Splits an absolute http or https URL into scheme, authority and the rest. `None` for any other
/// text.
fn split(url: &str) -> Option<Split<'_>> {
    let (scheme, after) = url.split_once("://")?;
    let is_secure = scheme.eq_ignore_ascii_case("https");
    if !is_secure && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let is_valid = !authority.is_empty() && !authority.contains(' ');
    is_valid.then_some(Split { is_secure, authority, rest })
}

impl Split<'_> {
    fn host(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let default = if self.is_secure { ":443" } else { ":80" };
        let host = authority.strip_suffix(default).unwrap_or(&authority);
        match host.bytes().rposition(|byte| byte == b':') {
            Some(colon) if !host.ends_with(']') => host.get(..colon).unwrap_or_default().to_owned(),
            _ => host.to_owned(),
        }
    }

    fn origin(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let (scheme, default) = if self.is_secure { ("https", ":443") } else { ("http", ":80") };
        format!("{scheme}://{}", authority.strip_suffix(default).unwrap_or(&authority))
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    fn graph() -> Endpoint {
        Endpoint::cloud("global").unwrap()
    }

    #[test]
    fn there_are_four_clouds_and_the_message_names_them() {
        let roots: Vec<String> =
            CLOUDS.iter().map(|(name, _)| Endpoint::cloud(name).unwrap().root()).collect();
        assert_eq!(roots, CLOUDS.iter().map(|(_, root)| (*root).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            Endpoint::cloud("germany").unwrap_err().message,
            r#"options.cloud must be one of "global", "usgov", "usgov-dod", "china", got "germany""#
        );
    }

    #[test]
    fn an_endpoint_without_a_path_gets_the_version() {
        assert_eq!(Endpoint::parse("http://127.0.0.1:4010").unwrap().root(), "http://127.0.0.1:4010/v1.0");
        assert_eq!(
            Endpoint::parse("http://localhost:4010/w/a/v1.0/").unwrap().root(),
            "http://localhost:4010/w/a/v1.0"
        );
        assert_eq!(
            Endpoint::parse("HTTPS://Graph.Microsoft.com:443/beta").unwrap().root(),
            "https://graph.microsoft.com/beta"
        );
    }

    #[test]
    fn a_refused_root_is_named_without_its_password_and_its_parameters() {
        for root in
            ["https://ann:hunter2@h.example", "ftp://:hunter2@h.example", "https://hunter2@h.example?x"]
        {
            let message = Endpoint::parse(root).unwrap_err().message;
            assert!(message.contains("got \"…@h.example") && !message.contains("hunter2"), "{message}");
        }
        for root in [
            "https://h.example/?sig=abc@hunter2",
            "https://h.example?user=ann@x&key=hunter2",
            "https://h.example/#t@hunter2",
            "ftp://ann:hunter2?b@h.example",
        ] {
            let message = Endpoint::parse(root).unwrap_err().message;
            assert!(message.ends_with("got \"…\""), "{message}");
        }
    }

    #[test]
    fn a_root_that_a_url_parser_would_change_is_refused() {
        for root in ["https://h.example/.", "https://h.example/v1.0/%2e./beta", "https://h.example/\u{85}"] {
            assert!(Endpoint::parse(root).is_err(), "{root}");
        }
        assert!(Endpoint::parse("https://h.example/a..b/.c").is_ok());
    }

    #[test]
    fn http_is_for_loopback_only() {
        for root in ["http://127.0.0.1:1", "http://127.8.8.8", "http://localhost", "http://[::1]:8080"] {
            assert!(Endpoint::parse(root).is_ok(), "{root}");
        }
        for root in [
            "http://graph.microsoft.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://127.evil",
        ] {
            let message = Endpoint::parse(root).unwrap_err().message;
            assert!(
                message.contains(
                    "http is allowed for loopback only, because a token must not be sent unencrypted"
                ),
                "{message}"
            );
        }
        for root in [
            "graph.microsoft.com",
            "ftp://graph.microsoft.com",
            "",
            "https://",
            "https://user@graph.microsoft.com",
            "https://graph.microsoft.com\\@evil",
            "https://graph.microsoft.com/?x",
        ] {
            assert_eq!(Endpoint::parse(root).unwrap_err().code, Code::BadRequest, "{root}");
        }
    }

    #[test]
    fn a_link_of_the_endpoint_is_sent_byte_for_byte() {
        for link in [
            "https://graph.microsoft.com/v1.0/me/calendarview/delta?$skiptoken=a%2Bb+c#d~=",
            "https://graph.microsoft.com/beta/users('x')/x?$deltatoken=1",
            "https://GRAPH.microsoft.com/v1.0/x",
            "https://graph.microsoft.com:443/v1.0/x",
            "https://graph.microsoft.com?x=http://evil.example",
        ] {
            assert_eq!(graph().admit(link).as_deref(), Ok(link));
        }
    }

    #[test]
    fn a_relative_link_is_appended_to_the_root() {
        assert_eq!(
            graph().admit("/teams('a')/x?t=1").as_deref(),
            Ok("https://graph.microsoft.com/v1.0/teams('a')/x?t=1")
        );
        assert_eq!(
            graph().admit("/v1.0/teams?t=1").as_deref(),
            Ok("https://graph.microsoft.com/v1.0/teams?t=1")
        );
        assert_eq!(
            graph().admit("/v1.0beta/teams").as_deref(),
            Ok("https://graph.microsoft.com/v1.0/v1.0beta/teams")
        );
    }

    #[test]
    fn a_hostile_link_never_gets_the_token() {
        for link in [
            "https://evil.example/v1.0/me",
            "http://graph.microsoft.com/v1.0/me",
            "https://graph.microsoft.com.evil.example/v1.0",
            "https://graph.microsoft.com@evil.example/v1.0",
            "https://user:pass@graph.microsoft.com/v1.0",
            "https://graph.microsoft.com:8443/v1.0",
            "https://graph.microsoft.com:443@evil.example/",
            "https://graph.microsoft.comevil.example/",
            "https://graph.microsoft.com\\@evil.example/",
            "https://graph.microsoft.com\t.evil.example/",
            "https:/\\evil.example/",
            "//evil.example/v1.0",
            "/\\evil.example/v1.0",
            "/\t/evil.example",
            "\\\\evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            " https://graph.microsoft.com/v1.0",
            "https:// graph.microsoft.com/",
            "https:///graph.microsoft.com/",
            "ws://graph.microsoft.com/",
            "me/messages",
            "",
            "https://graph.microsoft.com%2eevil.example/",
            "https://graph.microsoft.com%00.evil.example/",
            "https://graph。microsoft.com/",
        ] {
            let refusal = graph().admit(link).unwrap_err();
            assert_eq!(refusal.code, Code::ForeignLink, "{link}");
        }
        let local = Endpoint::parse("http://127.0.0.1:4010").unwrap();
        assert!(local.admit("http://127.0.0.1:4011/v1.0/x").is_err());
        assert!(local.admit("https://127.0.0.1:4010/v1.0/x").is_err());
        assert!(local.admit("http://127.1:4010/v1.0/x").is_err());
    }

    #[test]
    fn a_refusal_shows_the_link_without_its_token() {
        let message =
            graph().admit("https://evil.example/v1.0/users/delta?$deltatoken=secret").unwrap_err().message;
        assert!(message.contains("(https://evil.example/v1.0/users/delta…)"), "{message}");
        assert!(!message.contains("secret"));
        assert_eq!(redacted("/me/drive/root/delta(token='secret')"), "/me/drive/root/delta…");
    }

    #[test]
    fn a_link_with_an_empty_segment_is_refused() {
        for link in [
            "https://graph.microsoft.com/v1.0/users//calendarView/delta?$skiptoken=a",
            "/users//messages/delta?$deltatoken=SECRET",
        ] {
            let refused = graph().admit(link).unwrap_err();
            assert_eq!(refused.code, Code::Protocol);
            assert!(refused.message.contains("an id is missing") && !refused.message.contains("SECRET"));
        }
        let token = "https://graph.microsoft.com/v1.0/users/delta?$skiptoken=a//b";
        assert_eq!(graph().admit(token).unwrap(), token, "a token may contain anything");
    }
}
