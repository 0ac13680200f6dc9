//! The `spec` of a `hashedrekord`: a key or certificates in PEM, a signature, a digest.

use crate::entries;

/// Takes the JSON as it is.
pub fn run(data: &[u8]) {
    if let Ok(spec) = std::str::from_utf8(data) {
        entries::look_at_text("hashedrekord", "0.0.1", spec);
    }
}
