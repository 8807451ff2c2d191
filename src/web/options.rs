//! Reads the caller's options, once. The message of an error names the option, what it must be and
//! the value or the type that it has.

use js_sys::{Function, Object, Reflect};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};

use super::js::{call, flat_value, get, get_string, is_array, type_of};
use crate::protocol::backoff::Policy;
use crate::protocol::error::{Result, bad_request};
use crate::protocol::query;
use crate::protocol::time::Duration;

/// One of the four calls that make a query.
pub struct Call {
    name: &'static str,
    /// Its options. The message about an unknown option lists them in this order.
    known: &'static [&'static str],
    required: &'static [&'static str],
    /// Advice for options that Graph refuses, by their names in lower case without `$`.
    advice: &'static [(&'static [&'static str], &'static str)],
}

/// `events()`.
pub const EVENTS: Call = Call {
    name: "events",
    known: &[
        "start",
        "end",
        "window",
        "user",
        "calendar",
        "timeZone",
        "immutableIds",
        "pageSize",
        "name",
        "mirror",
        "query",
        "refresh",
    ],
    required: &["start", "end"],
    advice: &[
        (
            &["select", "filter", "expand", "orderby", "search"],
            "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); leave it out, or send it unchecked by options.query: { \"$…\": … }",
        ),
        (
            &["top"],
            "Graph refuses it on a calendar view's delta (ErrorInvalidUrlQuery); use options.pageSize",
        ),
        (&["startdatetime"], "use options.start"),
        (&["enddatetime"], "use options.end"),
    ],
};

/// `orgContacts()`.
pub const ORG_CONTACTS: Call = Call {
    name: "orgContacts",
    known: &["select", "ids", "minimal", "name", "mirror", "query", "refresh"],
    required: &[],
    advice: &[
        (&["filter"], "use options.ids, the only filter that Graph has here"),
        (
            &["top", "expand", "orderby", "search"],
            "Graph has only $select and an id filter on contacts; leave it out, or send it unchecked by options.query: { \"$…\": … }",
        ),
        (&["pagesize"], "Graph chooses its page size; leave it out"),
    ],
};

/// `callRecordings()`.
pub const CALL_RECORDINGS: Call = Call {
    name: "callRecordings",
    known: &[
        "organizer",
        "user",
        "startDateTime",
        "endDateTime",
        "top",
        "name",
        "mirror",
        "query",
        "refresh",
    ],
    required: &["organizer"],
    advice: &[
        (
            &["select", "filter", "expand", "orderby", "search"],
            "Graph has only $top on call recordings; leave it out, or send it unchecked by options.query: { \"$…\": … }",
        ),
        (&["pagesize"], "use options.top"),
        (&["start"], "use options.startDateTime"),
        (&["end"], "use options.endDateTime"),
    ],
};

/// `track()`.
pub const TRACK: Call = Call {
    name: "track",
    known: &[
        "select",
        "ids",
        "top",
        "minimal",
        "pageSize",
        "immutableIds",
        "timeZone",
        "excludeParents",
        "sharedFolders",
        "prefer",
        "filter",
        "expand",
        "orderby",
        "search",
        "name",
        "mirror",
        "query",
        "refresh",
    ],
    required: &[],
    advice: &[],
};

/// The options object of one call, or an option that is an object itself.
pub struct Options {
    object: JsValue,
    /// The path of its properties in messages, such as `options` or `options.retry`.
    path: &'static str,
    /// Its owner in messages, such as `events()` or `options.retry`.
    owner: String,
}

/// Describes a value for a message: a number or boolean by its value, any other by its type, since
/// it may be a secret.
fn describe(value: &JsValue) -> String {
    match (value.as_f64(), value.as_bool()) {
        (Some(_), _) => {
            String::from(js_sys::Number::from(value.clone()).to_string_with_radix(10).unwrap_or_default())
        }
        (_, Some(flag)) => flag.to_string(),
        _ => type_of(value).to_owned(),
    }
}

impl Options {
    /// Takes the options of a call. Undefined counts as `{}`.
    pub fn new(object: JsValue, call: &'static str) -> Result<Self> {
        let owner = format!("{call}()");
        if object.is_undefined() {
            return Ok(Self { object: Object::new().into(), path: "options", owner });
        }
        if !object.is_object() || is_array(&object) {
            return bad_request(format!(
                "the options of {owner} must be an object, got {}",
                describe(&object)
            ));
        }
        Ok(Self { object, path: "options", owner })
    }

