//! A CT log over real connections, on every store.

mod ca;
mod engine;
mod place;
mod read;
mod server;
mod submit;
