//! `helm` 0.0.1: the provenance of a Helm chart, of which the log keeps the chart's hash and the
//! signature.

use serde::{Deserialize, Serialize};

use super::package::{Key, ProposedKey};
use super::{Base64, Digest, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "helm";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed {
    /// Who signed.
    pub public_key: Option<ProposedKey>,
    /// The chart.
    pub chart: Option<ProposedChart>,
}

/// `spec.chart`.
#[derive(Debug, Deserialize)]
pub struct ProposedChart {
    /// What speaks for it.
    pub provenance: Option<ProposedProvenance>,
}

/// `spec.chart.provenance`.
#[derive(Debug, Deserialize)]
pub struct ProposedProvenance {
    /// The `.prov` file.
    pub content: Option<Base64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    chart: Chart<'a>,
    public_key: Key,
}

#[derive(Serialize)]
struct Chart<'a> {
    hash: Digest<'a>,
    provenance: Provenance,
}

#[derive(Serialize)]
struct Provenance {
    signature: Signature,
}

#[derive(Serialize)]
struct Signature {
    content: String,
}

/// Prints the canonical body; `signature` and `public_key` are canonical armour.
#[must_use]
pub fn body(hash: Digest<'_>, signature: &[u8], public_key: &[u8]) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            chart: Chart {
                hash,
                provenance: Provenance {
                    signature: Signature {
                        content: encode_base64(signature),
                    },
                },
            },
            public_key: Key {
                content: encode_base64(public_key),
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical() {
        let digest = Digest {
            algorithm: "sha256",
            value: "x",
        };
        let body = body(digest, b"s", b"k");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert_eq!(
            value["spec"]["chart"]["provenance"]["signature"]["content"],
            "cw=="
        );
    }
}
