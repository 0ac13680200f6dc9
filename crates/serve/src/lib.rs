//! What every HTTP service shares: TLS, limits, request ids, tracing, metrics, health, shutdown.
//!
//! A service builds an [`axum::Router`] that knows nothing of this crate and hands it to
//! [`serve()`], which puts around every request, in this order from the outside:
//!
//! 1. a request id (`x-request-id`, taken over from the client if it is harmless) and a tracing span;
//! 2. metrics, labelled by matched route, never by path;
//! 3. the cap on requests at work (503 before any work), the time limit (503) and the containment
//!    of panics (500);
//! 4. the body limit, as axum's `DefaultBodyLimit`.
//!
//! # Services keep their own errors
//!
//! Only the answers of item 3 are made here, as `{"code":…,"message":…}`. Everything else is the
//! router's: its 404 and 405, and also the 413. The body limit acts where the router reads the body
//! with an extractor (`Bytes`, `String`, `Json`, `Form`), and comes to the service as that
//! extractor's rejection, which the service may print in its own form. A layer
//! `axum::extract::DefaultBodyLimit::max(…)` inside the router overrides [`Limits::body`] for its
//! routes. A handler that reads the raw `Body` has to limit it itself.

pub mod check;
mod connection;
mod delivery;
mod descriptors;
pub mod health;
pub mod logging;
mod memory;
pub mod metrics;
mod request;
mod server;
mod signal;
mod tls;

pub use check::CheckConfig;
pub use health::{Health, Held, Probe};
pub use memory::keep_memory_private;
pub use request::RequestId;
pub use server::{Limits, ServeError, listen, serve};
pub use signal::stop_on_signals;
pub use tls::{ClientAuth, ClientCertificate, Tls};
