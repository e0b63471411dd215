//! Several machines and a disk, as a script tells them.
//!
//! ```text
//! world [standard|lio|tgt|hostile] [no-aptpl] [no-reset] [no-cts] [no-attentions] [no-abort]    a disk
//! node N [options of `machine`]   a node of it
//! start N...   kill N   restart N   restart-elsewhere N (on a new nexus)   restart-drained N (when the old one's writes have ended)
//! node N as=M [options]  a copy of node M   serials N S    the next serials of node N begin there
//! hold N D     the next write of node N stays in its host for so long
//! release-behind N      a tool on its host gives the disk back
//! pause N   resume N   stand-still N D (its clock too)   hungry N   park N   release N
//! path N P down|up   login N P   late N D   slow N D   eats N
//! fault N lose-request|lose-reply|late=D|slow=D VERB     for the next such command of node N
//! power-loss   clear   reset   register K [careless] (by a stranger; without a word of APTPL)   reserve K   protect N
//! linger D     how long an accepted write stays in the target's queue before it lands
//! run D        what happens meanwhile: the events, but for `Defended`
//! disk         who holds, who is registered
//! ```
//!
//! Every checker runs after every step; a violation ends the script.

use crate::clock::Clock;
use crate::disk::{Disk, Lacks};
use crate::faults::Fault;
use crate::words::{CLUSTER, duration, holder_word, key, registrations_word};
use crate::world::World;
use goldenscript::{Argument, Command};
use quorum_core::arbitration::{Config, Guards, Mode, NodeNumber, Policy};
use quorum_core::times::Profile;
use scsi::logical_unit::Behaviour;
use scsi::reservation::{ReservationType, Verb};

/// A world, as a script tells it.
pub struct Together {
    world: World,
    strangers: u32,
    guards: Guards,
}

impl Together {
    /// The disk.
    ///
    /// # Errors
    /// When the command cannot be understood.
    pub fn begin(command: &Command, guards: Guards) -> Result<Self, String> {
        let mut behaviour = Behaviour::Standard;
        let mut lacks = Lacks::default();
        let mut arguments = command.consume_args();
        while let Some(word) = arguments.next_pos() {
            match word {
                "no-aptpl" => lacks.aptpl = true,
                "no-reset" => lacks.reset = true,
                "no-cts" => lacks.clear_task_set = true,
                "no-attentions" => lacks.attentions = true,
                "no-abort" => lacks.abort = true,
                name => {
                    behaviour =
                        Behaviour::from_name(name).ok_or_else(|| format!("what is {name}?"))?;
                }
            }
        }
        let mut world = World::new(1, Disk::new(behaviour, 1, lacks));
        // In a script somebody says whom it is claimed of.
        world.checkers.live_owner.void = true;
        Ok(Self {
            world,
            strangers: 0,
            guards,
        })
    }

    /// What comes of a command.
    ///
    /// # Errors
    /// When it cannot be understood, or a checker objects.
    pub fn run(&mut self, command: &Command) -> Result<String, String> {
        self.obey(command)?;
        let mut text = std::mem::take(&mut self.world.timeline).join("\n");
        if command.name == "disk" {
            let state = self.world.disk.state();
            text = format!(
                "held by {}, registered {}",
                holder_word(state.reservation),
                registrations_word(&state.registrations)
            );
        }
        match self.world.checkers.violations.first() {
            Some(violation) => Err(format!("{text}\nVIOLATED {violation}")),
            None => Ok(text),
        }
    }

    fn obey(&mut self, command: &Command) -> Result<(), String> {
        let mut arguments = command.consume_args();
        if command.name == "node" {
            return self.add(command);
        }
        let world = &mut self.world;
        match command.name.as_str() {
            "linger" => world.linger = duration(arguments.next_pos().ok_or("how long?")?)?,
            "power-loss" => world.lose_power(),
            "clear" => world.clear(key("x0e")?),
            "disk" => {}
            "reset" => world.reset(),
            "run" => world.run(duration(arguments.next_pos().ok_or("how long?")?)?),
            "register" => {
                self.strangers += 1;
                let key = key(arguments.next_pos().ok_or("which key?")?)?;
                if arguments.next_pos() == Some("careless") {
                    world.register_careless_stranger(self.strangers, key);
                } else {
                    world.register_stranger(self.strangers, key);
                }
            }
            "reserve" => {
                let reserve = Verb::Reserve {
                    key: key(arguments.next_pos().ok_or("which key?")?)?,
                    kind: ReservationType::WriteExclusive,
                };
                world.reserve_stranger(self.strangers, &reserve);
            }
            _ => return self.obey_for_a_node(command),
        }
        Ok(())
    }

