//! The sequencer over real stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ahead;
mod append;
mod crash;
mod faults;
mod faulty;
mod promises;
mod reads;
mod renewal;
mod replicas;
mod rollback;
mod support;
