//! The sequencer over real stores.

mod append;
mod support;
