//! Texts, searched and cut at ASCII characters.
//!
//! By hand: the searches of the standard library, generic over what they look for, weigh 8 KB in the wasm.

/// A text in quotes, for messages. The formatter's own quoting would bring its Unicode tables into the wasm.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_ascii_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The start of a text, at most so many characters of it.
pub fn short(text: &str, most: usize) -> &str {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// Graph's words without what may be part of a link or a token: any run of 40 characters or more (invariant 8).
pub fn without_tokens(said: &str) -> String {
    let mut out = String::new();
    for word in parts(said, b" ") {
        if !out.is_empty() {
            out.push(' ');
        }
        out += if word.len() < 40 { word } else { "…" };
    }
    out
}

/// Whether a text holds another one. The standard search brings 5 KB into the wasm; these texts are short.
pub fn holds(text: &str, part: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.starts_with(part.as_bytes()) {
        match rest {
            [_, behind @ ..] => rest = behind,
            [] => return false,
        }
    }
    true
}

/// A whole number of digits alone; the standard parser is a function for each type.
pub fn whole(digits: &str) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut number: i64 = 0;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some(number)
}

/// Texts with something between them.
pub fn joined(texts: &[&str], between: &str) -> String {
    let mut out = String::new();
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out += between;
        }
        out += text;
    }
    out
}

/// A template with these texts in the place of its `{}`, in their order. The standard formatter, with what it pads and counts
/// by, weighs 5 KB in the wasm.
pub fn filled(mut template: &str, with: &[&str]) -> String {
    let mut out = String::new();
    let mut with = with.iter();
    while let Some((before, rest)) = halves(template, b"{") {
        out += before;
        match rest.strip_prefix('}') {
            Some(rest) => {
                out += with.next().copied().unwrap_or_default();
                template = rest;
            }
            None => {
                out.push('{');
                template = rest;
            }
        }
    }
    out + template
}

/// Whether a character is one of these.
#[allow(clippy::manual_contains, reason = "contains() is a search for longer lists, of 400 bytes")]
pub fn among(byte: u8, these: &[u8]) -> bool {
    these.iter().any(|other| *other == byte)
}

/// Whether a text holds one of these.
pub fn has(text: &str, these: &[u8]) -> bool {
    text.bytes().any(|byte| among(byte, these))
}

/// A text before the first of these characters, and from it on.
pub fn cut<'a>(text: &'a str, at: &[u8]) -> (&'a str, &'a str) {
    let end = text.bytes().position(|byte| among(byte, at)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A text before and behind the first of these characters, if there is one.
pub fn halves<'a>(text: &'a str, at: &[u8]) -> Option<(&'a str, &'a str)> {
    let (before, rest) = cut(text, at);
    Some((before, rest.get(1..)?))
}

/// What stands between these characters.
pub fn parts<'a>(mut text: &'a str, between: &[u8]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = halves(text, between) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// The words of a list such as `start end`. Lists are written so because each member of a slice costs a pointer.
pub fn words(list: &'static str) -> Vec<&'static str> {
    parts(list, b" ")
}

/// A number in at least so many digits, with zeros before it.
pub fn digits(number: i64, least: usize) -> String {
    let mut out = String::new();
    if number < 0 {
        out.push('-');
    }
    let least = least.saturating_sub(out.len());
    write_digits(&mut out, number.unsigned_abs(), least);
    out
}

/// Adds a number in at least so many digits.
pub fn write_digits(out: &mut String, number: u64, least: usize) {
    if number > 9 || least > 1 {
        write_digits(out, number / 10, least.saturating_sub(1));
    }
    #[allow(clippy::cast_possible_truncation, reason = "below ten")]
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// A text without this character at its start, however often it stands there.
pub fn bare(mut text: &str, start: char) -> &str {
    while let Some(rest) = text.strip_prefix(start) {
        text = rest;
    }
    text
}

/// Whether a text is empty, or holds a control character or one of these.
pub fn odd(text: &str, others: &[u8]) -> bool {
    text.is_empty() || has(text, others) || text.chars().any(char::is_control)
}

/// Whether a text is printable ASCII and no less.
pub fn printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_readable_whatever_it_holds() {
        assert_eq!(quoted("a\"b\\c\nd\te é"), "\"a\\\"b\\\\c\\nd\u{fffd}e é\"");
    }

    #[test]
    fn a_text_is_cut_at_a_character_wherever_it_stands() {
        assert_eq!((cut("a/b?c", b"?/"), cut("é", b"?"), cut("", b"?")), (("a", "/b?c"), ("é", ""), ("", "")));
        assert_eq!((halves("é=", b"="), halves("=é", b"="), halves("é", b"=")), (Some(("é", "")), Some(("", "é")), None));
        assert_eq!((parts("a//é/", b"/"), parts("", b"/")), (vec!["a", "", "é", ""], vec![""]));
    }

    #[test]
    fn a_template_is_filled_once_and_its_other_braces_stay() {
        assert_eq!(filled("{}{ a: {} }é{", &["{}", "b"]), "{}{ a: b }é{");
        assert_eq!((filled("", &[]), filled("a {}.", &[])), (String::new(), "a .".to_owned()));
    }

    #[test]
    fn a_number_is_written_in_at_least_so_many_digits() {
        assert_eq!(
            [(0, 1), (7, 2), (2026, 2), (-1, 4), (i64::MAX, 1)].map(|(number, least)| digits(number, least)),
            ["0", "07", "2026", "-001", "9223372036854775807"]
        );
    }

    #[test]
    fn a_whole_number_is_digits_alone() {
        assert_eq!(["0", "007", "9223372036854775807"].map(whole), [Some(0), Some(7), Some(i64::MAX)]);
        assert_eq!(["", "-1", "+1", "1.0", "9223372036854775808", "٣"].map(whole), [None; 6]);
    }
}
