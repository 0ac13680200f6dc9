//! Sigkeep: a private Sigstore in one binary.

pub mod oidc;
