//! Keys in the transit engine of HashiCorp Vault and OpenBao.
//!
//! ```text
//! POST /v1/transit/sign/ca/sha2-256
//! {"input":"<base64 digest>","prehashed":true,"marshaling_algorithm":"asn1","key_version":2}
//! {"data":{"signature":"vault:v2:<base64 DER>"}}
//! ```

mod uri;

#[cfg(feature = "vault")]
mod client;
#[cfg(feature = "vault")]
mod environment;
#[cfg(feature = "vault")]
pub(crate) mod kek;
#[cfg(feature = "vault")]
mod signer;

pub use uri::{TransitServer, TransitUri};

#[cfg(feature = "vault")]
pub use client::TransitError;
#[cfg(feature = "vault")]
pub use signer::TransitSigner;
