//! Parses paths. Graph accepts `/users/{id}`, `/users('{id}')` and `/users({id})` for
//! the same thing, names in any letter case, and `delta`, `delta()` and `microsoft.graph.delta()`
//! (graph-facts 2.1 point 7, 2.4).

use crate::text::decode;

/// A collection with delta queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collection {
    /// Events of a calendar window.
    Events,
    /// Directory contacts.
    Contacts,
    /// Call recordings.
    Recordings,
    /// Users of the directory.
    Users,
    /// Groups of the directory.
    Groups,
    /// Items of a drive.
    Drive,
    /// Messages of a mail folder.
    Messages,
}

impl Collection {
    /// All collections.
    pub const ALL: [Self; 7] = [
        Self::Events,
        Self::Contacts,
        Self::Recordings,
        Self::Users,
        Self::Groups,
        Self::Drive,
        Self::Messages,
    ];

    /// Its name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Contacts => "contacts",
            Self::Recordings => "recordings",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Drive => "drive",
            Self::Messages => "messages",
        }
    }

    /// The collection with a name of the control API.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The message for a name that no collection has.
    pub(crate) fn unknown(name: &str) -> String {
        let names = Self::ALL.map(Self::name).join(", ");
        format!("there is no collection {name:?}: the collections are {names}")
    }

    /// Directory objects: class A of graph-facts 2.6.
    pub(crate) fn is_directory(self) -> bool {
        matches!(self, Self::Contacts | Self::Users | Self::Groups)
    }

    /// Outlook: class B of graph-facts 2.6.
    pub(crate) fn is_outlook(self) -> bool {
        matches!(self, Self::Events | Self::Messages)
    }
}

/// The target of a request for subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subscriptions {
    /// `/subscriptions`
    All,
    /// `/subscriptions/{id}`
    One(String),
    /// `/subscriptions/{id}/reauthorize`
    Reauthorize(String),
}

/// The resource of a path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    pub(crate) collection: Option<Collection>,
    /// The `{id}` of `/users/{id}`; `None` for `/me`.
    pub(crate) user: Option<String>,
    /// Whether the path begins with `/me` or `/users/{id}`.
    pub(crate) is_personal: bool,
    /// The calendar or mail folder.
    pub(crate) part: Option<String>,
    /// The id of a single event. Set if this is a request for one.
    pub(crate) item: Option<String>,
    /// Set if this is a request for subscriptions.
    pub(crate) subscriptions: Option<Subscriptions>,
    /// The arguments of `getAllRecordings`.
    pub(crate) arguments: Vec<(String, String)>,
    /// The raw token of `delta(token='…')`.
    pub(crate) token: Option<String>,
    /// The path of the links, which differs from that of the request (graph-facts 2.4).
    pub(crate) link_path: String,
}

struct Segment {
    name: String,
    raw: String,
    key: Option<String>,
}

fn segment(raw: &str) -> Segment {
    if let Some((name, rest)) = raw.split_once('(')
        && let Some(key) = rest.strip_suffix(')')
    {
        return Segment {
            name: decode(name, false).to_ascii_lowercase(),
            raw: raw.to_owned(),
            key: Some(key.to_owned()),
        };
    }
    Segment { name: decode(raw, false).to_ascii_lowercase(), raw: raw.to_owned(), key: None }
}

pub(crate) fn unquote(text: &str) -> &str {
    let text = text.strip_prefix("%27").and_then(|t| t.strip_suffix("%27")).unwrap_or(text);
    text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap_or(text)
}

/// Parses `name` and its key, which is the next segment or in parentheses.
fn keyed<'a>(segments: &'a [Segment], name: &str) -> Option<(String, &'a [Segment])> {
    let (first, rest) = segments.split_first()?;
    if first.name != name {
        return None;
    }
    if let Some(key) = &first.key {
        return Some((unquote(key).to_owned(), rest));
    }
    let (key, rest) = rest.split_first()?;
    (!key.raw.is_empty()).then(|| (key.raw.clone(), rest))
}

/// Parses a path below the root. `None` if the fake Graph does not know it.
pub(crate) fn parse(path: &str) -> Option<Route> {
    // An example of the documentation has a slash before the question mark:
    // `/contacts/delta/?$filter=…` (graph-facts 1.2).
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<Segment> = path.split('/').map(segment).collect();
    let mut route = Route::default();
    let mut rest = segments.as_slice();
    let mut link = String::new();
    let (first, after) = rest.split_first()?;
    if first.name == "subscriptions" {
        route.subscriptions = Some(subscriptions(rest)?);
        return Some(route);
    }
    if first.name == "me" && first.key.is_none() {
        route.is_personal = true;
        rest = after;
        link.push_str("/me");
    } else if first.name == "users" && (first.key.is_some() || after.len() > 1) {
        let (id, after) = keyed(rest, "users")?;
        link = format!("/users('{id}')");
        route.user = Some(decode(&id, false));
        route.is_personal = true;
        rest = after;
    }
    if route.is_personal {
        personal(&mut route, rest, link)
    } else {
        let (name, after) = rest.split_first()?;
        let collection = match name.name.as_str() {
            "contacts" => Collection::Contacts,
            "users" => Collection::Users,
            "groups" => Collection::Groups,
            _ => return None,
        };
        route.collection = Some(collection);
        delta(&mut route, after, format!("/{}", collection.name()))
    }?;
    Some(route)
}

