//! Certificates, precertificates and chains, with OpenSSL as a second opinion.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod authority;
mod chain;
mod leaf;
mod malformed;
mod openssl;
mod precert;
mod rfc3161;
mod support;
