//! JSON Web Key Sets (RFC 7517) and signatures under them.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::token::{Unverified, asymmetric};

/// Keys of a set beyond this many are not looked at.
const MAX_KEYS: usize = 256;

/// A provider's signature keys. Keys of kinds that cannot verify a token are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    kind: Kind,
    key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    const fn verifies(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => matches!(self, Self::Rsa),
            Algorithm::ES256 => matches!(self, Self::P256),
            Algorithm::ES384 => matches!(self, Self::P384),
            Algorithm::EdDSA => matches!(self, Self::Ed25519),
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn into_key(self) -> Option<Key> {
        if self
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return None;
        }
        let (kind, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (
                Kind::Rsa,
                DecodingKey::from_rsa_components(&self.n?, &self.e?),
            ),
            ("EC", Some("P-256")) => (
                Kind::P256,
                DecodingKey::from_ec_components(&self.x?, &self.y?),
            ),
            ("EC", Some("P-384")) => (
                Kind::P384,
                DecodingKey::from_ec_components(&self.x?, &self.y?),
            ),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(&self.x?)),
            _ => return None,
        };
        let algorithm = match self.alg.as_deref() {
            // A key for an algorithm that is not ours (encryption, HMAC) is not for tokens.
            Some(name) => Some(asymmetric(name)?),
            None => None,
        };
        Some(Key {
            id: self.kid,
            algorithm,
            kind,
            key: key.ok()?,
        })
    }
}

impl KeySet {
    /// Parses a key set; keys that are not understood are skipped.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let keys = document
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.into_key())
            .collect();
        Ok(Self { keys })
    }

    /// Number of usable keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of the keys made the token's signature. A token without key id is tried with
    /// every key that fits its algorithm.
    pub(crate) fn verifies(&self, token: &Unverified<'_>) -> bool {
        self.keys
            .iter()
            .filter(|key| token.key_id.is_none() || key.id == token.key_id)
            .filter(|key| key.kind.verifies(token.algorithm))
            .filter(|key| {
                key.algorithm
                    .is_none_or(|algorithm| algorithm == token.algorithm)
            })
            .any(|key| {
                jsonwebtoken::crypto::verify(
                    token.signature,
                    token.signed.as_bytes(),
                    &key.key,
                    token.algorithm,
                )
                .unwrap_or(false)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_verify_tokens_are_skipped() {
        let set = KeySet::parse(
            br#"{"keys":[
                {"kty":"oct","k":"c2VjcmV0","kid":"a"},
                {"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},
                {"kty":"RSA","alg":"HS256","n":"AQAB","e":"AQAB"},
                {"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},
                {"kty":7}, "x",
                {"kty":"RSA","use":"sig","alg":"RS256","kid":"ok","n":"AQAB","e":"AQAB"}
            ]}"#,
        )
        .unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(set.keys[0].id.as_deref(), Some("ok"));
    }

    #[test]
    fn a_key_fits_only_its_own_algorithms() {
        assert!(Kind::Rsa.verifies(Algorithm::PS256));
        assert!(!Kind::Rsa.verifies(Algorithm::HS256));
        assert!(!Kind::Rsa.verifies(Algorithm::ES256));
        assert!(!Kind::P256.verifies(Algorithm::ES384));
    }

    #[test]
    fn a_document_that_is_no_key_set_is_an_error() {
        assert!(KeySet::parse(b"[]").is_err());
        assert!(KeySet::parse(b"{}").is_err());
        assert!(KeySet::parse(b"<html>").is_err());
    }
}
