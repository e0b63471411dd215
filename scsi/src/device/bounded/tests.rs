//! A device that hangs, and a caller that does not. The gate decides when it comes back, not a clock.

use super::*;
use crate::device::scripted::Scripted;
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::{
    Answer, Attention, Capabilities, Exchange, Reply, ResetScope, Support, Uncertainty, Unsent,
    Verb,
};
use crate::reservations::Reservations;
use crate::wire::cdb::Cdb;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// Performs nothing before it is let through its gate; says when it is done.
struct Gated<T> {
    inner: T,
    gate: Receiver<()>,
}

/// The test's side of the gate: dropping it opens the gate for ever.
fn gated<T>(inner: T) -> (Gated<T>, Sender<()>) {
    let (open, gate) = channel();
    (Gated { inner, gate }, open)
}

impl<T: Device> Device for Gated<T> {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let _open = self.gate.recv();
        self.inner.execute(cdb, data, bound)
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let _open = self.gate.recv();
        self.inner.reset(scope, escalate, bound)
    }
}

fn start(device: impl Device + 'static) -> BoundedDevice {
    BoundedDevice::start("test", Box::new(device)).unwrap()
}

fn read(device: &mut BoundedDevice, bound: Duration) -> Result<Vec<u8>, DeviceError> {
    let mut buffer = [0; 8];
    let cdb = Cdb::new(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]).unwrap();
    let done = device.execute(&cdb, Data::In(&mut buffer), bound)?;
    Ok(buffer[..done.transferred].to_vec())
}

#[test]
fn a_command_in_time_brings_its_data() {
    let mut device = start(Scripted::good(b"hello"));
    assert_eq!(read(&mut device, LONG).unwrap(), b"hello");
    assert_eq!(device.reset(ResetScope::Lun, false, LONG), Ok(()));
}

#[test]
fn at_the_bound_the_caller_goes_on_and_the_path_is_busy_until_the_command_comes_back() {
    let (hanging, gate) = gated(Scripted::good(b"hello"));
    let mut device = start(hanging);
    assert_eq!(read(&mut device, SHORT), Err(DeviceError::TimedOut));
    assert_eq!(
        read(&mut device, LONG),
        Err(DeviceError::NotSent(Unsent::Busy))
    );
    assert_eq!(
        device.reset(ResetScope::Lun, false, LONG),
        Err(DeviceError::NotSent(Unsent::Busy).into())
    );
    drop(gate);
    // It comes back when its thread has run; until then every call says so at once.
    let answer = loop {
        match read(&mut device, LONG) {
            Err(DeviceError::NotSent(Unsent::Busy)) => std::thread::yield_now(),
            answer => break answer,
        }
    };
    assert_eq!(answer.unwrap(), b"hello");
}

#[test]
fn dropping_does_not_wait_for_a_stuck_command() {
    let (hanging, gate) = gated(Scripted::good(b""));
    let mut device = start(hanging);
    assert_eq!(read(&mut device, SHORT), Err(DeviceError::TimedOut));
    drop(device);
    // Were the thread joined, the gate could never be opened here.
    drop(gate);
}

#[test]
fn opening_is_bounded_too() {
    let (gate, opened) = channel::<()>();
    let started = within("test", SHORT, move || {
        let _never = opened.recv();
        Ok::<_, Infallible>(())
    });
    assert!(matches!(started, Err(StartError::TimedOut)));
    drop(gate);
}

#[test]
fn what_opening_says_is_passed_on() {
    let started = within("test", LONG, || Err::<(), _>("no such disk"));
    assert!(matches!(started, Err(StartError::Open("no such disk"))));
    assert!(matches!(
        within("test", LONG, || Ok::<_, Infallible>(7)),
        Ok(7)
    ));
}

#[test]
fn a_thread_that_dies_is_an_unknown_outcome() {
    struct Dies;
    impl Device for Dies {
        fn execute(
            &mut self,
            _: &Cdb,
            _: Data<'_>,
            _: Duration,
        ) -> Result<Completion, DeviceError> {
            panic!("on purpose: a broken invariant in the device")
        }
        fn reset(&mut self, _: ResetScope, _: bool, _: Duration) -> Result<(), ResetError> {
            Ok(())
        }
    }
    let mut device = start(Dies);
    assert!(matches!(
        read(&mut device, LONG),
        Err(DeviceError::Transport(_))
    ));
    assert!(matches!(
        read(&mut device, LONG),
        Err(DeviceError::Transport(_))
    ));
}

/// Meets an attention with each verb, and learns something.
struct Attentive {
    gate: Receiver<()>,
    performed: u8,
}

impl Reservations for Attentive {
    fn capabilities(&self) -> Capabilities {
        let spc2 = if self.performed > 0 {
            Support::Yes
        } else {
            Support::Unknown
        };
        Capabilities {
            spc2,
            ..Capabilities::default()
        }
    }

    fn perform(&mut self, _: &Verb, _: Duration) -> Exchange {
        let _open = self.gate.recv();
        self.performed += 1;
        Exchange {
            answer: Answer::Done(Reply::Good),
            attentions: vec![Attention::new(0x29, self.performed)],
        }
    }
}

