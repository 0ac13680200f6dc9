//! The development issuer over HTTP, and `sigkeep up` as a process.

mod issuer;
mod process;
