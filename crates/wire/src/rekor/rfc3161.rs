//! `rfc3161` 0.0.1: a timestamp response.

use serde::{Deserialize, Serialize};

use super::{Base64, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "rfc3161";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed {
    /// The response.
    pub tsr: Option<Response>,
}

/// `spec.tsr`.
#[derive(Debug, Deserialize)]
pub struct Response {
    /// DER of a `TimeStampResp` (RFC 3161 section 2.4.2).
    pub content: Option<Base64>,
}

#[derive(Serialize)]
struct Spec {
    tsr: Content,
}

#[derive(Serialize)]
struct Content {
    content: String,
}

/// Prints the canonical body.
#[must_use]
pub fn body(response: &[u8]) -> Vec<u8> {
    let content = encode_base64(response);
    canonical(
        KIND,
        VERSION,
        Spec {
            tsr: Content { content },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_kept_as_it_is() {
        assert_eq!(
            body(b"hi"),
            br#"{"apiVersion":"0.0.1","kind":"rfc3161","spec":{"tsr":{"content":"aGk="}}}"#
        );
    }
}
