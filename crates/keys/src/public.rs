//! The public half of a key whose private half is not here: `public:PATH`, a PEM file.
//!
//! For whatever only verifies what the key once signed, such as a log that was copied from elsewhere
//! and takes no entries. [`crate::open`] refuses it: who opens a key wants to sign.

use std::io::Read as _;
use std::path::Path;

use crate::{Algorithm, KeyUri, OpenError, SignError, Signer};

/// Longest file that is read.
const MAX_LENGTH: u64 = 64 << 10;

/// A signer that cannot sign.
#[derive(Clone, Debug)]
pub struct PublicHalf {
    key: crypto::PublicKey,
    algorithm: Algorithm,
}

impl PublicHalf {
    /// Reads a PEM file: `PUBLIC KEY`.
    pub fn load(path: &Path) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError::Public {
            uri: KeyUri::Public(path.to_owned()),
            reason,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_LENGTH).read_to_string(&mut text))
            .map_err(|error| failed(error.to_string()))?;
        let key = crypto::PublicKey::from_pem(&text).map_err(|error| failed(error.to_string()))?;
        let algorithm = Algorithm::of_key(key.kind())
            .ok_or_else(|| failed("no key of this kind signs for Sigkeep".to_owned()))?;
        Ok(Self { key, algorithm })
    }
}

#[async_trait::async_trait]
impl Signer for PublicHalf {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &crypto::PublicKey {
        &self.key
    }

    fn can_sign(&self) -> bool {
        false
    }

    async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::Refused(
            "only its public half is here (public:)".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileSigner;

    #[tokio::test]
    async fn it_is_the_key_and_does_not_sign() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.pem");
        let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
        std::fs::write(&path, key.public_key().to_pem()).unwrap();
        let half = PublicHalf::load(&path).unwrap();
        assert_eq!(half.public_key(), key.public_key());
        assert_eq!(half.algorithm(), key.algorithm());
        assert!(!half.can_sign() && key.can_sign());
        assert!(matches!(half.sign(b"m").await, Err(SignError::Refused(_))));

        let uri: KeyUri = format!("public:{}", path.display()).parse().unwrap();
        assert_eq!(uri, KeyUri::Public(path.clone()));
        assert_eq!(uri.to_string(), format!("public:{}", path.display()));
        let refused = crate::open(&uri, None).await.unwrap_err().to_string();
        assert!(refused.contains("private"), "{refused}");
        assert!(crate::create(&uri, Algorithm::Ed25519, None).await.is_err());
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for content in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, content).unwrap();
            let error = PublicHalf::load(&path).unwrap_err().to_string();
            assert!(error.contains("key.pem"), "{error}");
        }
        assert!(PublicHalf::load(&directory.path().join("none")).is_err());
    }
}
