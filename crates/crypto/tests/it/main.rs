//! Behaviour of `crypto` as its callers see it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod parsing;
mod signers;
mod strength;
mod verification;
