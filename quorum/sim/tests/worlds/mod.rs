//! The scripts of this package: worlds that are told step by step, with every checker after every step.

use goldenscript::{Command, Context, Runner};
use quorum_core::arbitration::Guards;
use quorum_sim::script::Together;
use std::error::Error;
use std::path::Path;

struct Told {
    guards: Guards,
    world: Option<Together>,
}

impl Runner for Told {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        if command.name == "world" {
            self.world = Some(Together::begin(command, self.guards)?);
            return Ok(String::new());
        }
        let world = self.world.as_mut().ok_or("begin with world")?;
        Ok(world.run(command)?)
    }
}

/// The text of a script.
pub(crate) fn text(folder: &str, script: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testscripts")
        .join(folder)
        .join(script);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What comes out of a script with these guards: its text, or why it failed.
pub(crate) fn outcome(guards: Guards, text: &str) -> Result<String, String> {
    let mut told = Told {
        guards,
        world: None,
    };
    goldenscript::generate(&mut told, text).map_err(|error| error.to_string())
}
