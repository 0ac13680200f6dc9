//! The service over real HTTP, with an identity provider and a transparency log of its own.

// The futures of whole requests are deep types.
#![recursion_limit = "256"]
// Helpers of tests fail as tests do.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod attacks;
mod audit;
mod certificates;
mod client;
mod ct;
mod explain;
mod fixtures;
mod grpc;
mod identities;
mod inventory;
mod keys;
mod log;
mod policy;
mod private;
mod proofs;
mod provider;
mod readiness;
mod requests;
mod signer;
mod stack;
mod startup;
mod succession;
mod tokens;
