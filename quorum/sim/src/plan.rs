//! What a seed means: the protocol, the disk, the nodes, their times and clocks, and how much goes wrong.

use crate::disk::Lacks;
use crate::faults::Chances;
use crate::rng::Rng;
use crate::words::CLUSTER;
use quorum_core::arbitration::{Config, Guards, Mode, NodeNumber, Policy};
use quorum_core::times::{Demand, Profile, Times};
use scsi::logical_unit::Behaviour;
use std::fmt;
use std::time::Duration;

/// What whoever starts a simulation asks for; the rest is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// At most so many nodes contend; at least two.
    pub nodes: u8,
    /// Whose disk; none: a different one for each seed.
    pub behaviour: Option<Behaviour>,
    /// Which protocol; none: either.
    pub mode: Option<Mode>,
    /// All on, but where it is tried whether a checker notices.
    pub guards: Guards,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            nodes: 3,
            behaviour: None,
            mode: None,
            guards: Guards::ALL_ON,
        }
    }
}

/// The most nodes of a world: with more, the rounds of an owner have more keys to remove than the profiles cover.
pub const NODES_MAX: u8 = 5;

/// What one seed means.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The protocol.
    pub mode: Mode,
    /// Whose disk.
    pub behaviour: Behaviour,
    /// What it is to lack.
    pub lacks: Lacks,
    /// How many nodes.
    pub nodes: u8,
    /// How many paths each has.
    pub paths: u16,
    /// The times in force.
    pub times: Times,
    /// Where they come from.
    pub times_from: TimesFrom,
    /// There is a log: parked marks and epochs are read.
    pub has_log: bool,
    /// Owners keep the shipped log on the disk.
    pub keeps_log: bool,
    /// PREEMPT without abort.
    pub no_abort: bool,
    /// How often commands and writes go wrong.
    pub chances: Chances,
    /// How often timers come too late, in a thousand.
    pub late_timers: u64,
    /// Between two acts of the adversary, on average.
    pub act_every: Duration,
    /// How long it goes on before everything heals.
    pub span: Duration,
    /// What goes wrong most.
    pub shape: Shape,
    /// Which guards are on.
    pub guards: Guards,
}

/// What a world suffers from most. Most suffer from everything; some, besides, from what must come together for a machine to
/// get where it seldom gets ([`crate::scenes`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// From everything alike.
    Everything,
    /// Without APTPL: the power goes, and comes back to an owner that is about to leave.
    PowerCycles,
    /// SCSI-2: what a win rests on goes on under it.
    Rivals,
}

/// Where times come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimesFrom {
    /// A profile.
    Profile(Profile),
    /// Solved for a takeover target, with clocks that may be 1 % wrong.
    Solved(Duration),
}

/// Clocks that may be wrong by 1 %.
const WIDE_DRIFT_PPM: u32 = 10_000;

impl Plan {
    /// What this seed means.
    #[must_use]
    pub fn of(seed: u64, asked: &Asked) -> Self {
        let mut rng = Rng(seed ^ 0x5eed);
        let mode = asked.mode.unwrap_or(if rng.chance(600) {
            Mode::Persistent
        } else {
            Mode::Spc2
        });
        let behaviour = asked.behaviour.unwrap_or(match rng.below(10) {
            0..=3 => Behaviour::Standard,
            4..=6 => Behaviour::Lio,
            7..=8 => Behaviour::Tgt,
            _ => Behaviour::Hostile,
        });
        let nodes_max = asked.nodes.clamp(2, NODES_MAX);
        let nodes = if rng.chance(700) {
            nodes_max
        } else {
            2 + u8::try_from(rng.below(u64::from(nodes_max) - 1)).unwrap_or(0)
        };
        let (times, times_from) = times(mode, &mut rng);
        let persistent = mode == Mode::Persistent;
        let lacks = lacks(mode, behaviour, &mut rng);
        let storm = 200 + rng.below(800);
        let has_log = persistent && rng.chance(500);
        let shape = shape(seed, mode, lacks.aptpl || behaviour == Behaviour::Tgt);
        let keeps_log = Rng(seed ^ 0x0010_6000).chance(150) && (has_log || !persistent);
        Self {
            seed,
            mode,
            behaviour,
            lacks,
            nodes,
            paths: if persistent && rng.chance(200) { 2 } else { 1 },
            times,
            times_from,
            has_log,
            keeps_log,
            no_abort: lacks.abort || (!lacks.reset && rng.chance(300)),
            chances: shaped(shape, chances(&mut rng, storm)),
            late_timers: rng.below(10) * storm / 1000,
            act_every: times
                .challenge_wait
                .mul_f64(0.3 + rng.below(1500) as f64 / 1000.0),
            span: times.challenge_wait * 150,
            shape,
            guards: asked.guards,
        }
    }

