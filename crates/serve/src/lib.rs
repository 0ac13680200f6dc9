//! What every HTTP service shares: limits, TLS, request ids, tracing, metrics, health, shutdown.

pub mod health;
pub mod metrics;
mod server;

pub use health::{Health, Probe};
pub use server::{Limits, ServeError, Tls, listen, serve};
