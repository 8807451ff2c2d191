//! Reads a `WWW-Authenticate` header: the claims that a token has to satisfy (graph-facts 6).
//!
//! 1. The header may contain several challenges, each with parameters in any order. The first
//!    `claims` parameter that can be read counts.
//! 2. Its value is a JSON object in base64 or base64url, padded or not. Any other value is ignored,
//!    because it would reach the caller's sign-in.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Padding is optional: Graph's services differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The decoded claims as JSON text.
pub fn claims(header: &str) -> Option<String> {
    let mut rest = header.as_bytes();
    while !rest.is_empty() {
        let (name, after) = token(rest);
        if let Some(value) = after.strip_prefix(b"=") {
            let (value, after) = parameter(value);
            if name.eq_ignore_ascii_case(b"claims")
                && let Some(claims) = decoded(&value)
            {
                return Some(claims);
            }
            rest = after;
        } else {
            // The name of a scheme, or a separator of two parameters.
            rest = after.get(1..).unwrap_or_default();
        }
    }
    None
}

/// Splits before the next separator.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| b" \t,=".contains(byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// Splits off a value, quoted or bare, and returns the rest.
fn parameter(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| b" \t,".contains(byte)).unwrap_or(text.len());
        let (bare, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
        return (bare.to_vec(), rest);
    };
    loop {
        match rest {
            [] => return (value, rest),
            [b'"', after @ ..] => return (value, after),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
        }
    }
}

/// Decodes a JSON object from base64 or base64url.
fn decoded(value: &[u8]) -> Option<String> {
    let standard: Vec<u8> = value
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    let text = String::from_utf8(BASE64.decode(standard).ok()?).ok()?;
    let is_object = text.trim_ascii().starts_with('{') && text.trim_ascii().ends_with('}');
    is_object.then_some(text)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#;
    const BASE64: &str =
        "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAwMDAwMDAwIn19fQ==";

    #[test]
    fn the_claims_of_a_challenge_are_decoded() {
        for header in [
            format!(
                r#"Bearer realm="", authorization_uri="https://login.contoso.example/common/oauth2/authorize", error="insufficient_claims", claims="{BASE64}""#
            ),
            format!("Bearer claims={BASE64}, realm=\"\""),
            format!("bearer CLAIMS=\"{}\"", BASE64.trim_end_matches('=')),
            format!(
                r#"Basic realm="a, claims=\"x\" b", Bearer error="insufficient_claims",claims="{BASE64}""#
            ),
            format!("Negotiate abc==, Bearer claims=\"{BASE64}\""),
            format!(r#"Bearer claims="***", claims="{BASE64}""#),
        ] {
            assert_eq!(claims(&header).as_deref(), Some(CLAIMS), "{header}");
        }
    }

    #[test]
    fn base64url_is_read_as_well_as_base64() {
        let text = r#"{"x":"??>?~?"}"#;
        for value in ["eyJ4IjoiPz8-P34_In0", "eyJ4IjoiPz8+P34/In0="] {
            assert_eq!(claims(&format!("Bearer claims=\"{value}\"")).as_deref(), Some(text), "{value}");
        }
    }

    #[test]
    fn claims_may_contain_any_unicode_character() {
        assert_eq!(claims("Bearer claims=\"eyLDqSI6MX0=\"").as_deref(), Some("{\"é\":1}"));
    }

    #[test]
    fn a_value_that_is_not_base64_of_an_object_is_ignored() {
        for header in [
            "",
            "Bearer",
            "Bearer realm=\"\"",
            "Bearer claims=",
            "Bearer claims=\"\"",
            "Bearer claims=\"not base64\"",
            "Bearer claims=\"e30=e30=\"",
            "Bearer claims=\"////\"",
            "Bearer claims=\"InRleHQi\"",
            "Bearer claims=\"W10=\"",
            "Bearer claims=\"e30",
            "Bearer xclaims=\"e30=\"",
            "claims e30=",
            "=,=,\"\"=\"",
            "Bearer claims=\"\\",
        ] {
            assert_eq!(claims(header).filter(|_| !header.ends_with("\"e30")), None, "{header}");
        }
        assert_eq!(claims("Bearer claims=\"e30").as_deref(), Some("{}"), "an unclosed quote is accepted");
    }
}
