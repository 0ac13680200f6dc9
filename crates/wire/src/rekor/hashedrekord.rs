//! `hashedrekord` 0.0.1: a signature over a digest.

use serde::{Deserialize, Serialize};

use super::{Base64, Digest, ProposedDigest, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "hashedrekord";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed<'a> {
    /// The signature and who made it.
    pub signature: Option<ProposedSignature>,
    /// What was signed.
    #[serde(borrow)]
    pub data: Option<ProposedData<'a>>,
}

/// `spec.signature`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedSignature {
    /// The signature.
    pub content: Option<Base64>,
    /// Who made it.
    pub public_key: Option<ProposedKey>,
}

/// `spec.signature.publicKey`.
#[derive(Debug, Deserialize)]
pub struct ProposedKey {
    /// A PEM public key, certificate or chain.
    pub content: Option<Base64>,
}

/// `spec.data`.
#[derive(Debug, Deserialize)]
pub struct ProposedData<'a> {
    /// The artifact's digest.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
}

#[derive(Serialize)]
struct Spec<'a> {
    data: Data<'a>,
    signature: Signature,
}

#[derive(Serialize)]
struct Data<'a> {
    hash: Digest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Key,
}

#[derive(Serialize)]
struct Key {
    content: String,
}

/// Prints the canonical body. `public_key` is the canonical PEM.
#[must_use]
pub fn body(hash: Digest<'_>, signature: &[u8], public_key: &str) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            data: Data { hash },
            signature: Signature {
                content: encode_base64(signature),
                public_key: Key {
                    content: encode_base64(public_key.as_bytes()),
                },
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
        6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
        -----END PUBLIC KEY-----\n";
    const SIGNATURE: &str = "MEYCIQDXj0vuWTRJPrVfnDtC0QBgi4cmgf9nO5ir7Ro6F4rS8wIhANyctCb34GOUtRUK5Dpu0WCN0671iLa+bexkoLXAcHuI";

    #[test]
    fn body_and_uuid_are_those_of_a_live_rekor() {
        let value = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let signature = super::super::decode_base64(SIGNATURE).unwrap();
        let body = body(
            Digest {
                algorithm: "sha256",
                value,
            },
            &signature,
            PEM,
        );
        let expected = format!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"{value}"}}}},"signature":{{"content":"{SIGNATURE}","publicKey":{{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFYXhmUjh1RXNRa2Y0dk9ibFk2UkE4bmNEZllFdAo2ek9nOUtFNVJkaVl3cFpQNDBMaS9ocC9tNDduNjBwOEQ1NFdLODR6VjJzeFhzN0x0a0JvTjc5UjlRPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}}}}}}}}"#
        );
        assert_eq!(String::from_utf8(body.clone()).unwrap(), expected);
        let mut leaf = vec![0];
        leaf.extend_from_slice(&body);
        assert_eq!(
            hex::encode(crypto::sha256(&leaf)),
            "15cae233fa9e7cf66feaa8f08baa90bcbccccedbeb8b0b0e19fd24dc77da7451"
        );
        assert_eq!(
            hex::encode(crypto::sha256(PEM.as_bytes())),
            "0bcc8908c3cc5f2c08c1e1963e1b674e76aa2dfb7cd91c437b4081b25b7f9e03"
        );
    }

    #[test]
    fn every_optional_member_may_be_absent_or_null() {
        for text in [
            "{}",
            r#"{"signature":null,"data":{"hash":null}}"#,
            r#"{"signature":{"publicKey":{}},"x":[1]}"#,
        ] {
            assert!(serde_json::from_str::<Proposed<'_>>(text).is_ok(), "{text}");
        }
    }
}
