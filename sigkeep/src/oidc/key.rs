//! The issuer's RS256 key.
//!
//! RSA because some clients look inside the token and understand RS256 only.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::Decode;
use openidconnect::JsonWebKeyId;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

const PEM_LABEL: &str = "PRIVATE KEY";

/// An RSA-2048 key that signs identity tokens.
pub struct IssuerKey {
    pem: Zeroizing<String>,
    signing: jsonwebtoken::EncodingKey,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    id: String,
}

/// Why the issuer's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerKeyError {
    /// Not an RSA key in PKCS#8 PEM.
    #[error("the issuer's key is not an RSA private key in PKCS#8 PEM: {0}")]
    Malformed(String),
    /// A key could not be generated.
    #[error("no RSA key could be generated")]
    Generate,
    /// A token could not be signed.
    #[error("the identity token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// RFC 8017 §A.1.1.
#[derive(der::Sequence)]
struct RsaPublicKey<'a> {
    modulus: der::asn1::UintRef<'a>,
    public_exponent: der::asn1::UintRef<'a>,
}

impl IssuerKey {
    /// A new key, in memory.
    pub fn generate() -> Result<Self, IssuerKeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| IssuerKeyError::Generate)?;
        let der = pair.as_der().map_err(|_| IssuerKeyError::Generate)?;
        let pem = pem_rfc7468::encode_string(PEM_LABEL, pem_rfc7468::LineEnding::LF, der.as_ref())
            .map_err(|_| IssuerKeyError::Generate)?;
        Self::from_pkcs8_pem(&pem)
    }

    /// The key in a PEM `PRIVATE KEY`.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, IssuerKeyError> {
        let malformed =
            |reason: &dyn std::fmt::Display| IssuerKeyError::Malformed(reason.to_string());
        let (label, der) =
            pem_rfc7468::decode_vec(pem.as_bytes()).map_err(|error| malformed(&error))?;
        let der = Zeroizing::new(der);
        if label != PEM_LABEL {
            return Err(malformed(&format!("the PEM block is a {label}")));
        }
        let pair = KeyPair::from_pkcs8(&der).map_err(|error| malformed(&error))?;
        let public = RsaPublicKey::from_der(pair.public_key().as_ref())
            .map_err(|error| malformed(&error))?;
        let modulus = public.modulus.as_bytes().to_vec();
        let exponent = public.public_exponent.as_bytes().to_vec();
        Ok(Self {
            signing: jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes())?,
            id: thumbprint(&modulus, &exponent),
            pem: Zeroizing::new(pem.to_owned()),
            modulus,
            exponent,
        })
    }

    /// The key as PEM `PRIVATE KEY`. Secret.
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> &str {
        &self.pem
    }

    /// What relying parties verify with (RFC 7517).
    #[must_use]
    pub fn key_set(&self) -> CoreJsonWebKeySet {
        let id = JsonWebKeyId::new(self.id.clone());
        CoreJsonWebKeySet::new(vec![CoreJsonWebKey::new_rsa(
            self.modulus.clone(),
            self.exponent.clone(),
            Some(id),
        )])
    }

    /// A JWT (RS256) with these claims.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, IssuerKeyError> {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        header.kid = Some(self.id.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.signing)?)
    }
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// RFC 7638 §3: members in lexicographic order, no white space.
fn thumbprint(modulus: &[u8], exponent: &[u8]) -> String {
    let canonical = format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(exponent),
        URL_SAFE_NO_PAD.encode(modulus)
    );
    URL_SAFE_NO_PAD.encode(crypto::sha256(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_verifies_under_the_published_key() {
        let key = IssuerKey::generate().unwrap();
        let mut claims = Map::new();
        claims.insert("sub".into(), "someone".into());
        let token = key.sign(&claims).unwrap();

        let published: jsonwebtoken::jwk::JwkSet =
            serde_json::from_value(serde_json::to_value(key.key_set()).unwrap()).unwrap();
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let verifying = jsonwebtoken::DecodingKey::from_jwk(published.find(&kid).unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        rules.required_spec_claims.clear();
        let decoded =
            jsonwebtoken::decode::<Map<String, Value>>(&token, &verifying, &rules).unwrap();
        assert_eq!(decoded.claims, claims);
    }

    #[test]
    fn a_key_read_back_is_the_same_key() {
        let key = IssuerKey::generate().unwrap();
        let again = IssuerKey::from_pkcs8_pem(key.to_pkcs8_pem()).unwrap();
        assert_eq!(key.id, again.id);
        assert_eq!(key.modulus, again.modulus);
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
                       FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgn\
                       Yb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqb\
                       w0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let modulus = URL_SAFE_NO_PAD.decode(modulus).unwrap();
        assert_eq!(
            thumbprint(&modulus, &[1, 0, 1]),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn the_key_does_not_show_in_debug_output() {
        let key = IssuerKey::generate().unwrap();
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