    /// Takes the object that is the value of an option, such as `options.retry`.
    fn nested(object: JsValue, path: &'static str) -> Result<Self> {
        if !object.is_object() || is_array(&object) {
            return bad_request(format!("{path} must be an object, got {}", describe(&object)));
        }
        Ok(Self { object, path, owner: path.to_owned() })
    }

    /// Refuses unknown options: a misspelt one would be ignored silently.
    pub fn refuse_unknown(&self, known: &[&str], advice: &[(&[&str], &str)]) -> Result<()> {
        let Self { object, path, owner } = self;
        let Ok(keys) = Reflect::own_keys(object) else {
            return bad_request(format!("the options of {owner} cannot be read"));
        };
        for name in keys.iter().filter_map(|name| name.as_string()) {
            if known.contains(&name.as_str()) {
                continue;
            }
            let lower = name.trim_start_matches('$').to_ascii_lowercase();
            return match advice.iter().find(|(options, _)| options.contains(&lower.as_str())) {
                Some((_, advice)) => {
                    bad_request(format!("{path}.{name} is not an option of {owner}: {advice}"))
                }
                None => bad_request(format!(
                    "{path}.{name} is not an option of {owner}: the options are {}",
                    known.join(", ")
                )),
            };
        }
        Ok(())
    }

    /// Returns a property, unless it is undefined.
    pub fn get(&self, name: &str) -> Option<JsValue> {
        Some(get(&self.object, name)).filter(|value| !value.is_undefined())
    }

    /// Reads an option of the type `T`; `None` if it is undefined.
    pub fn read<T: DeserializeOwned>(&self, name: &str, must_be: &str) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match serde_wasm_bindgen::from_value(flat_value(&value)) {
            Ok(value) => Ok(Some(value)),
            Err(_) => self.wrong(name, must_be, &value),
        }
    }

    /// Reads an option that is a string.
    pub fn string(&self, name: &str) -> Result<Option<String>> {
        self.read(name, "a string")
    }

    /// Reads an option that is a boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false")
    }

    /// Reads an option that is a function.
    pub fn function(&self, name: &str) -> Result<Option<Function>> {
        match self.get(name).map(JsCast::dyn_into::<Function>) {
            Some(Err(other)) => self.wrong(name, "a function", &other),
            Some(Ok(function)) => Ok(Some(function)),
            None => Ok(None),
        }
    }

    /// Reads an option that is a whole number.
    pub fn whole_number(&self, name: &str) -> Result<Option<u32>> {
        self.read(name, "a whole number, 0 or more")
    }

    /// Reads an option that is a number of milliseconds.
    pub fn millis(&self, name: &str) -> Result<Option<Duration>> {
        let must_be = "a number of milliseconds, 0 or more";
        match self.read::<f64>(name, must_be)? {
            Some(ms) if ms.is_nan() || ms < 0.0 => self.wrong(name, must_be, &ms.into()),
            ms => Ok(ms.map(Duration::from_millis)),
        }
    }

    fn strings(&self, name: &str) -> Result<Option<Vec<String>>> {
        let must_be = "an array of strings";
        match self.get(name) {
            Some(value) if !is_array(&value) => self.wrong(name, must_be, &value),
            _ => self.read(name, must_be),
        }
    }

    /// Reads an option that is an instant: returns a string unchanged, and a Date as ISO 8601.
    fn instant(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        // Checked by its shape: a Date of another realm is not an instance of the global `Date`.
        if get(&value, "toISOString").is_function() {
            return match call(&value, "toISOString", &[]).ok().and_then(|text| text.as_string()) {
                Some(text) => Ok(Some(text)),
                None => bad_request(format!("options.{name} must be a valid Date, got an invalid one")),
            };
        }
        self.read(name, "an ISO 8601 string or a Date")
    }

    /// Reads `options.query`. Returns its parameters in the order of the object.
    fn parameters(&self) -> Result<Vec<(String, String)>> {
        let Some(value) = self.get("query") else { return Ok(Vec::new()) };
        let must_be = "an object of strings";
        if !value.is_object() || is_array(&value) {
            return self.wrong("query", must_be, &value);
        }
        let Ok(names) = Reflect::own_keys(&value) else { return self.wrong("query", must_be, &value) };
        let parameter = |name: JsValue| {
            let name = name.as_string()?;
            Some((name.clone(), get_string(&value, &name)?))
        };
        let parameters: Option<Vec<_>> = names.iter().map(parameter).collect();
        parameters.map_or_else(|| bad_request(format!("options.query must be {must_be}")), Ok)
    }

    fn wrong<T>(&self, name: &str, must_be: &str, got: &JsValue) -> Result<T> {
        bad_request(format!("{}.{name} must be {must_be}, got {}", self.path, describe(got)))
    }
}

