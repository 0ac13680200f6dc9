//! A CT log over real connections.

mod ca;
mod engine;
mod read;
mod server;
mod submit;
