//! A certificate authority that Sigstore's clients take for Fulcio: it exchanges identity tokens
//! (OpenID Connect) for ten-minute code-signing certificates.
//!
//! A request goes through [`identity`] (whose token is this, what does it say), [`challenge`] (does
//! the client have the key) and [`issuance`] (precertificate, transparency log, certificate);
//! `certify` strings them together and writes the audit log; `api` is HTTP.

mod api;
mod audit;
mod certify;
pub mod challenge;
pub mod cli;
pub mod config;
mod error;
pub mod identity;
pub mod inventory;
pub mod issuance;
pub mod policy;
mod readiness;
mod service;
mod step;

pub use config::{Config, GrpcConfig, Issuers};
pub use error::{Code, Error, RequestError};
pub use service::Service;

/// Limits to serve [`Service::router`] with. The router has its own limit on bodies, which answers
/// in Fulcio's form.
#[must_use]
pub fn limits() -> serve::Limits {
    serve::Limits {
        body: api::MAX_BODY,
        ..serve::Limits::default()
    }
}