#[test]
fn attentions_of_a_late_answer_come_with_the_next_exchange() {
    let (gate, gated) = channel::<()>();
    let attentive = Attentive {
        gate: gated,
        performed: 0,
    };
    let mut disk = BoundedReservations::start("test", Box::new(attentive)).unwrap();
    assert_eq!(disk.capabilities().spc2, Support::Unknown);
    assert_eq!(
        disk.perform(&Verb::ReadState, SHORT).answer,
        Answer::OutcomeUnknown(Uncertainty::TimedOut)
    );
    drop(gate);
    let next = loop {
        let exchange = disk.perform(&Verb::TestUnitReady, LONG);
        if exchange.answer != Answer::NotSent(Unsent::Busy) {
            break exchange;
        }
        std::thread::yield_now();
    };
    assert_eq!(next.answer, Answer::Done(Reply::Good));
    assert_eq!(
        next.attentions,
        [Attention::new(0x29, 1), Attention::new(0x29, 2)]
    );
    assert_eq!(disk.capabilities().spc2, Support::Yes);
}

/// A way whose every handle comes back when the test opens its gate.
fn handles<const N: usize>() -> (BoundedReservations, [Sender<()>; N]) {
    let mut verbs: Vec<Box<dyn Reservations>> = Vec::new();
    let gates = std::array::from_fn(|_| {
        let (open, gate) = channel();
        verbs.push(Box::new(Attentive { gate, performed: 0 }));
        open
    });
    let way = BoundedReservations::over_handles("test", verbs).unwrap();
    (way, gates)
}

fn answer(way: &mut BoundedReservations, verb: &Verb) -> Answer {
    way.perform(verb, SHORT).answer
}

fn timed_out() -> Answer {
    Answer::OutcomeUnknown(Uncertainty::TimedOut)
}

fn busy() -> Answer {
    Answer::NotSent(Unsent::Busy)
}

#[test]
fn while_a_reply_is_owed_the_next_command_goes_on_a_further_handle() {
    let (mut way, [stuck, free]) = handles();
    assert_eq!(answer(&mut way, &Verb::ReadState), timed_out());
    drop(free);
    let exchange = way.perform(&Verb::ReadState, LONG);
    assert_eq!(exchange.answer, Answer::Done(Reply::Good));
    // The stuck one's own answer is nobody's but its own.
    assert_eq!(exchange.attentions, [Attention::new(0x29, 1)]);
    drop(stuck);
}

#[test]
fn when_every_handle_is_stuck_the_way_is_busy_and_free_again_with_the_first_that_comes_back() {
    let (mut way, [first, second, third, fourth]) = handles();
    for _ in 0..HANDLES_MAX {
        assert_eq!(answer(&mut way, &Verb::ReadState), timed_out());
    }
    assert_eq!(answer(&mut way, &Verb::ReadState), busy());
    drop(third);
    while way.perform(&Verb::ReadState, LONG).answer == busy() {
        std::thread::yield_now();
    }
    drop((first, second, fourth));
}

#[test]
fn no_change_overtakes_a_stuck_change_of_another_kind() {
    let key = crate::reservation::Key::new(7).unwrap();
    let preempt = Verb::Preempt {
        key,
        victim: crate::reservation::Key::new(8),
        kind: crate::reservation::ReservationType::WriteExclusive,
        abort: true,
    };
    let (mut way, [first, second, third]) = handles();
    assert_eq!(answer(&mut way, &Verb::Spc2Release), timed_out());
    assert_eq!(answer(&mut way, &Verb::Spc2Release), busy());
    assert_eq!(answer(&mut way, &preempt), busy());
    assert_eq!(answer(&mut way, &Verb::ReadState), timed_out());
    drop((first, second, third));

    let (mut way, [first, second, third]) = handles();
    assert_eq!(answer(&mut way, &preempt), timed_out());
    assert_eq!(answer(&mut way, &preempt), timed_out());
    assert_eq!(answer(&mut way, &Verb::Spc2Release), busy());
    assert_eq!(answer(&mut way, &Verb::ReadState), timed_out());
    drop((first, second, third));
}

/// Tells when it is dropped.
struct Told(Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _the_test_may_be_over = self.0.send(());
    }
}

#[test]
fn each_thread_has_its_companion_until_its_last_command_is_back() {
    let (mut way, [stuck, free]) = handles();
    let (made, is_made) = channel();
    let (dropped, is_dropped) = channel();
    way.accompany(std::sync::Arc::new(move || {
        made.send(std::thread::current().id()).unwrap();
        Box::new(Told(dropped.clone()))
    }));
    assert_eq!(answer(&mut way, &Verb::ReadState), timed_out());
    drop(free);
    assert_eq!(
        answer(&mut way, &Verb::ReadState),
        Answer::Done(Reply::Good)
    );
    let (first, second) = (is_made.recv().unwrap(), is_made.recv().unwrap());
    assert_ne!(first, second, "one each, that of a later thread too");

    drop(way);
    is_dropped.recv().unwrap();
    assert!(is_dropped.try_recv().is_err(), "one command is still out");
    drop(stuck);
    is_dropped.recv().unwrap();
}
