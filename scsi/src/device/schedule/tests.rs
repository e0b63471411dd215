//! The language, by example.

use super::*;
use crate::wire::cdb::Cdb;
use proptest::prelude::*;

fn subject(cdb: &[u8]) -> Subject {
    Subject::of_cdb(&Cdb::new(cdb).unwrap())
}

fn pr_out(service_action: u8) -> Subject {
    subject(&[0x5f, service_action, 0, 0, 0, 0, 0, 0, 24, 0])
}

fn fired(text: &str, subjects: &[Subject]) -> String {
    let mut schedule: Schedule = text.parse().unwrap();
    let fired: Vec<String> = subjects
        .iter()
        .map(|subject| {
            schedule
                .next(subject)
                .map_or_else(|| "-".to_owned(), |action| action.to_string())
        })
        .collect();
    fired.join(" ")
}

fn complaint(text: &str) -> String {
    text.parse::<Schedule>().unwrap_err().to_string()
}

#[test]
fn when_counts_the_matches_of_its_own_rule() {
    let five = [pr_out(1); 5];
    assert_eq!(fired("after 3 PR-OUT: drop", &five), "- - - drop drop");
    assert_eq!(fired("first 2 PR-OUT: drop", &five), "drop drop - - -");
    assert_eq!(fired("at 2 PR-OUT: drop", &five), "- drop - - -");
    assert_eq!(fired("every 2: drop", &five), "- drop - drop -");
    assert_eq!(fired("on PR-OUT: drop", &five), "drop drop drop drop drop");
}

#[test]
fn other_commands_are_not_counted() {
    let write = subject(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(
        fired(
            "at 2 WRITE: sense 06/29/00",
            &[write, pr_out(0), pr_out(0), write, write]
        ),
        "- - - sense 06/29/00 -"
    );
}

#[test]
fn the_first_rule_that_fires_decides_and_the_others_still_count() {
    assert_eq!(
        fired("at 1: conflict; at 2: lie; every 1: drop", &[pr_out(0); 3]),
        "conflict lie drop"
    );
}

#[test]
fn a_service_action_tells_the_persistent_verbs_apart() {
    let subjects = [pr_out(0), pr_out(1), pr_out(4), pr_out(5), pr_out(6)];
    assert_eq!(fired("REGISTER: drop", &subjects), "drop - - - drop");
    assert_eq!(fired("PREEMPT: drop", &subjects), "- - drop drop -");
    assert_eq!(fired("ABORT: drop", &subjects), "- - - drop -");
    assert_eq!(fired("opcode 5f/01: drop", &subjects), "- drop - - -");
    assert_eq!(
        fired("opcode 0x5f: drop", &subjects),
        "drop drop drop drop drop"
    );
}

#[test]
fn a_reset_is_matched_by_its_name_alone() {
    let reset = Subject::Reset(ResetScope::Lun);
    assert_eq!(fired("any: drop", &[reset]), "-");
    assert_eq!(fired("on RESET: drop", &[reset, pr_out(0)]), "drop -");
}

#[test]
fn comments_newlines_and_empty_rules_are_allowed() {
    let schedule: Schedule = "# nothing yet\n\n on TUR : delay 200ms ; ; # slow\nPR-IN: hang\n"
        .parse()
        .unwrap();
    assert_eq!(schedule.to_string(), "on TUR: delay 200ms; on PR-IN: hang");
}

#[test]
fn an_unknown_word_is_pointed_at() {
    assert!(
        complaint("on TUR: delay 200ms; on WIRTE: drop")
            .starts_with("line 1, column 25: `WIRTE` is not a command's name; those are any, opcode, READ, WRITE,")
    );
    assert!(complaint("\nTUR: explode").starts_with("line 2, column 6: `explode` is not a fault;"));
    assert_eq!(
        complaint("TUR: delay 200"),
        "line 1, column 12: `200` is not a time: a number with us, ms or s"
    );
    assert_eq!(
        complaint("TUR: sense 06/29"),
        "line 1, column 17: expected `/`: a sense is K/ASC/ASCQ, as 06/29/00"
    );
    assert_eq!(
        complaint("TUR: sense 16/29/00"),
        "line 1, column 12: a sense key has one hexadecimal digit"
    );
    assert_eq!(
        complaint("every 0: drop"),
        "line 1, column 7: it counts from 1"
    );
    assert_eq!(
        complaint("TUR drop"),
        "line 1, column 5: expected `:` and then what shall happen"
    );
    assert_eq!(
        complaint("TUR: drop twice"),
        "line 1, column 11: `twice` is too much here"
    );
    assert_eq!(
        complaint("TUR:"),
        "line 1, column 5: expected what shall happen"
    );
    assert_eq!(
        complaint("TUR: reset universe"),
        "line 1, column 12: `universe` is not a scope: lun, target, bus or host"
    );
    assert!(complaint("TUR: truncate 99999999999999999999").contains("is not a number"));
    assert!(complaint("TUR: delay 99999999999999999999s").contains("is not a time"));
}

#[test]
fn too_many_rules_are_refused() {
    assert!(complaint(&"TUR: drop\n".repeat(257)).contains("more than 256 rules"));
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Drop),
        Just(Action::Transport),
        Just(Action::TimeoutWithoutEffect),
        Just(Action::TimeoutWithEffect),
        Just(Action::Hang),
        Just(Action::Conflict),
        Just(Action::Lie),
        Just(Action::NexusLoss),
        Just(Action::PowerCycle),
        Just(Action::Reset(ResetScope::Target)),
        (0..10_000_000_u64).prop_map(|us| Action::Delay(Duration::from_micros(us))),
        (0..10_000_000_u64).prop_map(|us| Action::LateEffect(Duration::from_micros(us))),
        (0..16_u8, any::<u8>(), any::<u8>()).prop_map(|(key, asc, ascq)| Action::Sense {
            key,
            asc,
            ascq
        }),
        any::<u8>().prop_map(Action::Status),
        (0..100_000_usize).prop_map(Action::Truncate),
        (0..100_000_usize, any::<u8>()).prop_map(|(byte, mask)| Action::Clear { byte, mask }),
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    let when = prop_oneof![
        Just(When::Always),
        any::<u64>().prop_map(When::After),
        (1..u64::MAX).prop_map(When::First),
        (1..u64::MAX).prop_map(When::At),
        (1..u64::MAX).prop_map(When::Every),
    ];
    let selector = prop_oneof![
        Just(Selector::Any),
        (0..subject::NAMES.len()).prop_map(|at| Selector::Named(&subject::NAMES[at])),
        Just(Selector::Named(&subject::RESET)),
        (any::<u8>(), any::<Option<u8>>()).prop_map(|(opcode, sa)| Selector::Opcode(opcode, sa)),
    ];
    (when, selector, actions()).prop_map(|(when, selector, action)| Rule {
        when,
        selector,
        action,
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_schedule(rules in prop::collection::vec(rules(), 0..8)) {
        let schedule = Schedule::new(rules);
        prop_assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
    }

    #[test]
    fn no_text_panics(text in "[a-zA-Z0-9:;/# \nµ-]{0,60}") {
        if let Err(error) = text.parse::<Schedule>() {
            prop_assert!(error.line >= 1 && error.column >= 1);
        }
    }
}
