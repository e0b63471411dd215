//! A bar for whoever watches: on stderr, only when it is a terminal, and never beside JSON.

use crate::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts bytes; it is gone when it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar of this length, if anybody watches.
    pub(super) fn new(context: &Context, what: &'static str, bytes: u64) -> Self {
        let target = if context.output.is_json() {
            ProgressDrawTarget::hidden()
        } else {
            // Which stays hidden, too, where stderr is no terminal.
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template(
            "{msg:10} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(what);
        Self(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// So many bytes of this many.
    pub(super) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
