//! Plain options, checked one by one. The message names the option, what it must be and what it got.

use js_sys::{Array, JSON, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::object::{get, method};
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::query;
use crate::protocol::text::{bare, filled, parts, short};

/// One of the four calls that make a query.
pub struct Call {
    name: &'static str,
    /// Its options, as the message lists them.
    known: &'static str,
    required: &'static [&'static str],
    /// What to say of an option that Graph refuses: the `$` left out, lower case.
    advice: &'static [(&'static str, &'static str)],
}

/// `events()`.
pub const EVENTS: Call = Call {
    name: "events",
    known: "start, end, window, user, calendar, timeZone, immutableIds, pageSize, name, mirror, query, refresh",
    required: &["start", "end"],
    advice: &[
        (
            "select, filter, expand, orderby, search",
            "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); leave it out, or send it all the same by options.query: { \"$…\": … }",
        ),
        ("top", "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); use options.pageSize"),
        ("startdatetime", "use options.start"),
        ("enddatetime", "use options.end"),
    ],
};

/// `orgContacts()`.
pub const ORG_CONTACTS: Call = Call {
    name: "orgContacts",
    known: "select, ids, minimal, name, mirror, query, refresh",
    required: &[],
    advice: &[
        ("filter", "use options.ids, the only filter that Graph has here"),
        (
            "top, expand, orderby, search",
            "Graph has only $select and an id filter on contacts; leave it out, or send it all the same by options.query: { \"$…\": … }",
        ),
        ("pagesize", "its page size is Graph's own; leave it out"),
    ],
};

/// `callRecordings()`.
pub const CALL_RECORDINGS: Call = Call {
    name: "callRecordings",
    known: "organizer, user, startDateTime, top, name, mirror, query, refresh",
    required: &["organizer"],
    advice: &[
        (
            "select, filter, expand, orderby, search",
            "Graph has only $top on call recordings; leave it out, or send it all the same by options.query: { \"$…\": … }",
        ),
        ("pagesize", "use options.top"),
        ("start", "use options.startDateTime"),
    ],
};

/// `track()`.
pub const TRACK: Call = Call {
    name: "track",
    known: "select, ids, top, minimal, pageSize, immutableIds, timeZone, prefer, filter, expand, orderby, search, name, mirror, query, refresh",
    required: &[],
    advice: &[],
};

/// The options object of one call.
pub struct Options {
    object: JsValue,
    call: &'static str,
}

fn bad<T>(message: String) -> Result<T> {
    Err(Error::new(Code::BadRequest, message))
}

/// The names of a list such as `start, end`.
fn names(list: &'static str) -> Vec<&'static str> {
    let mut names = parts(list, b",");
    for name in &mut names {
        *name = bare(name, ' ');
    }
    names
}

/// A value in words, short.
pub fn shown(value: &JsValue) -> String {
    if value.is_undefined() {
        return "undefined".into();
    }
    if value.is_function() {
        return "a function".into();
    }
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string()).unwrap_or_else(|| "something else".into());
    let start = short(&text, 80);
    if start.len() < text.len() { format!("{start}…") } else { text }
}

impl Options {
    /// The options of a call; none are as good as `{}`.
    pub fn new(object: JsValue, call: &'static str) -> Result<Self> {
        if object.is_undefined() {
            return Ok(Self { object: Object::new().into(), call });
        }
        if !object.is_object() || Array::is_array(&object) {
            return bad(format!("the options of {call}() must be an object, got {}", shown(&object)));
        }
        Ok(Self { object, call })
    }

