//! The Rekor v1 API over real HTTP, on every store.

// Helpers of tests fail as tests do.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod keys;
mod stack;

mod copies;
mod damage;
mod dsse;
mod fsck;
mod hashedrekord;
mod http_conventions;
mod intoto;
mod kinds;
mod listing;
mod log;
mod metrics;
mod policy;
mod readers;
mod reads;
mod rotation;
mod search;
mod shards;
