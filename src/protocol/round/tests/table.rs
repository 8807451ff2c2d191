//! Tests every state with every input.

use super::*;

/// Names the variants of an enum, and lists the names. A new variant does not compile until it is
/// listed here, and the test fails until the table has its row or column.
macro_rules! named {
    ($enum:ident, $list:ident: $($name:ident,)*) => {
        const $list: &[&str] = &[$(stringify!($name),)*];

        impl $enum {
            fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }
    };
}

named! {
    State, STATES:
    Start, Loading, SigningIn, Fetching, Sleeping, Applying, SavingRecord, StoringThrottle, Delivering,
        AwaitingAcknowledgement, Committing, Sweeping, AskingCaller, Ended,
}

named! {
    Input, INPUTS:
    Begin, Loaded, SignedIn, Page, Refused, Unreachable, Outdated, Throttled, TokenSourceBusy, Malformed,
        Applied, Master, Slept, Delivered, Acknowledged, Committed, ThrottleStored,
    Conflict, Swept, Decided, StepFailed,
}

named! {
    NoResponse, NO_RESPONSES:
    Network, Offline, Timeout,
}

/// Every state, with the inputs that lead to it from the start.
fn states() -> Vec<(&'static str, Vec<Input>)> {
    let loaded = |record: Record| Input::Loaded(Some(Box::new(record)));
    let sweeping = Record { phase: Phase::Sweeping, generation: 2, ..idle() };
    let to_fetching = vec![Input::Begin, loaded(idle()), Input::SignedIn];
    let with = |more: &[Input]| [to_fetching.clone(), more.to_vec()].concat();
    vec![
        ("Start", vec![]),
        ("Loading", vec![Input::Begin]),
        ("SigningIn", vec![Input::Begin, loaded(idle())]),
        ("Fetching", to_fetching.clone()),
        ("Sleeping", with(&[Input::Unreachable(NoResponse::Network)])),
        ("Applying", with(&[next("n1")])),
        ("SavingRecord", with(&[refused(410, "")])),
        ("StoringThrottle", with(&[throttled("1")])),
        ("Delivering", with(&[next("n1"), applied()])),
        ("AwaitingAcknowledgement", with(&[next("n1"), applied(), Input::Delivered])),
        ("Committing", with(&[next("n1"), applied(), Input::Delivered, Input::Acknowledged])),
        ("Sweeping", vec![Input::Begin, loaded(sweeping)]),
        ("AskingCaller", with(&[refused(400, ""), Input::Committed])),
        ("Ended", vec![Input::StepFailed(Error::new(Code::Store, "x"))]),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    vec![
        ("Begin", Input::Begin),
        ("Loaded", Input::Loaded(None)),
        ("SignedIn", Input::SignedIn),
        ("Page", next("n2")),
        ("429", throttled("1")),
        ("503", refused(503, "")),
        ("401", refused(401, "")),
        ("401 with claims", claims_challenge("{}")),
        ("403", refused(403, "")),
        ("410", refused(410, "")),
        ("302", refused(302, "")),
        ("Unreachable", Input::Unreachable(NoResponse::Network)),
        ("Offline", Input::Unreachable(NoResponse::Offline)),
        ("Timeout", Input::Unreachable(NoResponse::Timeout)),
        ("Outdated", Input::Outdated),
        ("Throttled", Input::Throttled(NOW + ms(5.0))),
        ("TokenSourceBusy", Input::TokenSourceBusy(NOW + ms(5.0))),
        ("Malformed", Input::Malformed(Malformed::NoLink)),
        ("Applied", applied()),
        ("Master", Input::Master(SeriesSummary::default())),
        ("Slept", Input::Slept),
        ("Delivered", Input::Delivered),
        ("Acknowledged", Input::Acknowledged),
        ("Committed", Input::Committed),
        ("ThrottleStored", Input::ThrottleStored),
        ("Conflict", Input::Conflict),
        (
            "Swept",
            Input::Swept(SweepSummary {
                has_changes: true,
                count_delta: -1,
                after: Some("m".into()),
                ..SweepSummary::default()
            }),
        ),
        ("Decided", Input::Decided(Decision::Retry(Duration::ZERO))),
        ("StepFailed", Input::StepFailed(Error::new(Code::Quota, "full"))),
    ]
}

#[test]
fn every_state_handles_every_input() {
    // An input that is missing here is a defect of the shell, and ends the round as `internal`.
    let table: &[(&str, &[(&str, &str)])] = &[
        ("Start", &[("Begin", "load"), ("StepFailed", "quota")]),
        ("Loading", &[("Loaded", "sign in Start"), ("StepFailed", "quota")]),
        (
            "SigningIn",
            &[
                ("SignedIn", "fetch"),
                ("Unreachable", "sleep Network"),
                ("Offline", "sleep Offline"),
                ("Timeout", "sleep Timeout"),
                ("TokenSourceBusy", "sleep Server"),
                ("StepFailed", "quota"),
            ],
        ),
        (
            "Fetching",
            &[
                ("Page", "apply"),
                ("429", "store throttle"),
                ("503", "sleep Server"),
                ("401", "sign in Unauthorized"),
                ("401 with claims", "sign in Claims(\"{}\")"),
                ("403", "save record"),
                ("410", "save record"),
                ("302", "foreign-link"),
                ("Unreachable", "sleep Network"),
                ("Offline", "sleep Offline"),
                ("Timeout", "sleep Timeout"),
                ("Outdated", "fetch"),
                ("Throttled", "sleep Throttled"),
                ("Malformed", "sleep Malformed"),
                ("StepFailed", "quota"),
            ],
        ),
        ("Sleeping", &[("Slept", "sign in Next"), ("StepFailed", "quota")]),
        ("Applying", &[("Applied", "deliver"), ("StepFailed", "quota")]),
        ("SavingRecord", &[("Committed", "sleep Resync"), ("Conflict", "conflict"), ("StepFailed", "quota")]),
        ("StoringThrottle", &[("ThrottleStored", "sleep Throttled"), ("StepFailed", "quota")]),
        ("Delivering", &[("Delivered", "await"), ("StepFailed", "quota")]),
        ("AwaitingAcknowledgement", &[("Acknowledged", "commit"), ("StepFailed", "quota")]),
        ("Committing", &[("Committed", "sign in Next"), ("Conflict", "conflict"), ("StepFailed", "quota")]),
        ("Sweeping", &[("Swept", "deliver"), ("StepFailed", "quota")]),
        ("AskingCaller", &[("Decided", "sign in Next"), ("StepFailed", "quota")]),
        ("Ended", &[]),
    ];
    let states = states();
    assert_eq!(states.iter().map(|(state, _)| *state).collect::<Vec<_>>(), STATES, "every state has a row");
    assert_eq!(table.iter().map(|(state, _)| *state).collect::<Vec<_>>(), STATES);
    let inputs = inputs();
    let mut columns: Vec<_> = inputs.iter().map(|(_, input)| input.name()).collect();
    columns.dedup();
    assert_eq!(columns, INPUTS, "every input has a column");
    let no_responses: Vec<_> = inputs
        .iter()
        .filter_map(
            |(_, input)| if let Input::Unreachable(reason) = input { Some(reason.name()) } else { None },
        )
        .collect();
    assert_eq!(no_responses, NO_RESPONSES);
    for (state, steps) in table {
        for (input_name, _) in *steps {
            assert!(
                inputs.iter().any(|(known, _)| known == input_name),
                "{input_name} of {state} is not a column"
            );
        }
    }
    for ((state, path), (row, steps)) in states.into_iter().zip(table) {
        assert_eq!(state, *row);
        for (input_name, input) in inputs.clone() {
            let asks_caller = state == "AskingCaller";
            let mut round = Round::new(RoundConfig { asks_caller, ..config(contacts()) }, NOW);
            for input in path.clone() {
                round.step(input, NOW, HALF);
            }
            assert_eq!(round.state.name(), state);
            let expected =
                steps.iter().find(|(known, _)| *known == input_name).map_or("internal", |(_, step)| step);
            assert_eq!(name(&round.step(input, NOW, HALF)), expected, "{state} × {input_name}");
        }
    }
}
