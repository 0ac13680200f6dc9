//! Certificates, precertificates and chains, with OpenSSL as a second opinion.

mod authority;
mod chain;
mod leaf;
mod malformed;
mod openssl;
mod precert;
mod support;
