//! Percent-encoding, base64 and query strings. Written by hand, because the core only depends on
//! serde_json.

/// Percent-decodes. With `plus`, `+` becomes a space, as in a query.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => match hex_pair(bytes.clone()) {
                Some(byte) => {
                    out.push(byte);
                    bytes.nth(1);
                }
                None => out.push(b),
            },
            b'+' if plus => out.push(b' '),
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_pair(mut bytes: std::str::Bytes<'_>) -> Option<u8> {
    let high = char::from(bytes.next()?).to_digit(16)?;
    let low = char::from(bytes.next()?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Percent-encodes all but the unreserved characters.
// RFC 3986's unreserved characters stay: libsoup, below WebKitGTK, would decode a `%7E` on the way.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut n = 0u32;
        for i in 0..3 {
            n = (n << 8) | u32::from(chunk.get(i).copied().unwrap_or(0));
        }
        for i in 0..4 {
            if i <= chunk.len() {
                let six = (n >> (18 - 6 * i)) & 63;
                out.push(char::from(BASE64.get(six as usize).copied().unwrap_or(b'A')));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// A parameter of a query, raw and decoded.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) raw: String,
    pub(crate) value: String,
}

pub(crate) fn query(text: &str) -> Vec<Param> {
    text.split('&')
        .filter(|p| !p.is_empty())
        .map(|p| {
            let (name, raw) = p.split_once('=').unwrap_or((p, ""));
            Param { name: decode(name, true), raw: raw.to_owned(), value: decode(raw, true) }
        })
        .collect()
}

/// The preferences of all `Prefer` headers, with names in lower case and values without quotes.
pub(crate) fn prefer<'a>(headers: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for header in headers {
        let mut quoted = false;
        let parts = header.split(|c: char| {
            if c == '"' {
                quoted = !quoted;
            }
            c == ',' && !quoted
        });
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = name.trim().to_ascii_lowercase();
            if !name.is_empty() {
                out.push((name, value.trim().trim_matches('"').to_owned()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_in_a_query_only() {
        assert_eq!(decode("a+b%2Bc%zz", true), "a b+c%zz");
        assert_eq!(decode("a+b", false), "a+b");
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"abc"), "YWJj");
    }

    #[test]
    fn a_comma_in_quotes_does_not_separate_preferences() {
        let got = prefer(["odata.maxpagesize=2, outlook.timezone=\"A, B\"", "return=minimal"].into_iter());
        assert_eq!(got.len(), 3);
        assert_eq!(got.get(1).map(|p| p.1.as_str()), Some("A, B"));
    }
}
