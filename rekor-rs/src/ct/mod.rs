//! Certificate transparency (RFC 6962) over the log engine.
//!
//! A certificate authority submits each precertificate before it issues the certificate. The log
//! checks that the chain leads to one of its roots, gives the entry its place, and only when that
//! is durable signs the timestamp (SCT) that the certificate will carry.
//!
//! ```text
//! POST <origin>/ct/v1/add-pre-chain, add-chain
//! GET  <origin>/ct/v1/get-sth, get-sth-consistency, get-proof-by-hash, get-entries,
//!                     get-entry-and-proof, get-roots
//! ```
//!
//! Clients in the field verify nothing but P-256 with SHA-256, so another key is refused.

mod api;
mod chain;
mod error;
mod format;
mod input;
mod log;
mod logged;

pub use api::router;
pub use chain::{Policy, RejectedChain, Submission};
pub use error::Error;
pub use format::Rfc6962;
pub(crate) use format::{extra_data, put_u24};
pub(crate) use input::Input;
pub use log::{CtConfig, CtLog, Kind, OpenError};
pub(crate) use logged::{Logged, TimestampedEntry};
