//! Timestamp authority: RFC 3161 over HTTP, for Sigstore clients and for anybody else.
//!
//! | | |
//! |---|---|
//! | `POST /api/v1/timestamp` | DER `TimeStampReq` (`application/timestamp-query`) or its JSON form; answers a DER `TimeStampResp` |
//! | `GET /api/v1/timestamp/certchain` | the certificates, PEM, leaf first |
//! | `GET /ping`, `/healthz`, `/readyz` | liveness and readiness |
//!
//! The certificates have to be valid for timestamping in the eyes of every client, and the clock has
//! to be right: both are checked at start and, as far as they change, before every timestamp.

mod api;
mod authority;
pub mod cli;
pub mod config;
mod error;
mod service;
mod synchrony;

pub use config::{Config, ConfigError};
pub use service::{OpenError, Service};
