//! Subscriptions to change notifications. The core sends no HTTP: it neither validates the URL of a
//! subscription nor sends notifications. A harness that can do both validates the URL before it
//! passes a `POST` on.

use crate::clock;
use crate::http::Request;
use crate::response::{Body, Failure};
use crate::route::Subscriptions;
use crate::world::{Caller, World};
use serde_json::{Map, Value, json};

const MINUTE: i64 = 60_000;
/// A subscription to a Teams resource with a longer lifetime requires a lifecycle URL.
const LIFECYCLE_AFTER: i64 = 60 * MINUTE;
/// The longest `clientState` (Graph's page "subscription resource type").
const MAX_CLIENT_STATE: usize = 128;

/// Resources with the same longest lifetime and the same change types. From Graph's page "Set up
/// notifications for changes in resource data", tables "Supported resources" and "Subscription
/// lifetime" (2025-03-05), for the resources with a delta query.
struct Kind {
    minutes: i64,
    change_types: &'static str,
    /// Whether a lifecycle URL is required (Graph's page "Change notifications for Microsoft Teams
    /// resources").
    is_teams: bool,
    /// The paths in lower case, where `*` is any segment. `users/*` can also be `me`.
    paths: &'static [&'static str],
}

static KINDS: [Kind; 6] = [
    Kind {
        minutes: 41_760,
        change_types: "updated,deleted",
        is_teams: false,
        paths: &["users", "users/*", "groups", "groups/*", "groups/*/members", "groups/*/owners"],
    },
    Kind {
        minutes: 10_080,
        change_types: "created,updated,deleted",
        is_teams: false,
        paths: &["users/*/events", "users/*/messages", "users/*/contacts", "users/*/mailfolders/*/messages"],
    },
    Kind {
        minutes: 42_300,
        change_types: "updated",
        is_teams: false,
        paths: &["users/*/drive/root", "drives/*/root", "sites/*/lists/*"],
    },
    Kind {
        minutes: 4320,
        change_types: "created",
        is_teams: true,
        paths: &[
            "communications/onlinemeetings/getallrecordings",
            "communications/onlinemeetings/getalltranscripts",
            "communications/onlinemeetings/*/recordings",
            "communications/onlinemeetings/*/transcripts",
            "users/*/onlinemeetings/getallrecordings",
            "users/*/onlinemeetings/getalltranscripts",
        ],
    },
    Kind {
        minutes: 4320,
        change_types: "created,updated,deleted",
        is_teams: true,
        paths: &["teams/*/channels/*/messages", "chats/*/messages"],
    },
    Kind {
        minutes: 4230,
        change_types: "created,updated,deleted",
        is_teams: false,
        paths: &["users/*/todo/lists/*/tasks"],
    },
];

/// A subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    id: String,
    /// The canonical resource and the sorted change types. No two subscriptions have the same.
    subject: (String, Vec<String>),
    lifetime: i64,
    expires: i64,
    /// The properties as Graph returns them.
    properties: Map<String, Value>,
}

impl World {
    /// The subscriptions that have not expired, as Graph returns them.
    pub fn subscriptions(&mut self, now_ms: u64) -> Value {
        self.forget_expired(time(now_ms));
        self.subscriptions.iter().map(|s| Value::Object(s.properties.clone())).collect()
    }

    pub(crate) fn serve_subscriptions(
        &mut self,
        caller: &Caller,
        target: &Subscriptions,
        request: &Request,
        now_ms: u64,
    ) -> Result<Body, Failure> {
        let now = time(now_ms);
        self.forget_expired(now);
        let body = || {
            serde_json::from_slice::<Map<String, Value>>(&request.body)
                .map_err(|_| refused("The body of the request is not a JSON object."))
        };
        match (request.method.to_ascii_uppercase().as_str(), target) {
            ("GET", Subscriptions::All) => Ok(Body::Json(
                200,
                json!({
                    "@odata.context": format!("{}/$metadata#subscriptions", self.root),
                    "value": self.subscriptions(now_ms),
                }),
            )),
            ("POST", Subscriptions::All) => self.create(caller, &body()?, now),
            ("GET", Subscriptions::One(id)) => {
                let properties = self.find(id)?.properties.clone();
                Ok(Body::Json(200, self.entity(properties)))
            }
            ("PATCH", Subscriptions::One(id)) => {
                let properties = self.find(id)?.update(&body()?, now)?;
                Ok(Body::Json(200, self.entity(properties)))
            }
            ("DELETE", Subscriptions::One(id)) => {
                let id = self.find(id)?.id.clone();
                self.subscriptions.retain(|s| s.id != id);
                Ok(Body::Json(204, Value::Null))
            }
            // Leaves the expiry as it is (Graph's page "subscription: reauthorize").
            ("POST", Subscriptions::Reauthorize(id)) => {
                self.find(id)?;
                Ok(Body::Json(204, Value::Null))
            }
            (method, _) => Err(Failure::unexpected(
                405,
                "Request_BadRequest",
                format!("Specified HTTP method {method} is not allowed."),
            )),
        }
    }

    /// Graph deletes a subscription that is not renewed in time (page "Receive change notifications
    /// through webhooks").
    fn forget_expired(&mut self, now: i64) {
        self.subscriptions.retain(|s| s.expires > now);
    }

    fn find(&mut self, id: &str) -> Result<&mut Subscription, Failure> {
        let missing = || Failure::new(404, "ResourceNotFound", "The object was not found.");
        self.subscriptions.iter_mut().find(|s| s.id.eq_ignore_ascii_case(id)).ok_or_else(missing)
    }

    fn entity(&self, properties: Map<String, Value>) -> Value {
        let context = json!(format!("{}/$metadata#subscriptions/$entity", self.root));
        let mut out = Map::from_iter([("@odata.context".to_owned(), context)]);
        out.extend(properties);
        Value::Object(out)
    }

