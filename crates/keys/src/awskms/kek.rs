//! KMS keys that encrypt other keys.

use aws_sdk_kms::primitives::Blob;
use zeroize::Zeroizing;

use super::client::connect;
use super::{AwsKmsError, AwsKmsUri};

/// The name in the encryption context, which KMS authenticates and CloudTrail records.
const CONTEXT: &str = "sigkeep-wrapped-key";

/// Encrypts `secret`, bound to `binding`.
pub(crate) async fn encrypt(
    uri: &AwsKmsUri,
    secret: &[u8],
    binding: &[u8; 32],
) -> Result<Vec<u8>, AwsKmsError> {
    let answer = connect(uri)
        .await?
        .encrypt()
        .key_id(&uri.key)
        .plaintext(Blob::new(secret))
        .encryption_context(CONTEXT, hexadecimal(binding))
        .send()
        .await?;
    let wrapped = answer.ciphertext_blob.map(Blob::into_inner);
    wrapped.ok_or_else(|| AwsKmsError::Key("KMS returned no ciphertext".to_owned()))
}

/// Decrypts what [`encrypt`] returned. KMS refuses another key or binding.
pub(crate) async fn decrypt(
    uri: &AwsKmsUri,
    wrapped: &[u8],
    binding: &[u8; 32],
) -> Result<Zeroizing<Vec<u8>>, AwsKmsError> {
    let answer = connect(uri)
        .await?
        .decrypt()
        // Without it KMS would use whatever key the ciphertext names.
        .key_id(&uri.key)
        .ciphertext_blob(Blob::new(wrapped))
        .encryption_context(CONTEXT, hexadecimal(binding))
        .send()
        .await?;
    let secret = answer
        .plaintext
        .map(|secret| Zeroizing::new(secret.into_inner()));
    secret.ok_or_else(|| AwsKmsError::Key("KMS returned no plaintext".to_owned()))
}

fn hexadecimal(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
