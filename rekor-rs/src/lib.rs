//! A transparency log that speaks Rekor v1, and certificate transparency beside it.
//!
//! ```text
//! api        HTTP: parse, call, print
//! entry      kinds of entries: verify, canonical body, search terms
//! shard      one tree of the log: append, prove, promise
//! shards     all of them in their order, and following a rotation
//! rotation   freezing one shard for the next
//! policy     who may write: clients, signers, quotas
//! format     what a shard's leaves and checkpoints look like
//! search     finding entries by signer, subject and digest
//! fsck       whether what is stored is what was signed
//! archive    a log in a directory of tiles
//! import     a log that was kept elsewhere
//! ```

mod api;
pub mod archive;
pub mod cli;
mod coalesce;
mod config;
pub mod ct;
pub mod entry;
mod error;
mod files;
mod format;
pub mod fsck;
pub mod import;
mod pem;
mod policy;
mod progress;
mod promise;
mod rotation;
pub mod search;
mod service;
mod shard;
mod shards;

pub use config::{Config, ConfigError, Endpoint, Kind, Limits, LogConfig, ServerConfig};
pub use error::Error;
pub use policy::{ClientsConfig, PolicyConfig, QuotaConfig, SignersConfig, TokenConfig};
pub use rotation::{Rotated, Rotation};
pub use service::Service;
