//! Keeps tokens and links out of messages, reports and logs (invariants 8 and 20).

/// The longest word that a message may repeat. Access tokens and the tokens in links are longer.
const LONGEST_WORD: usize = 40;

/// At most `most` characters of a foreign text, without any word that may be part of a link or a
/// token.
///
/// Words are removed before the text is cut: the beginning of a token is as secret as its end.
pub fn redact(said: &str, most: usize) -> String {
    let words: Vec<&str> =
        said.split(' ').map(|word| if word.len() < LONGEST_WORD { word } else { "…" }).collect();
    words.join(" ").chars().take(most).collect()
}

/// A caller's string in quotes, without what may be a token: a link ends before its parameters, and
/// long words are removed.
pub fn quote(text: &str) -> String {
    let shown = redact(text.split(['?', '#']).next().unwrap_or_default(), 80);
    let end = if shown.len() < text.len() && !shown.ends_with('…') { "…" } else { "" };
    format!("{:?}", shown + end)
}

/// A name from a response, such as an error code or a request id, shortened. A token that the
/// response echoes is removed.
pub fn redact_name(name: &str) -> String {
    redact(name, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_removed_wherever_the_text_is_cut() {
        let token = "x".repeat(41);
        assert_eq!(redact(&format!("failed with {token} twice"), 200), "failed with … twice");
        assert_eq!(
            redact(&format!("{}{token}", "word ".repeat(38)), 200),
            format!("{}…", "word ".repeat(38))
        );
        assert_eq!(redact("short words stay", 5), "short");
    }
}