    /// What the machine of a node is told.
    #[must_use]
    pub fn config(&self, node: u8) -> Config {
        let mut config = Config::new(self.mode, "simulated", NodeNumber(node), self.times);
        config.cluster = CLUSTER;
        config.paths = self.paths;
        config.guards = self.guards;
        config.policy = Policy {
            wait: true,
            no_abort: self.no_abort,
            accept_no_aptpl: self.lacks_aptpl(),
            has_log: self.has_log,
            ..Policy::default()
        };
        config
    }

    /// Does the disk forget reservations when it loses its power?
    #[must_use]
    pub fn lacks_aptpl(&self) -> bool {
        self.lacks.aptpl || self.behaviour == Behaviour::Tgt
    }
}

fn times(mode: Mode, rng: &mut Rng) -> (Times, TimesFrom) {
    let profile = match rng.below(100) {
        0..=39 => Profile::Default,
        40..=64 => Profile::Fast,
        65..=66 => Profile::Classic,
        _ => {
            let takeover = Duration::from_millis(900 + rng.below(2500));
            let demand = Demand {
                round_trip: takeover / 250,
                lateness: takeover / 120,
                stop_time: takeover / 16,
                drift_ppm: WIDE_DRIFT_PPM,
                ..Demand::for_takeover(mode, takeover)
            };
            return match demand.solve() {
                Ok(times) => (times, TimesFrom::Solved(takeover)),
                Err(why) => unreachable!("{takeover:?}: {why}"),
            };
        }
    };
    (profile.times(mode), TimesFrom::Profile(profile))
}

fn lacks(mode: Mode, behaviour: Behaviour, rng: &mut Rng) -> Lacks {
    let persistent = mode == Mode::Persistent;
    let which = rng.below(100);
    Lacks {
        aptpl: persistent && !(6..92).contains(&which),
        // Without PREEMPT AND ABORT a reset is the only barrier, and a disk without either is refused.
        reset: persistent && behaviour != Behaviour::Tgt && (6..12).contains(&which),
        abort: persistent && (12..18).contains(&which),
        attentions: persistent && (18..24).contains(&which),
        clear_task_set: !persistent && which < 12,
    }
}

fn shape(seed: u64, mode: Mode, forgets: bool) -> Shape {
    let mut rng = Rng(seed ^ 0x05ce_0e00);
    match mode {
        Mode::Persistent if forgets && rng.chance(350) => Shape::PowerCycles,
        Mode::Spc2 if rng.chance(300) => Shape::Rivals,
        Mode::Persistent | Mode::Spc2 => Shape::Everything,
    }
}

/// An owner leaves when its writes have ended: where it is to leave in the few milliseconds of a power loss, few of them
/// stay under way for long.
fn shaped(shape: Shape, chances: Chances) -> Chances {
    match shape {
        Shape::PowerCycles => Chances {
            hold_write: chances.hold_write / 8,
            ..chances
        },
        Shape::Everything | Shape::Rivals => chances,
    }
}

fn chances(rng: &mut Rng, storm: u64) -> Chances {
    let mut up_to = |most: u64| rng.below(most + 1) * storm / 1000;
    Chances {
        lose_request: up_to(40),
        lose_reply: up_to(40),
        late_effect: up_to(60),
        slow: up_to(60),
        transport: up_to(15),
        busy: up_to(15),
        stall: up_to(12),
        hold_write: up_to(400),
        repeat_write: 500,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Persistent => "pr",
            Mode::Spc2 => "scsi2",
        };
        write!(
            f,
            "seed {}: {mode}, {} disk, {} nodes",
            self.seed, self.behaviour, self.nodes
        )?;
        if self.paths > 1 {
            write!(f, " with {} paths", self.paths)?;
        }
        match self.times_from {
            TimesFrom::Profile(profile) => write!(f, ", {} times", profile.name())?,
            TimesFrom::Solved(takeover) => write!(
                f,
                ", times for a takeover of {} ms and clocks 1 % wrong",
                takeover.as_millis()
            )?,
        }
        for (lacks, what) in [
            (self.lacks.aptpl, "APTPL"),
            (self.lacks.reset, "LUN RESET"),
            (self.lacks.abort, "PREEMPT AND ABORT"),
            (self.lacks.attentions, "attentions"),
            (self.lacks.clear_task_set, "CLEAR TASK SET"),
        ] {
            if lacks {
                write!(f, ", no {what}")?;
            }
        }
        match self.shape {
            Shape::Everything => {}
            Shape::PowerCycles => write!(f, ", power cycles")?,
            Shape::Rivals => write!(f, ", rivals")?,
        }
        if self.keeps_log {
            write!(f, ", with the shipped log")?;
        } else if self.has_log {
            write!(f, ", with a log")?;
        }
        if self.no_abort && !self.lacks.abort {
            write!(f, ", PREEMPT without abort")?;
        }
        Ok(())
    }
}
