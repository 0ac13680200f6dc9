//! The service over real HTTP, with an identity provider and a transparency log of its own.

mod audit;
mod certificates;
mod client;
mod ct;
mod fixtures;
mod identities;
mod keys;
mod log;
mod proofs;
mod provider;
mod requests;
mod stack;
mod startup;
mod tokens;
