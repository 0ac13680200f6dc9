//! Sigkeep: a private Sigstore in one binary.
//!
//! * [`up`]: everything in one process, for development and tests;
//! * [`oidc`]: the development identity provider that `up` runs;
//! * [`token`]: identity tokens for scripts;
//! * [`key`]: making keys;
//! * [`store`]: the database that a URL names;
//! * [`cli`]: the command line, with every service and tool as a subcommand.

pub mod cli;
pub mod key;
pub mod oidc;
pub mod store;
pub mod token;
pub mod up;