    fn create(&mut self, caller: &Caller, body: &Map<String, Value>, now: i64) -> Result<Body, Failure> {
        let resource = required(body, "resource")?;
        let path = canonical(resource, &caller.user);
        let kind = KINDS.iter().find(|k| k.paths.iter().any(|p| matches(p, &path))).ok_or_else(|| {
            Failure::unexpected(
                400,
                "BadRequest",
                format!("The fake Graph knows no notifications for the resource '{resource}'."),
            )
        })?;
        let mut change_types: Vec<String> =
            required(body, "changeType")?.split(',').map(|t| t.trim().to_ascii_lowercase()).collect();
        change_types.sort();
        change_types.dedup();
        if let Some(wrong) =
            change_types.iter().find(|t| !kind.change_types.split(',').any(|known| known == t.as_str()))
        {
            return Err(refused(format!("The changeType '{wrong}' is not supported for this resource.")));
        }
        required(body, "notificationUrl")?;
        url(body, "notificationUrl")?;
        url(body, "lifecycleNotificationUrl")?;
        match body.get("clientState") {
            None | Some(Value::Null) => {}
            Some(Value::String(state)) if state.chars().count() <= MAX_CLIENT_STATE => {}
            Some(_) => return Err(refused("The clientState must have at most 128 characters.")),
        }
        let lifetime = kind.minutes * MINUTE;
        let expires = expiry(body, lifetime, now)?;
        let has_lifecycle = body.get("lifecycleNotificationUrl").is_some_and(Value::is_string);
        if kind.is_teams && expires - now > LIFECYCLE_AFTER && !has_lifecycle {
            return Err(refused(
                "lifecycleNotificationUrl is a required property for subscription creation on this resource when the \
                 expirationDateTime value is set to greater than 1 hour",
            ));
        }
        // An app has one subscription for the same resource and changes (Graph's page "Receive
        // change notifications through webhooks").
        let subject = (path, change_types);
        if let Some(other) = self.subscriptions.iter().find(|s| s.subject == subject) {
            let message =
                format!("Subscription Id {} already exists for the requested combination", other.id);
            return Err(Failure::new(409, "ObjectIdentifierInUse", message));
        }
        let id = self.rng.guid();
        let mut properties = Map::new();
        properties.insert("id".to_owned(), id.clone().into());
        for name in [
            "resource",
            "changeType",
            "clientState",
            "notificationUrl",
            "lifecycleNotificationUrl",
            "latestSupportedTlsVersion",
        ] {
            properties.insert(name.to_owned(), body.get(name).cloned().unwrap_or_default());
        }
        properties.insert("expirationDateTime".to_owned(), utc(expires).into());
        properties.insert("creatorId".to_owned(), caller.user.clone().into());
        self.subscriptions.push(Subscription {
            id,
            subject,
            lifetime,
            expires,
            properties: properties.clone(),
        });
        Ok(Body::Json(201, self.entity(properties)))
    }
}

impl Subscription {
    /// Renews the subscription or changes its URL. Graph changes no other property (page
    /// "subscription resource type", methods).
    fn update(&mut self, body: &Map<String, Value>, now: i64) -> Result<Map<String, Value>, Failure> {
        if let Some(name) =
            body.keys().find(|n| !matches!(n.as_str(), "expirationDateTime" | "notificationUrl"))
        {
            return Err(Failure::unexpected(
                400,
                "BadRequest",
                format!("The property '{name}' cannot change."),
            ));
        }
        url(body, "notificationUrl")?;
        if body.contains_key("expirationDateTime") {
            self.expires = expiry(body, self.lifetime, now)?;
            self.properties.insert("expirationDateTime".to_owned(), utc(self.expires).into());
        }
        if let Some(url) = body.get("notificationUrl") {
            self.properties.insert("notificationUrl".to_owned(), url.clone());
        }
        Ok(self.properties.clone())
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(400, "InvalidRequest", message)
}

fn time(now_ms: u64) -> i64 {
    i64::try_from(now_ms).unwrap_or(i64::MAX)
}

/// `2026-11-21T00:00:00.5000000Z`: the format of Graph's examples.
fn utc(ms: i64) -> String {
    format!("{}Z", clock::local(ms))
}

fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    body.get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| refused(format!("The property '{name}' is required.")))
}

/// Refuses a URL without https (Graph's page "subscription resource type").
fn url(body: &Map<String, Value>, name: &str) -> Result<(), Failure> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(url)) if url.starts_with("https://") && url.len() > "https://".len() => Ok(()),
        Some(_) => Err(refused(format!("The property '{name}' must be an https URL."))),
    }
}

fn expiry(body: &Map<String, Value>, lifetime: i64, now: i64) -> Result<i64, Failure> {
    let expires = clock::parse(required(body, "expirationDateTime")?)
        .ok_or_else(|| refused("The expirationDateTime is not a date."))?;
    if expires <= now {
        return Err(refused("The expirationDateTime must be in the future."));
    }
    if expires - now > lifetime {
        let minutes = lifetime / MINUTE;
        return Err(refused(format!("Subscription expiration can only be {minutes} minutes in the future.")));
    }
    Ok(expires)
}

/// The path of a resource in lower case, with a key in parentheses as a segment, and with the user
/// instead of `me`. The query is part of what distinguishes two resources.
fn canonical(resource: &str, user: &str) -> String {
    let path = resource.trim_start_matches('/').replace("('", "/").replace("')", "");
    let path = match path.split_once('/') {
        Some(("me", rest)) => format!("users/{user}/{rest}"),
        _ => path,
    };
    path.to_ascii_lowercase()
}

fn matches(pattern: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or("");
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}
