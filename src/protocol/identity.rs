//! Reads the subject of a token that is a JWT, as access tokens of Entra usually are. The token is
//! not verified: its claims only determine which limits a request counts towards, and allow an
//! error that Graph would return anyway to be reported before the request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::item::Item;

/// The claims that name a user. Tokens of version 1 have `unique_name`.
const NAMES: [&str; 4] = ["oid", "upn", "preferred_username", "unique_name"];

/// The claims of a token as JSON text. `None` if the token is not a JWT.
pub fn claims_of(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}

/// The subject of a token: a user or an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Whether the token is that of a signed-in user: it has the claim `scp`.
    pub is_delegated: bool,
    /// The names of the user, in lower case.
    pub names: Vec<String>,
}

impl Identity {
    /// Reads the claims of a token.
    pub fn read<I: Item>(claims: &I) -> Self {
        let is_delegated = claims.string_property("scp").is_some();
        let names = NAMES.iter().filter_map(|name| claims.string_property(name));
        Self { is_delegated, names: names.map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Returns the name under which the limits of a mailbox are counted: `me` for the mailbox of
    /// the signed-in user, in every form of the path. `account` is the caller's name of the user;
    /// the first part of MSAL's `homeAccountId` is the user's id.
    pub fn mailbox<'a>(&self, mailbox: &'a str, account: &str) -> &'a str {
        let name = mailbox.to_ascii_lowercase();
        let account = account.to_ascii_lowercase();
        let is_own = self.names.contains(&name)
            || !name.is_empty()
                && (name == account || account.split_once('.').is_some_and(|(id, _)| id == name));
        if is_own { "me" } else { mailbox }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn identity(claims: &Value) -> Identity {
        let text = claims_of(&token(claims)).unwrap();
        Identity::read(&serde_json::from_str::<Value>(&text).unwrap())
    }

    #[test]
    fn a_token_of_a_signed_in_user_is_distinguished_from_one_of_an_app() {
        assert!(identity(&json!({ "scp": "User.Read" })).is_delegated);
        assert!(!identity(&json!({ "roles": ["User.Read.All"], "oid": "x" })).is_delegated);
    }

    #[test]
    fn a_token_that_is_not_a_jwt_identifies_nobody() {
        for token in ["", "opaque", "a.b", "a.!!.c", "EwBgA8l6BAAU.x", "a.\u{fffd}.c"] {
            assert_eq!(claims_of(token), None, "{token}");
        }
    }

    #[test]
    fn one_mailbox_has_one_name_for_every_form_of_its_path() {
        let ann = identity(&json!({ "oid": "0a0a", "upn": "Ann@Contoso.example", "scp": "Mail.Read" }));
        for name in ["me", "ann@contoso.example", "ANN@CONTOSO.EXAMPLE", "0a0a", "0A0A"] {
            assert_eq!(ann.mailbox(name, "somebody"), "me", "{name}");
        }
        for name in ["bob@contoso.example", "0b0b", ""] {
            assert_eq!(ann.mailbox(name, "somebody"), name);
        }
        let nobody = Identity::default();
        assert_eq!(nobody.mailbox("0A0A", "0a0a.7e7e"), "me", "MSAL's homeAccountId");
        assert_eq!(nobody.mailbox("ann@contoso.example", "Ann@contoso.example"), "me");
        assert_eq!(nobody.mailbox("0b0b", "0a0a.7e7e"), "0b0b");
        assert_eq!(nobody.mailbox("", ""), "", "an account without a name owns no mailbox");
    }
}
