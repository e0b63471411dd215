//! The scripts under `testscripts/arbitration`: each is one behaviour, by its name.
//!
//! A script begins with `machine …` (one machine, its answers given by hand: see [`crate::alone`]) or with
//! `world …` (several machines and a disk on a virtual clock: see [`quorum_sim::script`]).

use crate::alone::Alone;
use goldenscript::{Command, Context};
use quorum_core::arbitration::Guards;
use quorum_sim::script::Together;
use std::error::Error;
use std::path::Path;

pub(crate) struct Script {
    guards: Guards,
    stage: Option<Stage>,
}

enum Stage {
    Alone(Alone),
    Together(Box<Together>),
}

impl Script {
    pub(crate) fn with(guards: Guards) -> Self {
        Self {
            guards,
            stage: None,
        }
    }
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        if command.name == "machine" {
            let (alone, text) = Alone::begin(command, self.guards)?;
            self.stage = Some(Stage::Alone(alone));
            return Ok(text);
        }
        if command.name == "world" {
            let together = Together::begin(command, self.guards)?;
            self.stage = Some(Stage::Together(Box::new(together)));
            return Ok(String::new());
        }
        match &mut self.stage {
            Some(Stage::Alone(alone)) => Ok(alone.run(command)?),
            Some(Stage::Together(together)) => Ok(together.run(command)?),
            None => Err("begin with machine or world".into()),
        }
    }
}

fn run(path: &Path) {
    goldenscript::run(&mut Script::with(Guards::ALL_ON), path).expect("the script runs as written");
}

test_each_file::test_each_path! { in "./quorum/core/testscripts/arbitration" => run }