    fn obey_for_a_node(&mut self, command: &Command) -> Result<(), String> {
        let world = &mut self.world;
        let mut arguments = command.consume_args();
        let number = |word: Option<&str>| -> Result<u8, String> {
            let word = word.ok_or("which node?")?;
            word.parse().map_err(|_| format!("not a node: {word}"))
        };
        let path = |word: Option<&str>| -> Result<u16, String> {
            let word = word.ok_or("which path?")?;
            word.parse().map_err(|_| format!("not a path: {word}"))
        };
        let node = number(arguments.next_pos())?;
        match command.name.as_str() {
            "start" => {
                world.start(node);
                while let Some(next) = arguments.next_pos() {
                    world.start(number(Some(next))?);
                }
            }
            "kill" => world.kill(node),
            "restart" => world.start(node),
            "restart-drained" => world.start_drained(node),
            "restart-elsewhere" => world.start_on_new_nexus(node),
            "pause" => world.pause(node),
            "resume" => world.resume(node),
            "park" => world.park(node),
            "release" => world.release(node),
            "release-behind" => world.release_behind(node),
            "protect" => world.checkers.live_owner.protected = Some(node),
            "stand-still" => {
                let span = duration(arguments.next_pos().ok_or("how long?")?)?;
                world.stand_still_for(node, span);
            }
            "path" => {
                let path = path(arguments.next_pos())?;
                world.path(node, path, arguments.next_pos() == Some("up"));
            }
            "login" => world.log_in_again(node, path(arguments.next_pos())?),
            other => {
                let node = world.node(node).ok_or("no such node")?;
                let mut span = || duration(arguments.next_pos().ok_or("how long?")?);
                match other {
                    "hungry" => node.hungry = true,
                    "serials" => {
                        let first = arguments.next_pos().ok_or("which serial?")?;
                        let first = first.parse().map_err(|_| format!("serial {first}"))?;
                        node.restore_serials(first);
                    }
                    "eats" => node.eats_attentions = true,
                    "hold" => node.hold_next = Some(span()?),
                    "late" => node.late = span()?,
                    "slow" => node.round_trip = span()?,
                    "fault" => {
                        let late = arguments.take_key("late").map(duration).transpose()?;
                        let slow = arguments.take_key("slow").map(duration).transpose()?;
                        let fault = match (late, slow) {
                            (Some(late), _) => Fault::Zombie(late),
                            (None, Some(slow)) => Fault::Slow(slow),
                            (None, None) => match arguments.next_pos() {
                                Some("lose-request") => Fault::LoseRequest,
                                Some("lose-reply") => Fault::LoseReply,
                                Some("no-path") => Fault::NoPath,
                                what => return Err(format!("not a fault: {what:?}")),
                            },
                        };
                        let verb = arguments.next_pos().ok_or("which verb?")?;
                        node.faults.push((verb.into(), fault));
                    }
                    _ => return Err(format!("unknown command {other}")),
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, command: &Command) -> Result<(), String> {
        let (mut config, rest) = config(command, self.guards)?;
        let mut copy_of = None;
        for argument in rest {
            match argument {
                Argument::KeyValue(name, number) if name == "as" => {
                    let number = number.parse();
                    copy_of = Some(number.map_err(|_| format!("not a node: {name}"))?);
                }
                Argument::Positional(number) => {
                    config.node.0 = number
                        .parse()
                        .map_err(|_| format!("not a node: {number}"))?;
                }
                other => return Err(format!("unknown argument {other}")),
            }
        }
        let number = config.node.0;
        match copy_of {
            Some(original) => {
                config.node.0 = original;
                self.world.add_copy(number, config, Clock::default());
            }
            None => self.world.add(config, Clock::default()),
        }
        Ok(())
    }
}

/// A configuration from a command's arguments; those that it does not know are handed back.
/// # Errors
/// When an argument has no such value.
pub fn config(command: &Command, guards: Guards) -> Result<(Config, Vec<Argument>), String> {
    let mut mode = Mode::Persistent;
    let mut profile = Profile::Default;
    let mut node = 1;
    let mut paths = 1;
    let mut policy = Policy::default();
    let mut rest = Vec::new();
    for argument in &command.args {
        match argument {
            Argument::KeyValue(name, value) => match name.as_str() {
                "mode" if value == "spc2" => mode = Mode::Spc2,
                "profile" => {
                    profile =
                        Profile::from_name(value).ok_or_else(|| format!("profile {value}"))?;
                }
                "node" => node = value.parse().map_err(|_| format!("node {value}"))?,
                "paths" => paths = value.parse().map_err(|_| format!("paths {value}"))?,
                _ => rest.push(argument.clone()),
            },
            Argument::Positional(word) => match word.as_str() {
                "spc2" => mode = Mode::Spc2,
                "wait" => policy.wait = true,
                "no-preempt" => policy.no_preempt = true,
                "no-abort" => policy.no_abort = true,
                "accept-no-aptpl" => policy.accept_no_aptpl = true,
                "evict-foreign" => policy.evict_foreign = true,
                "others-are-down" => policy.others_are_down = true,
                "log" => policy.has_log = true,
                _ => rest.push(argument.clone()),
            },
            _ => rest.push(argument.clone()),
        }
    }
    let config = Config {
        mode,
        cluster: CLUSTER,
        node: NodeNumber(node),
        paths,
        times: profile.times(mode),
        policy,
        guards,
    };
    Ok((config, rest))
}
