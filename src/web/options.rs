//! Plain options, checked one by one. The message names the option, what it must be and what it got.

use js_sys::{Array, Date, JSON, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use crate::protocol::error::{Code, Failure};
use crate::protocol::request::{CallRecordings, Common, Events, OrgContacts, Track};

/// The options object of one call.
pub struct Options {
    object: JsValue,
    call: &'static str,
}

type Read<T> = Result<T, Failure>;

/// What every query may say.
const COMMON: &[&str] = &["name", "mirror", "query", "refresh"];

fn bad<T>(message: String) -> Read<T> {
    Err(Failure::new(Code::BadRequest, message))
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
    if text.chars().count() > 80 { text.chars().take(80).chain(['…']).collect() } else { text }
}

impl Options {
    /// The options of a call; none are as good as `{}`.
    pub fn new(object: JsValue, call: &'static str) -> Read<Self> {
        if object.is_undefined() {
            return Ok(Self { object: Object::new().into(), call });
        }
        if !object.is_object() || Array::is_array(&object) {
            return bad(format!("the options of {call}() must be an object, got {}", shown(&object)));
        }
        Ok(Self { object, call })
    }

    /// Refuses what is no option of the call: a typing error would else do nothing, silently.
    pub fn only(&self, known: &[&[&str]], advice: &[(&str, &str)]) -> Read<()> {
        for name in Object::keys(self.object.unchecked_ref::<Object>()).iter().filter_map(|name| name.as_string()) {
            if known.iter().any(|names| names.contains(&name.as_str())) {
                continue;
            }
            let bare = name.trim_start_matches('$').to_ascii_lowercase();
            let way_out = advice.iter().find(|(option, _)| *option == bare).map_or_else(
                || format!("the options are {}", known.concat().join(", ")),
                |(_, way_out)| (*way_out).to_owned(),
            );
            return bad(format!("options.{name} is no option of {}(): {way_out}", self.call));
        }
        Ok(())
    }

    /// A property, unless undefined.
    pub fn get(&self, name: &str) -> Option<JsValue> {
        Reflect::get(&self.object, &JsValue::from_str(name)).ok().filter(|value| !value.is_undefined())
    }

    fn wrong<T>(name: &str, must_be: &str, got: &JsValue) -> Read<T> {
        bad(format!("options.{name} must be {must_be}, got {}", shown(got)))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Read<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_string().map_or_else(|| Self::wrong(name, "a text", &value), |text| Ok(Some(text))),
        }
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Read<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_bool().map_or_else(|| Self::wrong(name, "true or false", &value), |flag| Ok(Some(flag))),
        }
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Read<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
            Some(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) => Ok(Some(number as u32)),
            _ => Self::wrong(name, "a whole number", &value),
        }
    }

    /// A number of milliseconds.
    pub fn millis(&self, name: &str) -> Read<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number >= 0.0 => Ok(Some(number)),
            _ => Self::wrong(name, "a number of milliseconds, 0 or more", &value),
        }
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Read<Option<Vec<String>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let texts = Array::is_array(&value).then(|| value.unchecked_ref::<Array>().iter().map(|text| text.as_string()).collect::<Option<Vec<_>>>());
        texts.flatten().map_or_else(|| Self::wrong(name, "a list of texts", &value), |texts| Ok(Some(texts)))
    }

    /// An instant: a text as it is, a Date as ISO 8601.
    pub fn instant(&self, name: &str) -> Read<Option<String>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Some(date) = value.dyn_ref::<Date>() {
            // toISOString throws on an invalid date.
            return if date.get_time().is_nan() { bad(format!("options.{name} must be a valid Date, got an invalid one")) } else { Ok(date.to_iso_string().as_string()) };
        }
        value.as_string().map_or_else(|| Self::wrong(name, "an ISO 8601 text or a Date", &value), |text| Ok(Some(text)))
    }

    fn required(&self, name: &str, value: Option<String>) -> Read<String> {
        value.map_or_else(|| bad(format!("options.{name} is required by {}()", self.call)), Ok)
    }

    fn common(&self) -> Read<Common> {
        let refresh = match self.get("refresh") {
            Some(never) if never.is_falsy() && never.as_bool() == Some(false) => Some(None),
            _ => self.millis("refresh")?.map(Some),
        };
        let query = match self.get("query") {
            None => Vec::new(),
            Some(value) if value.is_object() && !Array::is_array(&value) => {
                let entries = Object::entries(value.unchecked_ref::<Object>());
                let pair = |pair: Array| Some((pair.get(0).as_string()?, pair.get(1).as_string()?));
                match entries.iter().map(|entry| pair(entry.unchecked_into())).collect::<Option<Vec<_>>>() {
                    Some(pairs) => pairs,
                    None => return Self::wrong("query", "an object of texts", &value),
                }
            }
            Some(value) => return Self::wrong("query", "an object of texts", &value),
        };
        Ok(Common { name: self.text("name")?, feed: self.flag("mirror")? == Some(false), query, refresh })
    }

    /// Of `events()`.
    pub fn events(&self) -> Read<Events> {
        const REFUSED: &str = "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); leave it out, or send it all the same by options.query: { \"$…\": … }";
        let known: &[&str] = &["start", "end", "user", "calendar", "timeZone", "immutableIds", "pageSize"];
        self.only(
            &[known, COMMON],
            &[
                ("select", REFUSED),
                ("filter", REFUSED),
                ("expand", REFUSED),
                ("orderby", REFUSED),
                ("search", REFUSED),
                ("top", "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); use options.pageSize"),
                ("startdatetime", "use options.start"),
                ("enddatetime", "use options.end"),
            ],
        )?;
        Ok(Events {
            common: self.common()?,
            start: self.required("start", self.instant("start")?)?,
            end: self.required("end", self.instant("end")?)?,
            user: self.text("user")?,
            calendar: self.text("calendar")?,
            time_zone: self.text("timeZone")?,
            immutable_ids: self.flag("immutableIds")?.unwrap_or(false),
            page_size: self.whole("pageSize")?,
        })
    }

    /// Of `orgContacts()`.
    pub fn org_contacts(&self) -> Read<OrgContacts> {
        const REFUSED: &str = "Graph has only $select and an id filter on contacts; leave it out, or send it all the same by options.query: { \"$…\": … }";
        let known: &[&str] = &["select", "ids", "minimal"];
        self.only(
            &[known, COMMON],
            &[("filter", "use options.ids, the only filter that Graph has here"), ("top", REFUSED), ("expand", REFUSED), ("orderby", REFUSED), ("search", REFUSED), ("pagesize", "its page size is Graph's own; leave it out")],
        )?;
        Ok(OrgContacts { common: self.common()?, select: self.texts("select")?, ids: self.texts("ids")?, minimal: self.flag("minimal")?.unwrap_or(false) })
    }

    /// Of `callRecordings()`.
    pub fn call_recordings(&self) -> Read<CallRecordings> {
        const REFUSED: &str = "Graph has only $top on call recordings; leave it out, or send it all the same by options.query: { \"$…\": … }";
        let known: &[&str] = &["organizer", "user", "startDateTime", "top"];
        self.only(&[known, COMMON], &[("select", REFUSED), ("filter", REFUSED), ("expand", REFUSED), ("orderby", REFUSED), ("search", REFUSED), ("pagesize", "use options.top"), ("start", "use options.startDateTime")])?;
        Ok(CallRecordings {
            common: self.common()?,
            organizer: self.required("organizer", self.text("organizer")?)?,
            user: self.text("user")?,
            start: self.instant("startDateTime")?,
            top: self.whole("top")?,
        })
    }

    /// Of `track()`.
    pub fn track(&self) -> Read<Track> {
        const TEXTS: &[&str] = &["filter", "expand", "orderby", "search"];
        let known: &[&str] = &["select", "ids", "top", "minimal", "pageSize", "immutableIds", "timeZone", "prefer"];
        self.only(&[known, TEXTS, COMMON], &[])?;
        let mut texts = Vec::new();
        for name in TEXTS {
            if let Some(text) = self.text(name)? {
                texts.push((*name, text));
            }
        }
        Ok(Track {
            common: self.common()?,
            select: self.texts("select")?,
            ids: self.texts("ids")?,
            texts,
            top: self.whole("top")?,
            minimal: self.flag("minimal")?.unwrap_or(false),
            page_size: self.whole("pageSize")?,
            immutable_ids: self.flag("immutableIds")?.unwrap_or(false),
            time_zone: self.text("timeZone")?,
            prefer: self.texts("prefer")?.unwrap_or_default(),
        })
    }
}
