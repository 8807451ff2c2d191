//! Requests and responses as data.

/// A received request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `OPTIONS`, …
    pub method: String,
    /// Path and query, byte for byte as received, beginning with `/`.
    pub url: String,
    /// Names in any letter case.
    pub headers: Vec<(String, String)>,
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

impl Request {
    /// A `GET` with a bearer token.
    pub fn get(url: impl Into<String>, token: &str) -> Self {
        let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        Self { method: "GET".to_owned(), url: url.into(), headers, body: Vec::new() }
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of that name, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// A response, and how the server has to send it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status. 0 closes the connection without a response.
    pub status: u16,
    /// The headers in their order, without `Content-Length`, which the server adds.
    pub headers: Vec<(String, String)>,
    /// The whole body, even if `cut_after` is set.
    pub body: Vec<u8>,
    /// The wait before the first byte.
    pub delay_ms: u64,
    /// Closes the connection after that many bytes of the body. `Content-Length` has the full
    /// length.
    pub cut_after: Option<usize>,
    /// Whether to never respond.
    pub hang: bool,
    /// The bandwidth limit of the body.
    pub bytes_per_second: Option<u64>,
}

impl Response {
    /// The first header of that name, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A response with a JSON body and no further headers.
    pub(crate) fn of(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes(), ..Self::default() }
    }
}