    /// Refuses what is no option of the call: a typing error would else do nothing, silently.
    pub fn only(&self, known: &'static str, advice: &[(&'static str, &str)]) -> Result<()> {
        let Ok(keys) = Reflect::own_keys(&self.object) else { return bad(format!("the options of {}() can't be read", self.call)) };
        for at in 0..keys.length() {
            let Some(name) = keys.get(at).as_string() else { continue };
            if names(known).contains(&name.as_str()) {
                continue;
            }
            let lower = bare(&name, '$').to_ascii_lowercase();
            for (options, way_out) in advice {
                if names(options).contains(&lower.as_str()) {
                    return bad(format!("options.{name} is no option of {}(): {way_out}", self.call));
                }
            }
            return bad(format!("options.{name} is no option of {}(): the options are {known}", self.call));
        }
        Ok(())
    }

    /// A property, unless undefined.
    pub fn get(&self, name: &str) -> Option<JsValue> {
        let value = get(&self.object, name);
        if value.is_undefined() { None } else { Some(value) }
    }

    fn wrong<T>(name: &str, must_be: &str, got: &JsValue) -> Result<T> {
        bad(format!("options.{name} must be {must_be}, got {}", shown(got)))
    }

    /// Reads a text. This one and the others below leave `to` as it is if there is nothing.
    pub fn text(&self, name: &str, to: &mut Option<String>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        *to = value.as_string();
        if to.is_none() { Self::wrong(name, "a text", &value) } else { Ok(()) }
    }

    fn flag(&self, name: &str, to: &mut bool) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        let flag = value.as_bool();
        *to = flag == Some(true);
        if flag.is_none() { Self::wrong(name, "true or false", &value) } else { Ok(()) }
    }

    /// Reads a whole number.
    pub fn whole(&self, name: &str, to: &mut Option<u32>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        let number = value.as_f64().unwrap_or(-1.0);
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return Self::wrong(name, "a whole number", &value);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
        let number = number as u32;
        *to = Some(number);
        Ok(())
    }

    /// Reads a number of milliseconds.
    pub fn millis(&self, name: &str, to: &mut Option<f64>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        *to = value.as_f64().filter(|number| *number >= 0.0);
        if to.is_none() { Self::wrong(name, "a number of milliseconds, 0 or more", &value) } else { Ok(()) }
    }

    fn texts(&self, name: &str, to: &mut Option<Vec<String>>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        *to = texts(&value);
        if to.is_none() { Self::wrong(name, "a list of texts", &value) } else { Ok(()) }
    }

    /// Reads an instant: a text as it is, a Date as ISO 8601.
    fn instant(&self, name: &str, to: &mut Option<String>) -> Result<()> {
        let Some(value) = self.get(name) else { return Ok(()) };
        // By shape: a Date of another realm is none of ours.
        *to = if get(&value, "toISOString").is_function() {
            match method(&value, "toISOString", &JsValue::UNDEFINED, &JsValue::UNDEFINED) {
                Ok(text) => text.as_string(),
                Err(_) => return bad(format!("options.{name} must be a valid Date, got an invalid one")),
            }
        } else {
            value.as_string()
        };
        if to.is_none() { Self::wrong(name, "an ISO 8601 text or a Date", &value) } else { Ok(()) }
    }

    /// Query parameters by name.
    fn parameters(&self, to: &mut Vec<(String, String)>) -> Result<()> {
        let Some(value) = self.get("query") else { return Ok(()) };
        let wrong = || Self::wrong("query", "an object of texts", &value);
        if !value.is_object() || Array::is_array(&value) {
            return wrong();
        }
        let Ok(names) = Reflect::own_keys(&value) else { return wrong() };
        for at in 0..names.length() {
            let Some(name) = names.get(at).as_string() else { return wrong() };
            let Some(text) = get(&value, &name).as_string() else { return wrong() };
            to.push((name, text));
        }
        Ok(())
    }
}

fn texts(value: &JsValue) -> Option<Vec<String>> {
    if !Array::is_array(value) {
        return None;
    }
    let list: &Array = value.unchecked_ref();
    let mut texts = Vec::new();
    for at in 0..list.length() {
        texts.push(list.get(at).as_string()?);
    }
    Some(texts)
}

/// Reads the options of a call.
pub fn read(object: JsValue, call: &Call) -> Result<Box<query::Options>> {
    let from = Options::new(object, call.name)?;
    from.only(call.known, call.advice)?;
    let mut to = Box::<query::Options>::default();
    // What the call does not have is not there: only() has seen to it.
    from.text("name", &mut to.name)?;
    let mut mirror = true;
    from.flag("mirror", &mut mirror)?;
    to.feed = !mirror;
    from.parameters(&mut to.query)?;
    if get(&from.object, "refresh").as_bool() == Some(false) {
        to.refresh = Some(None);
    } else {
        let mut age = None;
        from.millis("refresh", &mut age)?;
        to.refresh = age.map(Some);
    }
    from.instant("start", &mut to.start)?;
    from.instant("startDateTime", &mut to.start)?;
    from.instant("end", &mut to.end)?;
    from.text("organizer", &mut to.organizer)?;
    if let Some(window) = from.get("window") {
        let window = Options::new(window, "window")?;
        window.only("daysBack, daysAhead, timeZone", &[])?;
        let (mut back, mut ahead, mut zone) = (None, None, None);
        window.whole("daysBack", &mut back)?;
        window.whole("daysAhead", &mut ahead)?;
        window.text("timeZone", &mut zone)?;
        to.window = Some((back.unwrap_or(0), ahead.unwrap_or(0), zone.unwrap_or_else(|| "UTC".to_owned())));
    }
    for name in call.required {
        if from.get(name).is_none() && to.window.is_none() {
            return bad(format!("options.{name} is required by {}()", call.name));
        }
    }
    from.text("user", &mut to.user)?;
    from.text("calendar", &mut to.calendar)?;
    from.text("timeZone", &mut to.time_zone)?;
    from.flag("immutableIds", &mut to.immutable_ids)?;
    from.flag("minimal", &mut to.minimal)?;
    from.whole("pageSize", &mut to.page_size)?;
    from.whole("top", &mut to.top)?;
    from.texts("select", &mut to.select)?;
    from.texts("ids", &mut to.ids)?;
    let mut prefer = None;
    from.texts("prefer", &mut prefer)?;
    to.prefer = prefer.unwrap_or_default();
    for name in ["filter", "expand", "orderby", "search"] {
        let mut text = None;
        from.text(name, &mut text)?;
        if let Some(text) = text {
            to.texts.push((name, text));
        }
    }
    Ok(to)
}
