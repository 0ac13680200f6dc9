//! A CT log over real connections, on every store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ca;
mod copies;
mod engine;
mod place;
mod read;
mod server;
mod submit;
