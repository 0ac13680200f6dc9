//! Behaviour of `crypto` as its callers see it.

mod parsing;
mod signers;
mod strength;
mod verification;
