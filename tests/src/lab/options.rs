//! The lab's arguments.

use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

/// Printed for --help.
pub(crate) const USAGE: &str = "\
cargo lab [OPTIONS] [FILTER]...   play the cases whose group/name has one of the filters (default: the core set)

  --list        print the cases, one a line, and end
  --all         also the long cases, and repetitions
  --group G     only this group
  --jobs N      guests at a time (default: thrice the processors, at most 6); two of three only wait most of the time
  --json FILE   write the results there too
  --help        this";

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) list: bool,
    pub(crate) all: bool,
    pub(crate) group: Option<String>,
    pub(crate) jobs: Option<usize>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) filters: Vec<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} wants a value"))
            };
            match argument.as_str() {
                "--help" | "-h" => options.help = true,
                "--list" => options.list = true,
                "--all" => options.all = true,
                "--group" => options.group = Some(value()?),
                "--jobs" => options.jobs = Some(value()?.parse().context("--jobs wants a number")?),
                "--json" => options.json = Some(value()?.into()),
                other if other.starts_with('-') => bail!("{other} is no option\n{USAGE}"),
                _ => options.filters.push(argument),
            }
        }
        Ok(options)
    }

    /// Was it asked for by its name, so that it is played although it is not in the core set?
    pub(crate) fn names(&self, group: &str, full_name: &str) -> bool {
        self.group.as_deref() == Some(group)
            || self.filters.iter().any(|filter| full_name.contains(filter))
    }

    /// Is a case asked for at all?
    pub(crate) fn selects(&self, group: &str, full_name: &str) -> bool {
        self.group.as_deref().is_none_or(|wanted| wanted == group)
            && (self.filters.is_empty()
                || self.filters.iter().any(|filter| full_name.contains(filter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn a_group_and_a_filter_both_narrow() {
        let options = parse(&["--group", "lio", "clear"]).unwrap();
        assert!(options.selects("lio", "lio/clear_removes_all"));
        assert!(!options.selects("lio", "lio/reserve"));
        assert!(!options.selects("nvme", "nvme/clear"));
    }

    #[test]
    fn an_unknown_option_shows_the_usage() {
        let error = parse(&["--fast"]).unwrap_err().to_string();
        assert!(error.contains("--fast") && error.contains("cargo lab"));
        assert!(parse(&["--json"]).is_err());
    }
}
