//! `cargo run -p benches --release --bin log-peers -- --dir DIR`: our log beside other engines, in one run.
//!
//! One interleaved run with payloads that do not compress, on the file system that `--dir` is on. Every row is
//! measured in rounds; in each round every engine has its turn, in an order that is shuffled anew from the seed, so
//! that a busy neighbour hits all alike. What is printed is the median of the rounds, the lowest and the highest, and
//! the ratio to the raw write and to ours. `--json FILE` writes every sample.
//!
//! On a busy machine a process that has waited for the disk waits for a processor next, for a whole tick of the
//! scheduler, and every row shows that tick (4 ms) instead of the engines. Then run what was built under `chrt -f 1`
//! (`chrt -f 1 target/release/log-peers …`); the report names the scheduling that it ran with.
//! The thread of the file system's journal has no precedence then, so engines whose files grow (raft-engine, fjall,
//! SQLite, redb) may still show the tick, and look worse than they are.
//!
//! The engines are compiled only with the feature `peers`. Without it this program is a few lines that start `cargo`
//! again with the feature, so that the command is the same for everybody and `cargo test --workspace` builds no peer.

#[cfg(feature = "peers")]
mod arguments;
#[cfg(feature = "peers")]
mod child;
#[cfg(feature = "peers")]
mod cold;
#[cfg(feature = "peers")]
mod engine;
#[cfg(feature = "peers")]
mod engines;
#[cfg(feature = "peers")]
mod goals;
#[cfg(feature = "peers")]
mod machine;
#[cfg(feature = "peers")]
mod payload;
#[cfg(feature = "peers")]
mod report;
#[cfg(feature = "peers")]
mod rounds;
#[cfg(feature = "peers")]
mod rows;
#[cfg(feature = "peers")]
mod system_calls;

#[cfg(feature = "peers")]
fn main() -> anyhow::Result<()> {
    arguments::run()
}

#[cfg(not(feature = "peers"))]
fn main() -> std::process::ExitCode {
    use std::{env, os::unix::process::CommandExt, process::Command};

    // `exec` returns only when it failed.
    let error = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "run",
            "--quiet",
            "--package",
            "benches",
            "--release",
            "--features",
            "peers",
        ])
        .args(["--bin", "log-peers", "--"])
        .args(env::args_os().skip(1))
        .exec();
    #[expect(clippy::print_stderr, reason = "a message for who started it")]
    {
        eprintln!("log-peers: cannot start cargo with the feature `peers`: {error}");
    }
    std::process::ExitCode::FAILURE
}
