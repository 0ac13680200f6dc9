//! Every kind, given documents that cost more than they weigh to whoever unpacks, follows or
//! collects them without a bound.

use super::*;
use crate::on_every_store;
use crate::stack::{b64, refusal, unique_hashedrekord};

/// The shape of each kind's `spec`, with `BYTES` where base64 goes and `LIST` for members of arrays.
const SPECS: &[(&str, &str, &str)] = &[
    (
        "alpine",
        "0.0.1",
        r#"{"package":{"content":"BYTES"},"publicKey":{"content":"BYTES"}}"#,
    ),
    (
        "cose",
        "0.0.1",
        r#"{"message":"BYTES","publicKey":"BYTES","data":{"aad":"BYTES"}}"#,
    ),
    (
        "dsse",
        "0.0.1",
        r#"{"proposedContent":{"envelope":"{\"payloadType\":\"x\",\"payload\":\"BYTES\",\"signatures\":[{\"sig\":\"BYTES\"}]}","verifiers":["BYTES"LIST]}}"#,
    ),
    (
        "dsse",
        "0.0.1",
        r#"{"signatures":[{"signature":"BYTES","verifier":"BYTES"}LIST],"envelopeHash":{},"payloadHash":{}}"#,
    ),
    (
        "hashedrekord",
        "0.0.1",
        r#"{"data":{"hash":{"algorithm":"sha256","value":"BYTES"}},"signature":{"content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    (
        "intoto",
        "0.0.1",
        r#"{"content":{"envelope":"{\"payloadType\":\"x\",\"payload\":\"BYTES\",\"signatures\":[{\"sig\":\"BYTES\"}]}"},"publicKey":"BYTES"}"#,
    ),
    (
        "intoto",
        "0.0.2",
        r#"{"content":{"envelope":{"payloadType":"x","payload":"BYTES","signatures":[{"sig":"BYTES","publicKey":"BYTES"}LIST]}}}"#,
    ),
    (
        "jar",
        "0.0.1",
        r#"{"archive":{"content":"BYTES"},"signature":{"content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    (
        "rekord",
        "0.0.1",
        r#"{"data":{"content":"BYTES"},"signature":{"format":"x509","content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    (
        "rekord",
        "0.0.1",
        r#"{"data":{"content":"BYTES"},"signature":{"format":"ssh","content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    (
        "rekord",
        "0.0.1",
        r#"{"data":{"content":"BYTES"},"signature":{"format":"minisign","content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    (
        "rekord",
        "0.0.1",
        r#"{"data":{"content":"BYTES"},"signature":{"format":"pgp","content":"BYTES","publicKey":{"content":"BYTES"}}}"#,
    ),
    ("rfc3161", "0.0.1", r#"{"tsr":{"content":"BYTES"}}"#),
    (
        "tuf",
        "0.0.1",
        r#"{"metadata":{"content":"BYTES"},"root":{"content":"BYTES"}}"#,
    ),
    #[cfg(feature = "openpgp")]
    (
        "helm",
        "0.0.1",
        r#"{"publicKey":{"content":"BYTES"},"chart":{"provenance":{"content":"BYTES"}}}"#,
    ),
    #[cfg(feature = "openpgp")]
    (
        "rpm",
        "0.0.1",
        r#"{"package":{"content":"BYTES"},"publicKey":{"content":"BYTES"}}"#,
    ),
];

/// What goes where bytes go: streams that unpack, documents that nest, lists without an end.
fn loads() -> Vec<Vec<u8>> {
    const SIZE: usize = 256 << 10;
    let gzip = [&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &bomb()].concat();
    let repeated = |part: &str| part.repeat(SIZE / part.len()).into_bytes();
    let json = [repeated("["), repeated("]")].concat();
    // Sequences of indefinite length (DER has none, BER has) and of one that contains the rest.
    let ber = [0x30, 0x80].repeat(SIZE / 2);
    let der: Vec<u8> = (1..SIZE as u32 / 6)
        .rev()
        .flat_map(|left| [&[0x30, 0x84][..], &((left - 1) * 6).to_be_bytes()].concat())
        .collect();
    let cbor = vec![0x81; SIZE];
    let pem = repeated("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    let members = [&b"{"[..], &repeated("\"a\":{},"), b"\"b\":1}"].concat();
    vec![gzip, json, ber, der, cbor, pem, members]
}

fn proposal(kind: &str, version: &str, spec: &str) -> String {
    format!(r#"{{"kind":"{kind}","apiVersion":"{version}","spec":{spec}}}"#)
}

async fn refused_somehow(stack: &Stack, proposal: String, what: &str) {
    let response = stack.post_text("/api/v1/log/entries", proposal).await;
    let status = response.status().as_u16();
    assert!(matches!(status, 400 | 422), "{what}: {status}");
    let (_, message) = refusal(response, status).await;
    assert!(message.len() < 4096, "{what}: {} bytes", message.len());
}

on_every_store! {
    async fn no_kind_unpacks_follows_or_collects_without_a_bound(stack) {
        in_flat_memory(async {
            for (number, load) in loads().iter().map(b64).enumerate() {
                for (kind, version, spec) in SPECS {
                    // As often as there is room for it in the longest body.
                    let times = ((30 << 20) / load.len()).min(3);
                    let spec = spec.replace("LIST", "").replacen("BYTES", &load, times).replace("BYTES", "eA==");
                    refused_somehow(stack, proposal(kind, version, &spec), &format!("{kind} load {number}")).await;
                }
            }
        })
        .await;
        stack.create(&unique_hashedrekord()).await;
    }

    async fn no_kind_follows_a_document_down_or_tries_a_list_to_its_end(stack) {
        const MANY: usize = 1 << 20;
        in_flat_memory(async {
            for (kind, version, spec) in SPECS {
                let deep = format!("{}{}", "[".repeat(MANY), "]".repeat(MANY));
                refused_somehow(stack, proposal(kind, version, &deep), &format!("{kind} deep")).await;
                let deep = format!("{}1{}", r#"{"data":"#.repeat(MANY), "}".repeat(MANY));
                refused_somehow(stack, proposal(kind, version, &deep), &format!("{kind} deep object")).await;
                for member in ["{}", "\"eA==\""] {
                    let list = format!(",{member}").repeat(MANY);
                    let spec = spec.replace("LIST", &list).replace("BYTES", "eA==");
                    refused_somehow(stack, proposal(kind, version, &spec), &format!("{kind} long")).await;
                }
            }
        })
        .await;
        stack.create(&unique_hashedrekord()).await;
    }
}