fn subscriptions(segments: &[Segment]) -> Option<Subscriptions> {
    let (first, after) = segments.split_first()?;
    if first.key.is_none() && after.is_empty() {
        return Some(Subscriptions::All);
    }
    let (id, after) = keyed(segments, "subscriptions")?;
    let id = decode(&id, false);
    match after {
        [] => Some(Subscriptions::One(id)),
        [action] if action.name == "reauthorize" => Some(Subscriptions::Reauthorize(id)),
        _ => None,
    }
}

fn personal(route: &mut Route, mut rest: &[Segment], mut link: String) -> Option<()> {
    if let Some((calendar, after)) = keyed(rest, "calendars") {
        link.push_str(&format!("/calendars/{calendar}"));
        route.part = Some(decode(&calendar, false));
        rest = after;
    } else if rest.first().is_some_and(|s| s.name == "calendar") {
        rest = rest.get(1..)?;
        link.push_str("/calendar");
    }
    if let Some((id, after)) = keyed(rest, "events") {
        route.collection = Some(Collection::Events);
        route.item = Some(decode(&id, false));
        return after.is_empty().then_some(());
    }
    if let Some((folder, after)) = keyed(rest, "mailfolders") {
        let (messages, after) = after.split_first()?;
        route.collection = Some(Collection::Messages);
        route.part = Some(decode(&folder, false));
        link.push_str(&format!("/mailfolders('{folder}')/messages"));
        return (messages.name == "messages").then_some(()).and_then(|()| delta(route, after, link));
    }
    let (first, after) = rest.split_first()?;
    match first.name.as_str() {
        "calendarview" => {
            route.collection = Some(Collection::Events);
            link.push_str("/calendarview");
            delta(route, after, link)
        }
        "onlinemeetings" => {
            let (call, after) = after.split_first()?;
            if call.name != "getallrecordings" {
                return None;
            }
            route.collection = Some(Collection::Recordings);
            route.arguments = call
                .key
                .as_deref()
                .unwrap_or("")
                .split(',')
                .filter_map(|a| a.split_once('='))
                .map(|(n, v)| {
                    (decode(n, false).trim().to_owned(), unquote(decode(v, false).trim()).to_owned())
                })
                .collect();
            link.push_str(&format!("/onlineMeetings/{}", call.raw));
            delta(route, after, link)
        }
        "drive" => {
            let (root, after) = after.split_first()?;
            route.collection = Some(Collection::Drive);
            link.push_str("/drive/root");
            (root.name == "root").then_some(()).and_then(|()| delta(route, after, link))
        }
        _ => None,
    }
}

fn delta(route: &mut Route, rest: &[Segment], link: String) -> Option<()> {
    let [last] = rest else { return None };
    if last.name != "delta" && last.name != "microsoft.graph.delta" {
        return None;
    }
    let function = if last.name == "delta" { "delta" } else { "microsoft.graph.delta()" };
    route.link_path = format!("{link}/{function}");
    match last.key.as_deref() {
        None | Some("") => Some(()),
        Some(key) if route.collection == Some(Collection::Drive) => {
            route.token = Some(unquote(key.strip_prefix("token=")?).to_owned());
            Some(())
        }
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_several_spellings() {
        for path in [
            "/users/a%40b/calendarView/delta",
            "/users('a@b')/calendarview/delta()",
            "/Users(a@b)/CalendarView/microsoft.graph.delta()",
        ] {
            let route = parse(path).unwrap();
            assert_eq!(route.collection, Some(Collection::Events), "{path}");
            assert_eq!(route.user.as_deref(), Some("a@b"), "{path}");
        }
        assert_eq!(parse("/contacts/delta/").unwrap().link_path, "/contacts/delta");
        assert_eq!(parse("/me/calendarView/delta").unwrap().link_path, "/me/calendarview/delta");
        assert_eq!(
            parse("/me/mailFolders/inbox/messages/delta").unwrap().link_path,
            "/me/mailfolders('inbox')/messages/delta"
        );
        assert_eq!(parse("/me/drive/root/delta(token='a%26b')").unwrap().token.as_deref(), Some("a%26b"));
    }

    #[test]
    fn an_unknown_path_is_none() {
        for path in [
            "/",
            "/me",
            "/me/events/delta/x",
            "/users//calendarView/delta",
            "/contacts",
            "/contacts/delta/x",
            "/sites/delta",
            "me",
        ] {
            assert!(parse(path).is_none(), "{path}");
        }
    }
}
