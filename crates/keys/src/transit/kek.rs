//! Transit keys that encrypt other keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::client::{Client, TransitError};
use super::uri::TransitUri;

#[derive(serde::Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(serde::Deserialize)]
struct Decrypted {
    plaintext: SecretString,
}

/// Encrypts `secret`, bound to `binding`, with the URI's version of the key or the latest.
///
/// The result is the server's `vault:vN:…`, which says what version opens it.
pub(crate) async fn encrypt(
    uri: &TransitUri,
    secret: &[u8],
    binding: &[u8; 32],
) -> Result<Vec<u8>, TransitError> {
    let request = json!({
        "plaintext": STANDARD.encode(secret),
        "associated_data": STANDARD.encode(binding),
        "key_version": uri.version.unwrap_or(0),
    });
    let path = format!("encrypt/{}", uri.key);
    let Encrypted { ciphertext } = Client::new(uri)?.post(&path, &request).await?;
    Ok(ciphertext.into_bytes())
}

/// Decrypts what [`encrypt`] returned. The server refuses another key or binding; one so old that
/// it ignores `associated_data` leaves that to the file's own encryption.
pub(crate) async fn decrypt(
    uri: &TransitUri,
    wrapped: &[u8],
    binding: &[u8; 32],
) -> Result<Zeroizing<Vec<u8>>, TransitError> {
    let unusable =
        || TransitError::Key("the ciphertext or plaintext is not of a transit engine".to_owned());
    let request = json!({
        "ciphertext": std::str::from_utf8(wrapped).map_err(|_| unusable())?,
        "associated_data": STANDARD.encode(binding),
    });
    let path = format!("decrypt/{}", uri.key);
    let Decrypted { plaintext } = Client::new(uri)?.post(&path, &request).await?;
    STANDARD
        .decode(plaintext.expose_secret())
        .map(Zeroizing::new)
        .map_err(|_| unusable())
}
