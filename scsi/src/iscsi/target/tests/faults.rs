//! The faults of a schedule.

use super::*;

const TUR: [u8; 6] = [0; 6];

#[test]
fn a_delayed_command_is_answered_later() {
    let mut world = World::faulty("on WRITE: delay 300ms");
    let mut client = world.session("a", 1);
    assert_eq!(world.write(&mut client, &write10(0, 1), &[3; 512]), "");
    assert_eq!(world.block(0), [3; 512]);
    // Others need not wait.
    assert_eq!(world.run(&mut client, &TUR), "GOOD");
    world.pass(Duration::from_millis(299));
    assert_eq!(word(&world.take(&mut client)), "");
    world.pass(Duration::from_millis(1));
    assert_eq!(word(&world.take(&mut client)), "GOOD");
}

#[test]
fn a_dropped_connection_loses_the_command_or_only_its_answer() {
    for (schedule, written) in [("on WRITE: drop", 0), ("on WRITE: transport", 3)] {
        let mut world = World::faulty(schedule);
        let mut client = world.session("a", 1);
        assert_eq!(world.write(&mut client, &write10(0, 1), &[3; 512]), "");
        assert!(world.closes(&client));
        assert_eq!(world.block(0), [written; 512], "{schedule}");
    }
}

#[test]
fn a_late_effect_comes_later_unless_it_is_aborted() {
    for aborted in [false, true] {
        let mut world = World::faulty("on WRITE: late-effect 300ms");
        let mut victim = world.session("a", 1);
        let mut winner = world.session("b", 1);
        assert_eq!(world.register(&mut victim, 5, false), "GOOD");
        assert_eq!(world.register(&mut winner, 6, false), "GOOD");
        assert_eq!(world.write(&mut victim, &write10(0, 1), &[3; 512]), "");
        assert_eq!(world.block(0), [0; 512]);
        if aborted {
            let (cdb, list) = preempt_and_abort(6, 5);
            assert_eq!(world.write(&mut winner, &cdb, &list), "GOOD");
        }
        world.pass(Duration::from_millis(300));
        assert_eq!(word(&world.take(&mut victim)), "");
        assert_eq!(world.block(0) == [0; 512], aborted);
    }
}

#[test]
fn after_a_hang_nobody_is_answered() {
    let mut world = World::faulty("on WRITE: hang");
    let mut client = world.session("a", 1);
    let mut other = world.session("b", 1);
    assert_eq!(world.write(&mut client, &write10(0, 1), &[3; 512]), "");
    assert_eq!(world.run(&mut other, &TUR), "");
    assert_eq!(world.block(0), [0; 512]);
    assert!(!world.closes(&client));
}

#[test]
fn a_power_cycle_takes_what_is_volatile() {
    let mut world = World::faulty("on WRITE: power-cycle");
    let mut client = world.session("a", 1);
    assert_eq!(world.register(&mut client, 5, false), "GOOD");
    assert_eq!(world.write(&mut client, &write10(0, 1), &[3; 512]), "29/01");
    assert_eq!(world.run(&mut client, &READ_KEYS), "8 bytes");
}

#[test]
fn a_reset_happens_before_the_command() {
    let mut world = World::faulty("on WRITE: reset lun");
    let mut holder = world.session("a", 1);
    let mut other = world.session("b", 1);
    assert_eq!(world.run(&mut holder, &RESERVE6), "GOOD");
    assert_eq!(world.write(&mut holder, &write10(0, 1), &[3; 512]), "29/03");
    assert_eq!(world.run(&mut other, &TUR), "29/03");
    assert_eq!(world.run(&mut other, &TUR), "GOOD");
}

#[test]
fn answers_can_be_invented() {
    for (schedule, answer) in [
        ("on WRITE: conflict", "RESERVATION CONFLICT"),
        ("on WRITE: lie", "GOOD"),
        ("on WRITE: status 28", "TASK SET FULL"),
    ] {
        let mut world = World::faulty(schedule);
        let mut client = world.session("a", 1);
        assert_eq!(world.write(&mut client, &write10(0, 1), &[3; 512]), answer);
        assert_eq!(world.block(0), [0; 512], "{schedule}");
    }
}

#[test]
fn a_fault_of_a_reset_is_the_resets() {
    let reset = TaskFunction::LogicalUnitReset;
    for (schedule, answer, happened) in [
        ("on RESET: lie", "function complete", false),
        ("on RESET: timeout-with-effect", "", true),
        ("on RESET: timeout-without-effect", "", false),
        ("on RESET: conflict", "function rejected", false),
    ] {
        let mut world = World::faulty(schedule);
        let mut client = world.session("a", 1);
        assert_eq!(world.run(&mut client, &RESERVE6), "GOOD");
        assert_eq!(
            world.function(&mut client, reset, 0, NO_TAG),
            answer,
            "{schedule}"
        );
        let met = world.run(&mut client, &TUR);
        assert_eq!(met == "29/03", happened, "{schedule}: {met}");
    }
}
