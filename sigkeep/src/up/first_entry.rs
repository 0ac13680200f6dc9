//! The first entry of a new Rekor log.
//!
//! The JSON form of a bundle leaves out members that have their default value, and some clients
//! insist on `logIndex` and on the hashes of the inclusion proof: a bundle whose entry is number 0,
//! or the only one in the tree, is not readable for them. So `up` takes that place itself, before
//! anybody signs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::{Algorithm, FileKeyError, FileSigner, SignError, Signer};
use serde::Deserialize;
use serde_json::json;

/// What the entry signs.
const MESSAGE: &[u8] = b"the first entry of a log made by sigkeep up\n";

/// Why the first entry is not there.
#[derive(Debug, thiserror::Error)]
pub enum FirstEntryError {
    /// The log did not answer.
    #[error("the log's first entry: {0}")]
    Http(#[from] reqwest::Error),
    /// The log did not take it.
    #[error("the log's first entry: the log answered {0}")]
    Refused(reqwest::StatusCode),
    /// No key for it could be made.
    #[error("the log's first entry: {0}")]
    Key(#[from] FileKeyError),
    /// It could not be signed.
    #[error("the log's first entry: {0}")]
    Sign(#[from] SignError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogInfo {
    tree_size: u64,
}

/// Makes sure that the log at `rekor` is not empty.
pub async fn ensure(client: &reqwest::Client, rekor: &str) -> Result<(), FirstEntryError> {
    let answer = client.get(format!("{rekor}/api/v1/log")).send().await?;
    let info: LogInfo = answer.error_for_status()?.json().await?;
    if info.tree_size > 0 {
        return Ok(());
    }
    // Signs this one message and is forgotten.
    let key = FileSigner::generate(Algorithm::EcdsaP256Sha256)?;
    let signature = key.sign(MESSAGE).await?;
    let entry = json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hex::encode(crypto::sha256(MESSAGE)) } },
            "signature": {
                "content": STANDARD.encode(signature),
                "publicKey": { "content": STANDARD.encode(key.public_key().to_pem()) },
            },
        },
    });
    let answer = client
        .post(format!("{rekor}/api/v1/log/entries"))
        .json(&entry)
        .send()
        .await?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(FirstEntryError::Refused(status)),
    }
}
