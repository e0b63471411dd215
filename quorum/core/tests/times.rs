//! The solver of times: scripts under `testscripts/times`, and what holds for every demand.
//!
//! ```text
//! solve takeover=D [mode=spc2] [round-trip=D] [lateness=D] [recovery=D] [stop=D] [drift=PPM] [nodes=N]
//! profile NAME [mode=spc2]                          a named set, its inequalities and their slack
//! admit NAME [mode=spc2] round-trip=D lateness=D    may a node with these figures live by it?
//! ```

use goldenscript::{Argument, Command, Context};
use proptest::prelude::*;
use quorum_core::arbitration::Mode;
use quorum_core::times::{Demand, Measured, Profile, Times, Unsolvable, admit};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

struct Script;

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let arguments = Arguments::of(command)?;
        let mode = arguments.mode;
        let measured = Measured {
            round_trip: arguments.span("round-trip")?.unwrap_or_default(),
            lateness: arguments.span("lateness")?.unwrap_or_default(),
        };
        Ok(match command.name.as_str() {
            "solve" => match arguments.demand()?.solve() {
                Ok(times) => page(&times, mode),
                Err(why) => format!("refused: {why}"),
            },
            "profile" => page(&arguments.profile()?.times(mode), mode),
            "admit" => match admit(&arguments.profile()?.times(mode), mode, &measured) {
                Ok(()) => "admitted".into(),
                Err(why) => format!("refused: {why}"),
            },
            other => return Err(format!("unknown command {other}").into()),
        })
    }
}

struct Arguments<'a> {
    command: &'a Command,
    mode: Mode,
}

impl<'a> Arguments<'a> {
    fn of(command: &'a Command) -> Result<Self, String> {
        let mut arguments = Self {
            command,
            mode: Mode::Persistent,
        };
        if arguments.named("mode") == Some("spc2") {
            arguments.mode = Mode::Spc2;
        }
        Ok(arguments)
    }

    fn named(&self, wanted: &str) -> Option<&'a str> {
        self.command.args.iter().find_map(|argument| {
            if let Argument::KeyValue(name, value) = argument {
                (name == wanted).then_some(value.as_str())
            } else {
                None
            }
        })
    }

    fn number(&self, name: &str) -> Result<Option<u32>, String> {
        let number = self.named(name).map(str::parse).transpose();
        number.map_err(|_| format!("{name} is no number"))
    }

    fn span(&self, name: &str) -> Result<Option<Duration>, String> {
        let Some(text) = self.named(name) else {
            return Ok(None);
        };
        let digits = text.trim_end_matches(char::is_alphabetic);
        let number: u64 = digits.parse().map_err(|_| format!("what is {text}?"))?;
        Ok(Some(match &text[digits.len()..] {
            "us" => Duration::from_micros(number),
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            _ => return Err(format!("what is {text}?")),
        }))
    }

    fn profile(&self) -> Result<Profile, String> {
        let word = self.command.args.iter().find_map(|argument| {
            if let Argument::Positional(word) = argument {
                Some(word.as_str())
            } else {
                None
            }
        });
        word.and_then(Profile::from_name)
            .ok_or("which profile?".into())
    }

    fn demand(&self) -> Result<Demand, String> {
        let takeover = self.span("takeover")?.ok_or("which takeover?")?;
        let usual = Demand::for_takeover(self.mode, takeover);
        Ok(Demand {
            round_trip: self.span("round-trip")?.unwrap_or(usual.round_trip),
            lateness: self.span("lateness")?.unwrap_or(usual.lateness),
            reset_recovery: self.span("recovery")?.unwrap_or(usual.reset_recovery),
            stop_time: self.span("stop")?.unwrap_or(usual.stop_time),
            drift_ppm: self.number("drift")?.unwrap_or(usual.drift_ppm),
            nodes: self.number("nodes")?.unwrap_or(usual.nodes),
            ..usual
        })
    }
}

fn micros(span: Duration) -> String {
    format!("{}.{:03}", span.as_millis(), span.as_micros() % 1000)
}

