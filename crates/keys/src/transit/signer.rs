//! The signer over a transit key.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::{Client, TransitError};
use super::uri::TransitUri;
use crate::pinned::{Input, Pinned};
use crate::{Algorithm, SignError, Signer};

/// One version of a key in a transit engine.
pub struct TransitSigner {
    pinned: Pinned,
    client: Client,
    key: String,
    version: u32,
    /// Both, for audit logs: `ca:v3`.
    name: String,
}

/// `GET keys/NAME`.
#[derive(serde::Deserialize)]
struct KeyDescription {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u32,
    #[serde(default)]
    exportable: bool,
    #[serde(default)]
    allow_plaintext_backup: bool,
    /// By version, in decimal; encryption keys have numbers instead of objects.
    #[serde(default)]
    keys: BTreeMap<String, Value>,
}

#[derive(serde::Deserialize)]
struct Signature {
    signature: String,
}

impl fmt::Debug for TransitSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitSigner")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("public_key", self.pinned.public_key())
            .finish_non_exhaustive()
    }
}

impl TransitSigner {
    /// Reads the key's description and pins its version and public half.
    pub async fn open(uri: &TransitUri) -> Result<Self, TransitError> {
        let client = Client::new(uri)?;
        let description: KeyDescription = client.get(&format!("keys/{}", uri.key)).await?;
        Self::of(client, uri, &description)
    }

    /// Makes a key, where none of this name may be, and opens it. It cannot be exported.
    pub async fn create(uri: &TransitUri, algorithm: Algorithm) -> Result<Self, TransitError> {
        let client = Client::new(uri)?;
        let path = format!("keys/{}", uri.key);
        match client.get::<Value>(&path).await {
            Err(TransitError::NotFound(_)) => {}
            Ok(_) => {
                return Err(TransitError::Key(
                    "the server already has a key of this name; keys are never replaced: use it, or choose another name".to_owned(),
                ));
            }
            Err(error) => return Err(error),
        }
        let kind = match algorithm {
            Algorithm::EcdsaP256Sha256 => "ecdsa-p256",
            Algorithm::EcdsaP384Sha384 => "ecdsa-p384",
            Algorithm::Ed25519 => "ed25519",
        };
        let request = json!({ "type": kind, "exportable": false, "allow_plaintext_backup": false });
        // Servers answer 204 without a body, or describe the key.
        client.send(&path, &request).await?;
        let description: KeyDescription = client.get(&path).await?;
        Self::of(client, uri, &description)
    }

    fn of(
        client: Client,
        uri: &TransitUri,
        description: &KeyDescription,
    ) -> Result<Self, TransitError> {
        let version = uri.version.unwrap_or(description.latest_version);
        let text = description
            .keys
            .get(&version.to_string())
            .and_then(|key| key.get("public_key"))
            .and_then(Value::as_str)
            .ok_or_else(|| {
                TransitError::Key(format!(
                    "its version {version} has no public key: it is a {} key of {} versions",
                    description.kind, description.latest_version
                ))
            })?;
        let public_key = public_key(&description.kind, text).ok_or_else(|| {
            TransitError::Key(format!(
                "it is a {} key; use ecdsa-p256, ecdsa-p384 or ed25519",
                description.kind
            ))
        })?;
        if description.exportable || description.allow_plaintext_backup {
            return Err(TransitError::Key(
                "it can be read out of the server (exportable or allow_plaintext_backup is set); make another one there".to_owned(),
            ));
        }
        let pinned = Pinned::new(public_key)
            .ok_or_else(|| TransitError::Key("nothing signs with keys of this kind".to_owned()))?;
        Ok(Self {
            pinned,
            client,
            name: format!("{}:v{version}", uri.key),
            key: uri.key.clone(),
            version,
        })
    }

    /// The version of the key that signs.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    async fn signature(&self, input: &Input) -> Result<Vec<u8>, SignError> {
        let hash = match self.pinned.algorithm() {
            Algorithm::EcdsaP256Sha256 => "/sha2-256",
            Algorithm::EcdsaP384Sha384 => "/sha2-384",
            Algorithm::Ed25519 => "",
        };
        let request = json!({
            "input": STANDARD.encode(input.as_bytes()),
            "key_version": self.version,
            "marshaling_algorithm": "asn1",
            "prehashed": matches!(input, Input::Digest(_)),
        });
        let path = format!("sign/{}{hash}", self.key);
        let Signature { signature } = self.client.post(&path, &request).await?;
        let (version, signature) = versioned(&signature).ok_or_else(|| {
            SignError::Refused("the signature is not of the form vault:vN:BASE64".to_owned())
        })?;
        if version != self.version {
            return Err(SignError::Refused(format!(
                "the server signed with version {version} of the key; version {} is pinned",
                self.version
            )));
        }
        Ok(signature)
    }
}

#[async_trait::async_trait]
impl Signer for TransitSigner {
    fn algorithm(&self) -> Algorithm {
        self.pinned.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.pinned.public_key()
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn key_version(&self) -> Option<&str> {
        Some(&self.name)
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let input = self.pinned.input(message);
        let signature = self.signature(&input).await?;
        self.pinned.release(&input, signature)
    }
}

/// PEM; of Ed25519 keys the 32 bytes in base64.
fn public_key(kind: &str, text: &str) -> Option<crypto::PublicKey> {
    match kind {
        "ecdsa-p256" | "ecdsa-p384" => crypto::PublicKey::from_pem(text).ok(),
        "ed25519" => {
            let bytes = STANDARD.decode(text).ok()?;
            crypto::PublicKey::from_ed25519_bytes(bytes.as_slice().try_into().ok()?).ok()
        }
        _ => None,
    }
}

/// The version and bytes in `vault:vN:BASE64`.
fn versioned(text: &str) -> Option<(u32, Vec<u8>)> {
    let (version, encoded) = text.strip_prefix("vault:v")?.split_once(':')?;
    Some((version.parse().ok()?, STANDARD.decode(encoded).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_prefix() {
        assert_eq!(versioned("vault:v2:AQI="), Some((2, vec![1, 2])));
        assert_eq!(versioned("vault:v12:"), Some((12, vec![])));
        for bad in [
            "AQI=",
            "vault:AQI=",
            "vault:v:AQI=",
            "vault:vx:AQI=",
            "vault:v1:A",
            "vault:v-1:AQI=",
            "vault:v99999999999:AQI=",
        ] {
            assert_eq!(versioned(bad), None, "{bad}");
        }
    }
}
