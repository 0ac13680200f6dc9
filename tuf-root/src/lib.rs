//! The TUF repository that hands a private Sigstore's trust root to its clients.
//!
//! Writing TUF metadata is easy; writing what seven client libraries all accept, for years, is
//! not. So the model ([`metadata`]) cannot express what some client refuses, the linter
//! ([`profile`]) checks what types cannot, a strict client ([`client`]) walks every tree before it
//! is published, and a crash at any moment leaves clients with the old state or the new one
//! ([`repository`]).

pub mod airgap;
#[cfg(feature = "s3")]
pub mod bucket;
pub mod canonical;
pub mod ceremony;
pub mod cli;
pub mod client;
pub mod collect;
pub mod export;
pub mod metadata;
pub mod policy;
pub mod preflight;
pub mod profile;
pub mod refresh;
pub mod repository;
pub mod server;
pub mod services;
pub mod trust;

pub use repository::{Outcome, Repository, RepositoryError, Status, TargetFile, bootstrap};
pub use trust::target_files;
