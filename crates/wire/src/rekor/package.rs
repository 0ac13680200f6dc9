//! What proposals of signed packages have in common.

use serde::{Deserialize, Serialize};

use super::{Base64, ProposedDigest};

/// The `spec` of a signed package as submitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed<'a> {
    /// Who signed.
    pub public_key: Option<ProposedKey>,
    /// The package.
    #[serde(borrow)]
    pub package: Option<ProposedPackage<'a>>,
}

/// `spec.publicKey`.
#[derive(Debug, Deserialize)]
pub struct ProposedKey {
    /// The key, in the format of the package's signature.
    pub content: Option<Base64>,
}

/// `spec.package`.
#[derive(Debug, Deserialize)]
pub struct ProposedPackage<'a> {
    /// The file.
    pub content: Option<Base64>,
    /// Its SHA-256 digest.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
}

/// `spec.publicKey` of a body.
#[derive(Serialize)]
pub(super) struct Key {
    pub(super) content: String,
}
