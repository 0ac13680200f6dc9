//! Sigkeep: a private Sigstore in one binary.
//!
//! * [`up`]: everything in one process, for development and tests;
//! * [`oidc`]: the development identity provider that `up` runs;
//! * [`token`]: identity tokens for scripts;
//! * [`cli`]: the command line, with every service and tool as a subcommand.

pub mod cli;
pub mod oidc;
pub mod token;
pub mod up;
