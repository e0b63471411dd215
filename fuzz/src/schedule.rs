//! The body over the language of fault schedules, [`scsi::device::schedule`].

use scsi::device::schedule::{Schedule, Subject};
use scsi::reservation::ResetScope;
use scsi::wire::cdb::Cdb;

/// A schedule as an operator writes it: what is printed of it says the same; an error points into the
/// text; asking it what happens next never fails.
pub fn schedule(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let mut schedule = match text.parse::<Schedule>() {
        Ok(schedule) => schedule,
        Err(error) => {
            let line = text.lines().nth(error.line - 1);
            let length = line.map(|line| line.chars().count());
            assert!(length.is_some_and(|length| error.column <= length + 1));
            return false;
        }
    };
    let back = schedule.to_string().parse();
    assert_eq!(back.as_ref(), Ok(&schedule), "its text says something else");
    let reserve_out = Cdb::new(&[0x5f, 4, 0, 0, 0, 0, 0, 0, 24, 0]);
    let subjects = reserve_out.iter().map(Subject::of_cdb);
    for subject in subjects.chain([Subject::Reset(ResetScope::Lun)]) {
        for _ in 0..3 {
            let action = schedule.next(&subject);
            let known = action
                .is_none_or(|action| schedule.rules().iter().any(|rule| rule.action == action));
            assert!(known, "what happens stands in a rule");
        }
    }
    true
}