fn page(times: &Times, mode: Mode) -> String {
    let mut page = String::new();
    let named = [
        ("d defend interval", times.defend_interval),
        ("c command bound", times.command_bound),
        ("w challenge wait", times.challenge_wait),
        ("s self-stop age", times.self_stop),
        ("g settle", times.settle),
        ("q stop time", times.stop_time),
        ("l round trip", times.round_trip),
        ("j lateness", times.lateness),
        ("R reset recovery", times.reset_recovery),
        ("turn", times.rechallenge_interval),
    ];
    for (name, span) in named {
        let _ = writeln!(page, "{name:<18} {:>10} ms", micros(span));
    }
    let _ = writeln!(
        page,
        "{:<18} {:>6}",
        "m removable keys", times.removable_keys
    );
    for inequality in times.check(mode) {
        let _ = writeln!(
            page,
            "{:<28} {:<42} {:>10} {} {:>10}  slack {} us",
            inequality.name,
            inequality.formula,
            micros(inequality.left),
            if inequality.holds() { "ok" } else { "NO" },
            micros(inequality.right),
            inequality.slack_us()
        );
    }
    page
}

fn run(path: &Path) {
    goldenscript::run(&mut Script, path).expect("the script runs as written");
}

test_each_file::test_each_path! { in "./quorum/core/testscripts/times" => run }

prop_compose! {
    fn demands()(
        spc2: bool,
        takeover in 1_u64..60_000,
        round_trip in 1_u64..50_000,
        lateness in 0_u64..200_000,
        recovery in 0_u64..500,
        stop in 0_u64..5_000,
        drift_ppm in 0_u32..100_000,
        nodes in 1_u32..40,
    ) -> Demand {
        Demand {
            mode: if spc2 { Mode::Spc2 } else { Mode::Persistent },
            takeover: Duration::from_millis(takeover),
            round_trip: Duration::from_micros(round_trip),
            lateness: Duration::from_micros(lateness),
            reset_recovery: Duration::from_millis(recovery),
            stop_time: Duration::from_millis(stop),
            drift_ppm,
            nodes,
        }
    }
}

/// The same demand with the figure that stands in the way at what would do, and a microsecond above it.
fn around(demand: Demand, why: &Unsolvable) -> Option<[Demand; 2]> {
    let us = Duration::from_micros(1);
    let (at_most, with): (Duration, &dyn Fn(Duration) -> Demand) = match why {
        Unsolvable::DiskTooSlow { at_most, .. } => (*at_most, &|round_trip| Demand {
            round_trip,
            ..demand
        }),
        Unsolvable::HostTooLate { at_most, .. } => {
            (*at_most, &|lateness| Demand { lateness, ..demand })
        }
        Unsolvable::StopTooSlow { at_most, .. } => (*at_most, &|stop_time| Demand {
            stop_time,
            ..demand
        }),
        Unsolvable::Contradiction(_) | Unsolvable::TooFast { .. } | Unsolvable::Broken(_) => {
            return None;
        }
    };
    Some([with(at_most), with(at_most + us)])
}

proptest! {
    #[test]
    fn whatever_is_solved_is_sound_within_the_target_and_as_slow_as_it_may_be(demand in demands()) {
        match demand.solve() {
            Ok(times) => {
                prop_assert!(times.is_sound(demand.mode), "{times:?}");
                let order = (demand.nodes - 1).min(15);
                prop_assert!(times.takeover_at_most(order) <= demand.takeover);
                let measured = Measured { round_trip: demand.round_trip, lateness: demand.lateness };
                prop_assert_eq!(admit(&times, demand.mode, &measured), Ok(()));
            }
            Err(why) => {
                prop_assert!(!matches!(why, Unsolvable::Broken(_)), "{why}");
                if let Some([enough, too_much]) = around(demand, &why) {
                    prop_assert!(enough.solve().is_ok(), "{why}, but {:?}", enough.solve());
                    prop_assert!(too_much.solve().is_err(), "{why}");
                }
            }
        }
    }

    #[test]
    fn what_is_admitted_lives_by_sound_times_and_what_is_not_does_not(
        round_trip in 0_u64..400_000, lateness in 0_u64..400_000, spc2: bool, which in 0_usize..3
    ) {
        let mode = if spc2 { Mode::Spc2 } else { Mode::Persistent };
        let times = Profile::ALL[which].times(mode);
        let measured = Measured {
            round_trip: Duration::from_micros(round_trip),
            lateness: Duration::from_micros(lateness),
        };
        let sound = times.on(&measured).is_sound(mode) && measured.round_trip <= times.command_bound;
        prop_assert_eq!(admit(&times, mode, &measured).is_ok(), sound);
    }
}
