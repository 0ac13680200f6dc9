//! `ClientTrustConfig`: trusted root and signing config in one file.

use serde::{Deserialize, Serialize};

use super::{SigningConfig, TrustError, TrustedRoot, parse, print};

/// Everything that a client needs, without TUF: for `sigstore --trust-config` and enclaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTrustConfig {
    /// Names the document and its version.
    pub media_type: ClientTrustConfigMediaType,
    /// What to verify with.
    pub trusted_root: TrustedRoot,
    /// Where to sign.
    pub signing_config: SigningConfig,
}

/// The media type of [`ClientTrustConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientTrustConfigMediaType {
    /// Version 0.1.
    #[serde(rename = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json")]
    V01,
}

impl ClientTrustConfig {
    /// Joins a trusted root and a signing config.
    #[must_use]
    pub const fn new(trusted_root: TrustedRoot, signing_config: SigningConfig) -> Self {
        Self {
            media_type: ClientTrustConfigMediaType::V01,
            trusted_root,
            signing_config,
        }
    }

    /// Reads and checks a client trust config.
    pub fn from_json(json: &[u8]) -> Result<Self, TrustError> {
        let config: Self = parse("client trust config", json)?;
        config.trusted_root.check()?;
        config.signing_config.check()?;
        Ok(config)
    }

    /// Indented JSON with a final newline; the same document always gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        print(self)
    }
}
