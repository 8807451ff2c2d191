//! Keeps tokens and links out of messages, reports and logs (invariants 8 and 20 of
//! CONTRIBUTING.md).

use percent_encoding::percent_decode_str;

/// Words of at least this length are removed from messages. Access tokens are longer, and so are
/// most tokens in links.
pub const MIN_TOKEN_LENGTH: usize = 40;

/// Shorter values of a link's parameters stay: they may be numbers that occur in any text.
const MIN_VALUE_LENGTH: usize = 8;

/// Returns at most `max` characters of a text from outside, without words of at least
/// [`MIN_TOKEN_LENGTH`]: they may be parts of links or tokens. A text that is cut ends with `…`.
///
/// Words are removed before the text is cut: the beginning of a token is as secret as its end.
pub fn redact(text: &str, max: usize) -> String {
    let words: Vec<&str> =
        text.split(' ').map(|word| if word.len() < MIN_TOKEN_LENGTH { word } else { "…" }).collect();
    let redacted = words.join(" ");
    if redacted.chars().count() <= max {
        return redacted;
    }
    redacted.chars().take(max.saturating_sub(1)).chain(['…']).take(max).collect()
}

/// Removes the values of the parameters of a link from a text, even those shorter than
/// [`MIN_TOKEN_LENGTH`].
pub fn without_values_of(text: &str, link: &str) -> String {
    let values = link.split(['?', '&', '#']).skip(1).filter_map(|parameter| parameter.split_once('='));
    values.filter(|(_, value)| value.len() >= MIN_VALUE_LENGTH).fold(text.to_owned(), |text, (_, value)| {
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        text.replace(value, "…").replace(decoded.as_ref(), "…")
    })
}

/// Quotes a caller's string without anything that may be a token: cuts a link before its
/// parameters, and removes long words.
pub fn quote(text: &str) -> String {
    quote_until(text, &['?', '#'])
}

/// Quotes a path like [`quote`], and cuts it before the parameters of a function too, as in
/// `delta(token='…')`.
pub fn quote_path(path: &str) -> String {
    quote_until(path, &['?', '#', '('])
}

fn quote_until(text: &str, ends: &[char]) -> String {
    let redacted = redact(text.split(ends).next().unwrap_or_default(), 80);
    let end = if redacted.len() < text.len() && !redacted.ends_with('…') { "…" } else { "" };
    format!("{:?}", redacted + end)
}

/// Shortens a name from a response, such as an error code or a request id, and removes a token that
/// the response echoes.
pub fn redact_name(name: &str) -> String {
    redact(name, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_link_are_removed_encoded_and_decoded() {
        let link = "https://graph.example/v1.0/me/drive/root/delta?token=aTE09MjM2%2BMTk&$top=5#x=12345678";
        assert_eq!(
            without_values_of("The value 'aTE09MjM2+MTk' (aTE09MjM2%2BMTk) of 5 items, 12345678", link),
            "The value '…' (…) of 5 items, …"
        );
        assert_eq!(without_values_of("as it is", "no link"), "as it is");
    }

    #[test]
    fn a_long_word_is_removed_wherever_the_text_is_cut() {
        let token = "x".repeat(41);
        assert_eq!(redact(&format!("failed with {token} twice"), 200), "failed with … twice");
        assert_eq!(
            redact(&format!("{}{token}", "word ".repeat(38)), 200),
            format!("{}…", "word ".repeat(38))
        );
        assert_eq!(redact("short words stay", 5), "shor…");
        assert_eq!(redact("short words stay", 0), "");
        assert_eq!(redact("", 0), "");
    }
}
