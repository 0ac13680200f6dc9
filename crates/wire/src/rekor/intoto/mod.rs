//! `intoto`: an in-toto attestation, of which the log keeps the signature and hashes.

pub mod v0_0_1;
pub mod v0_0_2;

/// The kind's name.
pub const KIND: &str = "intoto";
