//! Ed25519ph (RFC 8032 section 5.1) over a digest that was computed elsewhere.

use ed25519_dalek::VerifyingKey;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U64};

use crate::VerifyError;

/// Verifies with an empty context; `digest` must be SHA-512's.
pub(crate) fn verify(
    key: &VerifyingKey,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let digest = Precomputed(digest.try_into().map_err(|_| VerifyError::Unsupported)?);
    let signature =
        ed25519_dalek::Signature::from_slice(signature).map_err(|_| VerifyError::Invalid)?;
    key.verify_prehashed(digest, None, &signature)
        .map_err(|_| VerifyError::Invalid)
}

/// A "hash function" that has already seen the message.
#[derive(Clone)]
struct Precomputed([u8; 64]);

impl Default for Precomputed {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl HashMarker for Precomputed {}

impl OutputSizeUser for Precomputed {
    type OutputSize = U64;
}

impl Update for Precomputed {
    /// Not called: verification only asks for the output.
    fn update(&mut self, _data: &[u8]) {}
}

impl FixedOutput for Precomputed {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0);
    }
}
