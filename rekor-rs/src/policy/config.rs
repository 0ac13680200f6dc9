//! The policy as it is written; `examples/rekor.yaml` describes every key.

use std::path::PathBuf;

use oidc::{Conditions, Patterns};
use serde::Deserialize;

use crate::config::ConfigError;

/// Who may write, and how much. Without it anybody may, as much as they like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PolicyConfig {
    /// Whose signatures are logged.
    pub signers: Option<SignersConfig>,
    /// Who may ask for it.
    pub clients: Option<ClientsConfig>,
    /// How often each client may.
    pub quota: Option<QuotaConfig>,
}

/// Whose signatures are logged: every signer of an entry must be on one of the lists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SignersConfig {
    /// PEM certificates, to one of which the signer's must lead, at the time it began to be valid.
    pub authorities: Option<PathBuf>,
    /// Keys: `sha256:` and the digest of the DER SPKI, or a PEM file with keys or certificates.
    pub keys: Vec<String>,
}

/// Who may write.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ClientsConfig {
    /// Patterns, one of which a name of the client's TLS certificate must match.
    pub certificates: Option<Patterns>,
    /// Providers of identity tokens, and what the tokens must say.
    pub tokens: Vec<TokenConfig>,
    /// Whether the same rules hold for reading.
    pub reads: bool,
}

/// Tokens of one provider that are taken. Several may name one issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// The issuer, as tokens name it.
    pub issuer: String,
    /// What the claim `aud` must contain.
    pub audience: String,
    /// A file with the provider's keys (RFC 7517); it is asked for them if left out.
    #[serde(default)]
    pub jwks: Option<PathBuf>,
    /// PEM roots that are trusted besides the system's when the provider is asked.
    #[serde(default)]
    pub ca_cert: Option<PathBuf>,
    /// What the token's claims must match.
    #[serde(default)]
    pub claims: Conditions,
}

/// How often a client may write: a token bucket.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct QuotaConfig {
    /// Entries a minute in the long run.
    pub entries_per_minute: u32,
    /// Entries at once after a pause.
    pub burst: u32,
    /// Clients that are told apart; others share one bucket.
    #[serde(default = "most_clients")]
    pub clients: usize,
}

const fn most_clients() -> usize {
    100_000
}

impl PolicyConfig {
    /// Checks what can be checked without reading files.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key, reason: String| Err(ConfigError::Value { key, reason });
        if let Some(signers) = &self.signers
            && signers.authorities.is_none()
            && signers.keys.is_empty()
        {
            let reason = "name authorities or keys; with neither, nothing could be logged";
            return refuse("write-policy.signers", reason.to_owned());
        }
        if let Some(clients) = &self.clients {
            if clients.certificates.is_none() && clients.tokens.is_empty() {
                let reason = "name certificates or tokens; with neither, nobody could write";
                return refuse("write-policy.clients", reason.to_owned());
            }
            if let Some(Err(reason)) = clients.certificates.as_ref().map(Patterns::check) {
                return refuse("write-policy.clients.certificates", reason);
            }
            for token in &clients.tokens {
                let about = |reason: String| format!("{}: {reason}", token.issuer);
                if let Err(error) = oidc::fetchable(&token.issuer)
                    && token.jwks.is_none()
                {
                    return refuse("write-policy.clients.tokens", error.to_string());
                }
                if token.audience.is_empty() {
                    let reason = about("audience is empty".to_owned());
                    return refuse("write-policy.clients.tokens", reason);
                }
                if let Err(reason) = token.claims.check() {
                    return refuse("write-policy.clients.tokens", about(reason));
                }
            }
        }
        if let Some(quota) = &self.quota
            && (quota.entries_per_minute == 0 || quota.burst == 0 || quota.clients == 0)
        {
            return refuse("write-policy.quota", "numbers must not be 0".to_owned());
        }
        Ok(())
    }
}
