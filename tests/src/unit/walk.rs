//! Which operation comes next: a random walk that is steered to where it has been least.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most actions have nothing to choose"
)]

use crate::both::{BLOCKS, Both, NEXUSES};
use crate::operation::{Action, Operation, OutArguments};
use crate::random::Random;
use crate::situation::{Force, Matrix, Role, Situation};
use scsi::reservation::{NexusId, ReservationType};

/// Keys of the three nexuses, and some that nobody has.
const KEYS: [u64; 5] = [0xA1, 0xB2, 0xC3, 0xD4, 0];

/// Draws an operation of this action with arguments that are mostly, not always, right.
pub(crate) fn draw(both: &Both, nexus: usize, action: Action, random: &mut Random) -> Operation {
    if action.is_persistent_out() {
        return draw_out(both, nexus, action, random);
    }
    let mut operation = Operation::plain(nexus, action);
    let block = u8::try_from(random.below(usize::from(BLOCKS))).unwrap_or(0);
    match action {
        Action::Read10 | Action::Write10 => operation.cdb[5] = block,
        Action::CompareAndWrite => {
            operation.cdb[9] = block;
            // Half of what is compared with is what was last written there, with luck.
            let guess = u8::try_from(random.below(3)).unwrap_or(0);
            operation.data_out[..512].fill(guess);
        }
        Action::RequestSense => operation.cdb[1] = u8::from(random.percent(30)),
        Action::ReadKeys | Action::ReadReservation | Action::ReadFullStatus
            if random.percent(20) =>
        {
            // Allocation lengths that cut the answer, in steps of a key.
            let length = 8 + 8 * random.below(8);
            operation.cdb[7] = 0;
            operation.cdb[8] = u8::try_from(length).unwrap_or(u8::MAX);
            operation.data_in = length;
        }
        _ => {}
    }
    let value = u8::try_from(random.below(3)).unwrap_or(0);
    match action {
        Action::Write10 => operation.data_out.fill(value),
        Action::CompareAndWrite => operation.data_out[512..].fill(value),
        _ => {}
    }
    operation
}

fn draw_out(both: &Both, nexus: usize, action: Action, random: &mut Random) -> Operation {
    let own = key_of(both, nexus);
    let key = if random.percent(80) {
        own.unwrap_or(0)
    } else {
        *random.of(&KEYS)
    };
    let kind = match both.unit.persistent_state().reservation {
        Some(held) if random.percent(60) => held.kind,
        _ => *random.of(&ReservationType::ALL),
    };
    // Units differ most in what PREEMPT makes of them.
    let odd = if matches!(action, Action::Preempt | Action::PreemptAndAbort) {
        8
    } else {
        3
    };
    let scope_type = if random.percent(odd) {
        0x10 | kind.scsi_code() // a scope that is obsolete
    } else if random.percent(odd) {
        2 // a type that is obsolete
    } else {
        kind.scsi_code()
    };
    let service_action_key = match action {
        // Mostly one's own key of this place, sometimes none.
        Action::Register | Action::RegisterIgnore if random.percent(75) => KEYS[nexus],
        Action::Preempt | Action::PreemptAndAbort if random.percent(70) => {
            key_of(both, random.below(NEXUSES)).unwrap_or(0xD4)
        }
        _ => *random.of(&KEYS),
    };
    let flags = match random.below(20) {
        0 => 1,
        1 => 4,
        _ => 0,
    };
    let arguments = OutArguments {
        key,
        service_action_key,
        scope_type,
        flags,
    };
    let mut operation = Operation::out(nexus, action, arguments);
    if action == Action::RegisterAndMove {
        move_to(
            both,
            &mut operation,
            random.below(NEXUSES),
            random.percent(50),
        );
    } else if random.percent(2) {
        operation.data_out.truncate(16);
        operation.set_list_length();
    }
    operation
}

/// Turns the list into that of REGISTER AND MOVE (SPC-4 6.16.4).
fn move_to(both: &Both, operation: &mut Operation, destination: usize, unregister: bool) {
    let nexus = both.nexus(destination);
    let id = nexus.initiator.emit();
    operation.data_out.truncate(16);
    operation.data_out.extend([0, u8::from(unregister) << 1]);
    operation.data_out.extend(nexus.target_port.to_be_bytes());
    operation
        .data_out
        .extend(u32::try_from(id.len()).unwrap_or(0).to_be_bytes());
    operation.data_out.extend(id);
    operation.set_list_length();
}

/// The key that a nexus has registered, as the unit knows it.
pub(crate) fn key_of(both: &Both, nexus: usize) -> Option<u64> {
    let wanted = both.nexus(nexus);
    both.unit
        .persistent_state()
        .registrations
        .iter()
        .find(|entry| match &entry.nexus {
            Some(NexusId::Scsi {
                initiator,
                relative_target_port,
            }) => {
                initiator == &wanted.initiator
                    && relative_target_port.is_none_or(|port| port == wanted.target_port)
            }
            Some(NexusId::Nvme { .. }) | None => false,
        })
        .map(|entry| entry.key.get())
}

/// The action and situation to go to next, and a nexus to be in it.
pub(crate) fn goal(matrix: &Matrix, random: &mut Random) -> (Action, Situation, usize) {
    let (_, cells) = matrix.least();
    let &(action, situation) = random.of(&cells);
    (action, situation, random.below(NEXUSES))
}

/// The operations that lead from a blank unit to a situation of this nexus.
pub(crate) fn way_to(
    (force, role): Situation,
    nexus: usize,
    random: &mut Random,
) -> Vec<Operation> {
    let other = (nexus + 1 + random.below(NEXUSES - 1)) % NEXUSES;
    let third = (0..NEXUSES)
        .find(|&index| index != nexus && index != other)
        .unwrap_or(0);
    let mut way = Vec::new();
    let register = |index: usize| {
        let arguments = OutArguments {
            service_action_key: KEYS[index],
            ..OutArguments::default()
        };
        Operation::out(index, Action::Register, arguments)
    };
    let holder = if role == Role::Holder { nexus } else { other };
    match force {
        Force::Spc2 => way.push(Operation::plain(holder, Action::Reserve6)),
        Force::Nothing | Force::Persistent(_) => {
            if role != Role::Stranger {
                way.push(register(nexus));
            }
            let has_other = holder == other && force != Force::Nothing;
            if has_other || random.percent(50) {
                way.push(register(other));
            }
            if random.percent(50) {
                way.push(register(third));
            }
            if let Force::Persistent(kind) = force {
                let arguments = OutArguments {
                    key: KEYS[holder],
                    scope_type: kind.scsi_code(),
                    ..OutArguments::default()
                };
                way.push(Operation::out(holder, Action::Reserve, arguments));
            }
        }
    }
    way
}
