//! What a stored body says, for listings and for the search index.
//!
//! Bodies of all kinds write digests as `{"algorithm":…,"value":…}`, and keys under the names
//! `publicKey` and `verifier`, so one reading does for all of them. Nothing is verified: that was done
//! before the body became a leaf.

use serde_json::{Map, Value};

use super::Verifier;
use crate::search;

/// A body that was read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The kind.
    pub kind: String,
    /// Version of the kind's schema.
    pub version: String,
    /// Digests, as `algorithm:digits`.
    pub hashes: Vec<String>,
    /// Who signed.
    pub signers: Vec<Signer>,
}

/// Whose signature a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// SHA-256 of the key in canonical form, hexadecimal.
    pub key: String,
    /// Names in the certificate.
    pub identities: Vec<String>,
    /// The OIDC issuer in the certificate.
    pub issuer: Option<String>,
}

impl Stored {
    /// Reads a body, and of its digests and signers at most `most` each.
    #[must_use]
    pub fn parse(body: &[u8], most: usize) -> Option<Self> {
        let Value::Object(body) = serde_json::from_slice(body).ok()? else {
            return None;
        };
        let mut stored = Self {
            kind: text(&body, "kind")?.to_owned(),
            version: text(&body, "apiVersion")?.to_owned(),
            ..Self::default()
        };
        stored.collect(body.get("spec")?, most);
        Some(stored)
    }

    /// Keys of the digests, the signers and their names.
    pub(crate) fn keys(&self) -> impl Iterator<Item = logstore::SearchKey> {
        let hashes = self.hashes.iter().map(String::as_str);
        let signers = self.signers.iter().flat_map(|signer| {
            let names = signer.identities.iter().map(String::as_str);
            std::iter::once(signer.key.as_str()).chain(names)
        });
        hashes.chain(signers).map(search::key)
    }

    /// Keys that entries from before their time do not have.
    #[must_use]
    pub fn late_keys(&self) -> Vec<logstore::SearchKey> {
        let issuers = self
            .signers
            .iter()
            .filter_map(|signer| signer.issuer.as_deref());
        let mut keys: Vec<_> = issuers.map(search::issuer_key).collect();
        keys.extend(search::kind_key(&self.kind));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Depth is bounded by the parser of the JSON.
    fn collect(&mut self, value: &Value, most: usize) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, most)),
            Value::Object(members) => {
                if let Some(hash) = digest(members).filter(|_| self.hashes.len() < most) {
                    self.hashes.push(hash);
                }
                for (name, member) in members {
                    let signer = match name.as_str() {
                        "publicKey" | "verifier" if self.signers.len() < most => signer(member),
                        _ => None,
                    };
                    match signer {
                        Some(signer) => self.signers.push(signer),
                        None => self.collect(member, most),
                    }
                }
            }
            _ => {}
        }
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

fn digest(members: &Map<String, Value>) -> Option<String> {
    let (algorithm, value) = (text(members, "algorithm")?, text(members, "value")?);
    Some(format!("{algorithm}:{value}"))
}

/// A key: base64, or an object with that as its content.
fn signer(key: &Value) -> Option<Signer> {
    let base64 = match key {
        Value::String(text) => text,
        Value::Object(members) => members.get("content")?.as_str()?,
        _ => return None,
    };
    let content = wire::rekor::decode_base64(base64)?;
    let hash = |canonical: &[u8]| hex::encode(crypto::sha256(canonical));
    Some(match Verifier::parse(&content) {
        Ok(verifier) => Signer {
            key: hash(verifier.canonical().as_bytes()),
            identities: verifier.subjects().to_vec(),
            issuer: verifier.issuer().map(str::to_owned),
        },
        // Another form of key, which bodies hold in its canonical form.
        Err(_) => Signer {
            key: hash(&content),
            identities: Vec::new(),
            issuer: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_and_keys_are_found_wherever_they_are() {
        let key = wire::rekor::encode_base64(b"key");
        let body = format!(
            r#"{{"apiVersion":"0.0.2","kind":"intoto","spec":{{"content":{{
               "envelope":{{"signatures":[{{"publicKey":"{key}"}},{{"verifier":"{key}"}}]}},
               "hash":{{"algorithm":"sha256","value":"ab"}}}},
               "signature":{{"publicKey":{{"content":"{key}"}}}}}}}}"#
        );
        let stored = Stored::parse(body.as_bytes(), 9).unwrap();
        assert_eq!((&*stored.kind, &*stored.version), ("intoto", "0.0.2"));
        assert_eq!(stored.hashes, ["sha256:ab"]);
        let signer = Signer {
            key: hex::encode(crypto::sha256(b"key")),
            identities: Vec::new(),
            issuer: None,
        };
        assert_eq!(stored.signers, vec![signer; 3]);
        assert_eq!(stored.late_keys(), [search::kind_key("intoto").unwrap()]);
        assert_eq!(Stored::parse(body.as_bytes(), 2).unwrap().signers.len(), 2);
    }

    #[test]
    fn what_is_no_body_is_none() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"kind":1,"apiVersion":"1","spec":{}}"#,
            "\"x\"",
        ] {
            assert_eq!(Stored::parse(text.as_bytes(), 9), None, "{text}");
        }
        let deep = format!(
            r#"{{"kind":"a","apiVersion":"1","spec":{}"#,
            "[".repeat(100_000)
        );
        assert_eq!(Stored::parse(deep.as_bytes(), 9), None);
    }
}
