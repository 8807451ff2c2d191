//! The behavior of the fake Graph, one test for each fact.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod directory;
mod events;
mod links;
mod other_kinds;
mod rounds;
mod subscriptions;

use common::Client;

const FROM: i64 = 1_793_491_200_000; // 2026-11-01
const TO: i64 = 1_801_440_000_000; // 2027-02-01
const RECORDINGS: &str = "/onlineMeetings/getAllRecordings(meetingOrganizerUserId='{id}')/delta?$top=4";

fn recordings(client: &Client) -> String {
    let id = client.world.me().0;
    format!("/users/{id}{}", RECORDINGS.replace("{id}", id))
}
