//! The sequencer over real stores.

mod append;
mod crash;
mod faults;
mod faulty;
mod replicas;
mod rollback;
mod support;
