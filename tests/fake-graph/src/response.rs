//! Responses in the form of Graph: headers, CORS and errors.

use crate::clock;
use crate::http::{Request, Response};
use crate::page::Page;
use crate::world::World;
use serde_json::{Map, Value, json};

/// The headers of Graph's responses that a browser may read (graph-facts 2.8).
const EXPOSED: &str = "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, \
    ReadWriteConsistencyToken, SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant";
pub(crate) const AUTHORIZATION: &str = "https://login.microsoftonline.com/common/oauth2/authorize";

/// A response that is an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) inner: Option<String>,
    pub(crate) message: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether no correct client sends this request. The log marks it.
    pub(crate) is_unexpected: bool,
}

impl Failure {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), ..Self::default() }
    }

    pub(crate) fn unexpected(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { is_unexpected: true, ..Self::new(status, code, message) }
    }
}

/// The content of a successful response.
pub(crate) enum Body {
    Page(Box<Page>),
    Item(Map<String, Value>),
    /// A status and a value. `null` is sent as no body.
    Json(u16, Value),
}

impl World {
    /// Makes a response with the headers that every response has (graph-facts 2.8).
    pub(crate) fn finish(
        &mut self,
        request: &Request,
        status: u16,
        mut headers: Vec<(String, String)>,
        body: String,
        now: u64,
    ) -> Response {
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        add("Cache-Control", "no-cache".to_owned());
        add("request-id", self.rng.guid());
        add(
            "client-request-id",
            request.header("client-request-id").map_or_else(|| self.rng.guid(), str::to_owned),
        );
        add(
            "x-ms-ags-diagnostic",
            r#"{"ServerInfo":{"DataCenter":"Nowhere","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"FAKE0001"}}"#.to_owned(),
        );
        add("Date", clock::http(i64::try_from(now).unwrap_or(0)));
        self.cors(&mut headers);
        Response { status, headers, body: body.into_bytes(), ..Response::default() }
    }

    fn cors(&self, headers: &mut Vec<(String, String)>) {
        headers.push(("Access-Control-Allow-Origin".to_owned(), "*".to_owned()));
        if self.options.expose_headers {
            let retry = if self.options.expose_retry_after { ", Retry-After" } else { "" };
            headers.push(("Access-Control-Expose-Headers".to_owned(), format!("{EXPOSED}{retry}")));
        }
    }

    pub(crate) fn preflight(&self, request: &Request) -> Response {
        let mut headers = vec![
            (
                "Access-Control-Allow-Methods".to_owned(),
                "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS".to_owned(),
            ),
            ("Access-Control-Max-Age".to_owned(), "86400".to_owned()),
        ];
        if let Some(requested) = request.header("access-control-request-headers") {
            headers.push(("Access-Control-Allow-Headers".to_owned(), requested.to_owned()));
        }
        self.cors(&mut headers);
        Response { status: 204, headers, ..Response::default() }
    }

    pub(crate) fn failure(&mut self, request: &Request, failure: &Failure, now: u64) -> Response {
        let mut headers = json_headers();
        headers.extend(failure.headers.iter().cloned());
        let mut response = self.finish(request, failure.status, headers, String::new(), now);
        let mut inner = Map::new();
        if let Some(code) = &failure.inner {
            inner.insert("code".to_owned(), code.clone().into());
        }
        inner.insert("date".to_owned(), clock::bare(i64::try_from(now).unwrap_or(0)).into());
        for name in ["request-id", "client-request-id"] {
            inner.insert(name.to_owned(), response.header(name).unwrap_or("").into());
        }
        let body =
            json!({ "error": { "code": failure.code, "message": failure.message, "innerError": inner } });
        response.body = body.to_string().into_bytes();
        response
    }

    pub(crate) fn page_response(&mut self, request: &Request, page: &Page, now: u64) -> Response {
        let body = page.text();
        self.finish(request, 200, json_headers(), body, now)
    }
}

pub(crate) fn json_headers() -> Vec<(String, String)> {
    let value =
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    vec![("Content-Type".to_owned(), value.to_owned())]
}
