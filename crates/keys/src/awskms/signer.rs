//! The signer over a KMS key.

use std::fmt;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};

use super::client::connect;
use super::{AwsKmsError, AwsKmsUri};
use crate::pinned::{Input, Pinned};
use crate::{Algorithm, SignError, Signer};

/// A key in AWS KMS.
pub struct AwsKmsSigner {
    client: Client,
    arn: String,
    pinned: Pinned,
    algorithm: SigningAlgorithmSpec,
}

impl fmt::Debug for AwsKmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKmsSigner")
            .field("arn", &self.arn)
            .field("public_key", self.pinned.public_key())
            .finish_non_exhaustive()
    }
}

impl AwsKmsSigner {
    /// Follows an alias to its key, and pins the key's ARN and public half.
    pub async fn open(uri: &AwsKmsUri) -> Result<Self, AwsKmsError> {
        let client = connect(uri).await?;
        Self::of(client, &uri.key).await
    }

    /// Makes a key with the alias that `uri` is, which may not be taken, and opens it.
    pub async fn create(uri: &AwsKmsUri, algorithm: Algorithm) -> Result<Self, AwsKmsError> {
        let alias = uri.alias().ok_or_else(|| {
            AwsKmsError::Key(
                "KMS gives new keys their IDs; name a new key by an alias, awskms:///alias/NAME"
                    .to_owned(),
            )
        })?;
        let spec = match algorithm {
            Algorithm::EcdsaP256Sha256 => KeySpec::EccNistP256,
            Algorithm::EcdsaP384Sha384 => KeySpec::EccNistP384,
            Algorithm::Ed25519 => return Err(unsupported("Ed25519")),
        };
        let client = connect(uri).await?;
        match client
            .describe_key()
            .key_id(alias)
            .send()
            .await
            .map_err(AwsKmsError::from)
        {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(AwsKmsError::Key(
                    "there already is a key of this alias; keys are never replaced: use it, or choose another alias".to_owned(),
                ));
            }
        }
        let made = client
            .create_key()
            .key_spec(spec)
            .key_usage(KeyUsageType::SignVerify)
            .description(format!("Sigkeep {alias}"))
            .send()
            .await?;
        let arn = made
            .key_metadata()
            .and_then(|key| key.arn())
            .ok_or_else(|| AwsKmsError::Key("KMS did not say what key it made".to_owned()))?;
        // A key without an alias is found in the log, and deleted there if it is not wanted.
        tracing::info!(arn, alias, "made a key in KMS");
        client
            .create_alias()
            .alias_name(alias)
            .target_key_id(arn)
            .send()
            .await?;
        Self::of(client, arn).await
    }

    async fn of(client: Client, key: &str) -> Result<Self, AwsKmsError> {
        let description = client.describe_key().key_id(key).send().await?;
        let description = description
            .key_metadata()
            .ok_or_else(|| AwsKmsError::Key("KMS did not describe the key".to_owned()))?;
        if description.key_usage() != Some(&KeyUsageType::SignVerify) {
            return Err(AwsKmsError::Key(
                "it is not for signing (KeyUsage must be SIGN_VERIFY)".to_owned(),
            ));
        }
        // From here on the key has one name that nobody can point elsewhere.
        let arn = description
            .arn()
            .ok_or_else(|| AwsKmsError::Key("KMS did not say the key's ARN".to_owned()))?
            .to_owned();
        let answer = client.get_public_key().key_id(&arn).send().await?;
        let spki = answer.public_key().map(Blob::as_ref).unwrap_or_default();
        let public_key = crypto::PublicKey::from_spki_der(spki)
            .map_err(|error| AwsKmsError::Key(error.to_string()))?;
        let kind = format!("{:?}", public_key.kind());
        let pinned = Pinned::new(public_key).ok_or_else(|| unsupported(&kind))?;
        let algorithm = match pinned.algorithm() {
            Algorithm::EcdsaP256Sha256 => SigningAlgorithmSpec::EcdsaSha256,
            Algorithm::EcdsaP384Sha384 => SigningAlgorithmSpec::EcdsaSha384,
            Algorithm::Ed25519 => return Err(unsupported(&kind)),
        };
        if !description.signing_algorithms().contains(&algorithm) {
            return Err(AwsKmsError::Key(format!(
                "KMS does not sign with it by {algorithm}"
            )));
        }
        tracing::info!(arn, "opened a key in KMS");
        Ok(Self {
            client,
            arn,
            pinned,
            algorithm,
        })
    }

    /// The key's ARN, which is pinned.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    async fn signature(&self, input: &Input) -> Result<Vec<u8>, AwsKmsError> {
        let answer = self
            .client
            .sign()
            .key_id(&self.arn)
            .message(Blob::new(input.as_bytes()))
            .message_type(MessageType::Digest)
            .signing_algorithm(self.algorithm.clone())
            .send()
            .await?;
        if answer.key_id() != Some(&self.arn) {
            return Err(AwsKmsError::Key("KMS signed with another key".to_owned()));
        }
        Ok(answer.signature.map(Blob::into_inner).unwrap_or_default())
    }
}

fn unsupported(kind: &str) -> AwsKmsError {
    AwsKmsError::Key(format!(
        "{kind} keys in KMS are not supported; use ECC_NIST_P256 or ECC_NIST_P384"
    ))
}

#[async_trait::async_trait]
impl Signer for AwsKmsSigner {
    fn algorithm(&self) -> Algorithm {
        self.pinned.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.pinned.public_key()
    }

    fn is_remote(&self) -> bool {
        true
    }

    /// The ARN: asymmetric keys in KMS have one version.
    fn key_version(&self) -> Option<&str> {
        Some(&self.arn)
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let input = self.pinned.input(message);
        let signature = self.signature(&input).await?;
        self.pinned.release(&input, signature)
    }
}
