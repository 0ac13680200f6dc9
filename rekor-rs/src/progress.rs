//! Progress, for people who watch.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; silent when that is not a terminal.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `total` items, of which `done` are done.
    pub(crate) fn new(what: String, total: u64, done: u64) -> Self {
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {human_pos}/{human_len} {per_sec}, {eta} left",
        );
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_position(done);
        bar.reset_eta();
        Self(bar)
    }

    /// A counter of rows whose total is not known.
    pub(crate) fn counter(what: String) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {human_pos} {per_sec}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// How many items are done.
    pub(crate) fn rows(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