/// Reads all options of a call.
pub fn read(object: JsValue, call: &Call) -> Result<query::Options> {
    let options = Options::new(object, call.name)?;
    options.refuse_unknown(call.known, call.advice)?;
    let window = window(&options)?;
    for name in call.required {
        if options.get(name).is_none() && window.is_none() {
            let instead = if call.known.contains(&"window") {
                ", unless it has options.window, such as { daysAhead: 14 }"
            } else {
                ""
            };
            return bad_request(format!("options.{name} is required by {}(){instead}", call.name));
        }
    }
    // An option that the call does not have is absent here: `refuse_unknown()` has refused it.
    let mut odata_options = Vec::new();
    for name in ["filter", "expand", "orderby", "search"] {
        odata_options.extend(options.string(name)?.map(|text| (name, text)));
    }
    let (start_date_time, end_date_time) =
        (options.instant("startDateTime")?, options.instant("endDateTime")?);
    Ok(query::Options {
        name: options.string("name")?,
        feed: options.flag("mirror")? == Some(false),
        query: options.parameters()?,
        refresh: refresh(&options)?,
        start: options.instant("start")?.or(start_date_time),
        end: options.instant("end")?.or(end_date_time),
        user: options.string("user")?,
        calendar: options.string("calendar")?,
        time_zone: options.string("timeZone")?,
        immutable_ids: options.flag("immutableIds")? == Some(true),
        page_size: options.whole_number("pageSize")?,
        select: options.strings("select")?,
        ids: options.strings("ids")?,
        minimal: options.flag("minimal")? == Some(true),
        organizer: options.string("organizer")?,
        top: options.whole_number("top")?,
        odata_options,
        exclude_parents: options.flag("excludeParents")? == Some(true),
        shared_folders: options.flag("sharedFolders")? == Some(true),
        prefer: options.strings("prefer")?.unwrap_or_default(),
        window,
    })
}

/// `refresh`: an age in milliseconds, or false for never.
fn refresh(options: &Options) -> Result<Option<Option<Duration>>> {
    if options.get("refresh").is_some_and(|value| value.as_bool() == Some(false)) {
        return Ok(Some(None));
    }
    Ok(options.millis("refresh")?.map(Some))
}

/// `window`: days back, days ahead, their time zone.
fn window(options: &Options) -> Result<Option<(u32, u32, String)>> {
    let Some(window) = options.get("window") else { return Ok(None) };
    let window = Options::nested(window, "options.window")?;
    window.refuse_unknown(&["daysBack", "daysAhead", "timeZone"], &[])?;
    let (back, ahead) =
        (window.whole_number("daysBack")?.unwrap_or(0), window.whole_number("daysAhead")?.unwrap_or(0));
    Ok(Some((back, ahead, window.string("timeZone")?.unwrap_or_else(|| "UTC".to_owned()))))
}

/// `retry` of `openDelta()`.
pub fn policy(retry: Option<JsValue>) -> Result<Policy> {
    let default = Policy::default();
    let Some(retry) = retry else { return Ok(default) };
    let retry = Options::nested(retry, "options.retry")?;
    retry.refuse_unknown(&["attempts", "base", "cap", "maxWait", "timeout"], &[])?;
    let attempts = retry.whole_number("attempts")?.unwrap_or(default.attempts);
    if attempts == 0 {
        return bad_request("options.retry.attempts must be at least 1, got 0".to_owned());
    }
    Ok(Policy {
        attempts,
        base: retry.millis("base")?.unwrap_or(default.base),
        cap: retry.millis("cap")?.unwrap_or(default.cap),
        max_wait: retry.millis("maxWait")?.unwrap_or(default.max_wait),
        timeout: retry.millis("timeout")?.unwrap_or(default.timeout),
    })
}
