//! Finds the nextLink in the beginning of a page while the rest is still arriving.
//!
//! Only a property of the outermost object counts, and only before `value`, where Graph's pages
//! have it. The link is a guess: the round uses it only if the whole page has the same link.

/// How many characters of a page are searched.
pub const MAX_HEAD: u32 = 8192;

/// The result of reading the beginning of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// The nextLink, unescaped.
    NextLink(String),
    /// There is no nextLink before `value`, or this is not a page.
    NoLink,
    /// The text ends before this can be decided.
    Incomplete,
}

/// Reads the beginning of a page.
pub fn read(text: &str) -> Head {
    Scanner { rest: text }.next_link().unwrap_or_else(|end| end)
}

/// Reads JSON from the front. Every method fails with [`Head::Incomplete`] at the end of the text,
/// and with [`Head::NoLink`] at an unexpected character.
struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn next_link(&mut self) -> Result<Head, Head> {
        self.expect('{')?;
        loop {
            let name = self.string()?;
            self.expect(':')?;
            match name.as_str() {
                "@odata.nextLink" => return self.string().map(Head::NextLink),
                "value" => return Err(Head::NoLink),
                _ => self.skip_scalar()?,
            }
            self.expect(',')?;
        }
    }

    fn peek(&mut self) -> Result<char, Head> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next().ok_or(Head::Incomplete)
    }

    fn next(&mut self) -> Result<char, Head> {
        let mut chars = self.rest.chars();
        let next = chars.next().ok_or(Head::Incomplete)?;
        self.rest = chars.as_str();
        Ok(next)
    }

    fn expect(&mut self, expected: char) -> Result<(), Head> {
        if self.peek()? != expected {
            return Err(Head::NoLink);
        }
        self.next().map(drop)
    }

    /// Skips a string, a number or a literal.
    fn skip_scalar(&mut self) -> Result<(), Head> {
        match self.peek()? {
            '"' => self.string().map(drop),
            '{' | '[' => Err(Head::NoLink),
            _ => {
                let end = self.rest.find([',', '}']).ok_or(Head::Incomplete)?;
                self.rest = self.rest.get(end..).unwrap_or_default();
                Ok(())
            }
        }
    }

    fn string(&mut self) -> Result<String, Head> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Head> {
        Ok(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    code = code * 16 + self.next()?.to_digit(16).ok_or(Head::NoLink)?;
                }
                // Half of a surrogate pair: no link contains one.
                char::from_u32(code).ok_or(Head::NoLink)?
            }
            same @ ('"' | '\\' | '/') => same,
            _ => return Err(Head::NoLink),
        })
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    fn link(url: &str) -> Head {
        Head::NextLink(url.into())
    }

    #[test]
    fn a_next_link_before_the_items_is_found_before_they_arrive() {
        let head = r#"{"@odata.context":"https:\/\/x\/$metadata#contacts","@odata.count":7,"@odata.nextLink":"https:\/\/x\/contacts\/delta?$skiptoken=a\u0026b","value":[{"id"#;
        assert_eq!(read(head), link("https://x/contacts/delta?$skiptoken=a&b"));
        let pretty = "\u{20}{\r\n\t\"a\" : null ,\n \"@odata.nextLink\" : \"n\"";
        assert_eq!(read(pretty), link("n"));
    }

    #[test]
    fn a_link_after_the_items_or_inside_one_does_not_count() {
        for text in [
            r#"{"value":[{"id":"1"}],"@odata.nextLink":"n"}"#,
            r#"{"value":[{"@odata.nextLink":"n"}]}"#,
            r#"{"error":{"@odata.nextLink":"n"}}"#,
            r#"[{"@odata.nextLink":"n"}]"#,
            r#"{"@odata.nextLink":7}"#,
            r#"{"@odata.nextLink":"\ud83d\ude00"}"#,
            r#"{"a":"\x","@odata.nextLink":"n"}"#,
            "<html>",
            "{}",
        ] {
            assert_eq!(read(text), Head::NoLink, "{text}");
        }
    }

    #[test]
    fn a_head_that_is_cut_short_anywhere_is_incomplete() {
        let text = r#"{"@odata.context":"c","n":1,"@odata.nextLink":"a\u0026b""#;
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Head::Incomplete, "{}", &text[..end]);
        }
        assert_eq!(read(text), link("a&b"));
    }
}
