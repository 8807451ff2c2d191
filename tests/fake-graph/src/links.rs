//! Links: their form for each resource, and the responses to unknown and expired ones.

use crate::options::DriveLink;
use crate::response::Failure;
use crate::route::{Collection, Route};
use crate::text::{Param, encode};
use crate::world::{State, World, is_token_name};
use serde_json::json;

/// A link that the world has sent. The world finds it by its token.
#[derive(Debug, Clone)]
pub(crate) struct IssuedLink {
    pub(crate) collection: Collection,
    pub(crate) state: State,
    /// Path and query below the root, as issued.
    pub(crate) link: String,
    pub(crate) is_dead: bool,
    pub(crate) poison: Option<(u16, String)>,
    pub(crate) stream: usize,
    pub(crate) generation: u64,
    pub(crate) issued: u64,
    pub(crate) is_next: bool,
}

impl World {
    /// Returns the refusal of a token that the world never sent, for example a decoded or truncated
    /// one.
    pub(crate) fn never_issued(&self, collection: Collection, params: &[Param]) -> Failure {
        let status = u16::try_from(self.options.invalid_token_status).unwrap_or(400);
        let param = params.iter().find(|p| is_token_name(Some(collection), &p.name));
        let name = param.map_or("token", |p| p.name.as_str());
        let mut failure = match collection {
            Collection::Drive => Failure {
                inner: Some("resyncChangesApplyDifferences".to_owned()),
                ..Failure::new(410, "resyncRequired", "Resync required.")
            },
            c if c.is_directory() => Failure::new(
                u16::try_from(self.options.directory_expired).unwrap_or(400),
                "syncStateNotFound",
                "The sync state is not found.",
            ),
            _ => Failure::new(
                status,
                "InvalidDeltaToken",
                format!("The value '...' of parameter '{name}' is invalid."),
            ),
        };
        failure.is_unexpected = true;
        failure
    }

    /// Returns the reset signal for an expired link (graph-facts 4).
    pub(crate) fn expired(
        &self,
        collection: Collection,
        route: &Route,
        generation: u64,
        highest: u64,
    ) -> Failure {
        match collection {
            Collection::Events | Collection::Messages => {
                let last = |n: u64| highest.saturating_sub(n);
                let message = format!(
                    "The sync state generation is not found; generation={generation};[highest={highest}][{highest}][{}][{}].",
                    last(2),
                    last(1)
                );
                Failure::new(410, "SyncStateNotFound", message)
            }
            Collection::Drive => {
                let mut failure = Failure::new(
                    410,
                    "resyncRequired",
                    "Resync required. Replace any local items with the server's version (including deletes).",
                );
                failure.inner = Some("resyncChangesApplyDifferences".to_owned());
                failure
                    .headers
                    .push(("Location".to_owned(), format!("{}{}?token=", self.root, route.link_path)));
                failure
            }
            Collection::Recordings => Failure::new(410, "syncStateNotFound", "The sync state is not found."),
            _ => Failure::new(
                u16::try_from(self.options.directory_expired).unwrap_or(400),
                "syncStateNotFound",
                "The sync state is not found.",
            ),
        }
    }

    /// Makes a link in the form of the resource (graph-facts 2.4). A page that is requested again
    /// gets new links.
    pub(crate) fn mint(&mut self, stream: usize, state: State, is_next: bool, now: u64) -> Option<String> {
        let known = self.streams.get_mut(stream)?;
        known.highest += 1;
        let generation = known.highest;
        let (collection, path) = (known.spec.collection, known.spec.link_path.clone());
        let text = match collection {
            Collection::Recordings => {
                // Teams: percent-encoded JSON with `+ # ~ =`. Decoding it once truncates the URL
                // at the `#`.
                let inner = json!({
                    "Continuation": format!("+RID:~{}#RT:{generation}#TRC:{}#FPC:{}==", self.rng.text(12), self.rng.below(900), self.rng.text(8)),
                    "Version": 1,
                    "Partition": format!("{}+{}=", self.rng.text(14), self.rng.text(6)),
                });
                encode(&inner.to_string())
            }
            // Drives: contains ampersands, so decoding it once truncates it too.
            Collection::Drive => encode(&format!(
                "{};{}&i={};%23;%23;{}=",
                self.rng.text(24),
                self.rng.text(16),
                self.rng.below(99_999),
                self.rng.text(10)
            )),
            c if c.is_outlook() => format!("{}.{}", self.rng.text(120), self.rng.text(43)),
            _ => self.rng.text(128),
        };
        let swap = self.options.swap_token_names;
        let link = match collection {
            Collection::Recordings => format!("{path}?skipToken={text}"),
            Collection::Drive => match self.options.drive_link {
                DriveLink::Query => format!("{path}?token={text}"),
                DriveLink::Path => format!("{path}(token='{text}')"),
                DriveLink::Unquoted => format!("{path}(token={text})"),
                DriveLink::Broken => format!("{path}?(token='{text}')"),
            },
            _ => format!("{path}?{}={text}", if is_next != swap { "$skiptoken" } else { "$deltatoken" }),
        };
        let whole = format!("{}{link}", self.root);
        self.issued_links.insert(
            text,
            IssuedLink {
                collection,
                state,
                link,
                is_dead: false,
                poison: None,
                stream,
                generation,
                issued: now,
                is_next,
            },
        );
        Some(whole)
    }
}
