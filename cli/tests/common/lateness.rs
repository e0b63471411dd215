//! Scenarios of real processes against the real clock, on a machine that may be too late for them.
//!
//! An owner whose host stands still for longer than its self-stop age rightly stops itself, and a test that goes
//! on from there fails. That is no verdict about `qctl`: the owner's own events say what happened, so the
//! scenario concludes "machine too late", says so, and is tried again, a few times.
//!
//! Invariants: what fails while no event tells of lateness has failed, at once; a scenario that is late every time
//! has failed too; a process that the scenario itself stopped is no witness.

use serde_json::Value;
use std::cell::RefCell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How often a scenario is tried.
const TRIES: usize = 3;

thread_local! {
    /// What the events of this thread's scenario said of lateness.
    static LATE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Plays the scenario; again when it fails and an event had told that the machine was too late.
pub(crate) fn in_time(scenario: impl Fn()) {
    try_in_time(scenario, |text| {
        // Past the harness, which keeps to itself what a test that passes has said.
        let said = writeln!(std::io::stderr(), "{text}");
        assert!(said.is_ok(), "stderr can be written to");
    });
}

fn try_in_time(scenario: impl Fn(), mut say: impl FnMut(String)) {
    for attempt in 1.. {
        LATE.set(None);
        let Err(failure) = catch_unwind(AssertUnwindSafe(&scenario)) else {
            return;
        };
        let Some(late) = LATE.take() else {
            resume_unwind(failure);
        };
        let test = std::thread::current();
        let test = test.name().unwrap_or("a test");
        let next = if attempt < TRIES {
            "tried again"
        } else {
            "given up"
        };
        say(format!(
            "MACHINE TOO LATE: {test}, try {attempt} of {TRIES}, {next}: {late}"
        ));
        if attempt >= TRIES {
            resume_unwind(failure);
        }
    }
}

/// An event of a process that the scenario did not itself stop.
pub(crate) fn witness(event: &Value) {
    let tells = match event["event"].as_str() {
        Some("late" | "fenced") => true,
        Some("stopped") => event["reason"] == "self-stop",
        Some("command-terminating") => event["why"] == "no proof of ownership came in time",
        Some(_) | None => false,
    };
    if tells {
        LATE.with_borrow_mut(|late| {
            late.get_or_insert_with(|| event.to_string());
        });
    }
}

#[test]
fn what_fails_on_a_punctual_machine_has_failed() {
    let tries = RefCell::new(0);
    let failed = catch_unwind(AssertUnwindSafe(|| {
        in_time(|| {
            *tries.borrow_mut() += 1;
            witness(&serde_json::json!({"event": "defended"}));
            panic!("on purpose");
        });
    }));
    assert!(failed.is_err());
    assert_eq!(tries.into_inner(), 1);
}

#[test]
fn on_a_machine_that_is_too_late_a_scenario_has_further_tries_and_no_more() {
    let play = |late_times| {
        let (tries, said) = (RefCell::new(0), RefCell::new(Vec::new()));
        let scenario = || {
            *tries.borrow_mut() += 1;
            if *tries.borrow() <= late_times {
                witness(&serde_json::json!({"event": "stopped", "reason": "self-stop"}));
                panic!("on purpose");
            }
        };
        let played = catch_unwind(AssertUnwindSafe(|| {
            try_in_time(scenario, |text| said.borrow_mut().push(text));
        }));
        (played.is_ok(), tries.into_inner(), said.into_inner().len())
    };
    assert_eq!(play(1), (true, 2, 1));
    assert_eq!(play(TRIES), (false, TRIES, TRIES));
}
