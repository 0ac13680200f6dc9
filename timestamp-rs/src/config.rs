//! Configuration of the service: one YAML file, checked when it is read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use custody::{Purpose, Source};
use keys::{KeyUri, PassphraseSource};
use pki::rfc3161::Policy;
use serde::{Deserialize, Deserializer};

/// What the service is to serve.
///
/// `examples/timestamp.yaml` describes every key. Relative paths are relative to the working
/// directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Directory of the authority, as `timestamp-rs chain init` makes it; or the next two.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// PEM certificates: timestamping leaf, then intermediates, then root.
    #[serde(default)]
    pub certificate_chain: Option<PathBuf>,
    /// The leaf's key: ECDSA P-256 or P-384.
    #[serde(default)]
    pub key: Option<KeyUri>,
    /// Where the passphrase of an encrypted key file is.
    #[serde(default)]
    pub passphrase: Option<PassphraseSource>,
    /// Policy of timestamps whose request names none.
    #[serde(default = "default_policy", deserialize_with = "policy")]
    pub policy: Policy,
    /// Policies that requests may name besides [`Self::policy`].
    #[serde(default, deserialize_with = "policies")]
    pub accepted_policies: Vec<Policy>,
    /// Whether a request for certificates is answered with the whole chain instead of the leaf.
    #[serde(default)]
    pub include_chain: bool,
    /// Whether every intermediate must have the extended key usage timeStamping.
    #[serde(default = "enforced")]
    pub enforce_intermediate_eku: bool,
    /// How the clock is watched.
    #[serde(default)]
    pub clock: ClockConfig,
    /// Bounds on what clients may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// Used by `serve` only.
    #[serde(default)]
    pub server: ServerConfig,
}

/// How the clock is watched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ClockConfig {
    /// NTP servers, `HOST` or `HOST:PORT`; the clock is compared with the majority of them. Without
    /// any, the clock is trusted as it is.
    pub ntp_servers: Vec<String>,
    /// Largest difference from them, in milliseconds.
    pub max_offset_ms: u32,
    /// Seconds between comparisons.
    pub interval_s: u32,
    /// Whether timestamps are refused while the clock is wrong or cannot be compared; otherwise that
    /// is only logged and measured.
    pub fail_closed: bool,
}

/// Bounds on what clients may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body: usize,
    /// Requests at work at once; beyond, 503.
    pub concurrency: usize,
}

/// Where `serve` listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServerConfig {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of Prometheus metrics; none if left out.
    pub metrics: Option<SocketAddr>,
    /// Certificate and key; plain HTTP if left out.
    pub tls: Option<serve::Tls>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The text is not a configuration.
    #[error("configuration: {0}")]
    Syntax(String),
    /// A value cannot be used.
    #[error("configuration: {key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong and what to do.
        reason: &'static str,
    },
}

impl Default for ClockConfig {
    /// The offset allowed is the accuracy that tokens state.
    fn default() -> Self {
        Self {
            ntp_servers: Vec::new(),
            max_offset_ms: 1000,
            interval_s: 60,
            fail_closed: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            concurrency: 1024,
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3004)),
            metrics: None,
            tls: None,
        }
    }
}

impl Config {
    /// A configuration with defaults for everything but the certificates and the key.
    #[must_use]
    pub fn new(certificate_chain: impl Into<PathBuf>, key: KeyUri) -> Self {
        Self {
            authority: None,
            certificate_chain: Some(certificate_chain.into()),
            key: Some(key),
            passphrase: None,
            policy: default_policy(),
            accepted_policies: Vec::new(),
            include_chain: false,
            enforce_intermediate_eku: enforced(),
            clock: ClockConfig::default(),
            limits: Limits::default(),
            server: ServerConfig::default(),
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|error| match error {
            ConfigError::Syntax(reason) => {
                ConfigError::Syntax(format!("{}: {reason}", path.display()))
            }
            error => error,
        })
    }

    /// Reads YAML text.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Where key and certificates come from.
    pub(crate) fn source(&self) -> Result<Source, ConfigError> {
        Source::named(
            Purpose::TimeStamping,
            self.authority.as_deref(),
            self.certificate_chain.as_deref(),
            self.key.as_ref(),
        )
        .ok_or(ConfigError::Value {
            key: "authority",
            reason: "name either this directory (that `timestamp-rs chain init` made), or both certificate-chain and key",
        })
    }

    /// Checks what types do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let value = |key, reason| Err(ConfigError::Value { key, reason });
        self.source()?;
        if self.clock.interval_s == 0 {
            return value("clock.interval-s", "must not be 0");
        }
        if self.clock.ntp_servers.len() > 16 {
            return value("clock.ntp-servers", "name 16 servers at most");
        }
        if self.limits.body == 0 {
            return value("limits.body", "must not be 0");
        }
        if self.limits.concurrency == 0 {
            return value("limits.concurrency", "must not be 0");
        }
        Ok(())
    }
}

const fn default_policy() -> Policy {
    Policy::SIGSTORE
}

const fn enforced() -> bool {
    true
}

fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    parse_policy(&String::deserialize(deserializer)?)
}

fn policies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Policy>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|dotted| parse_policy(dotted))
        .collect()
}

fn parse_policy<E: serde::de::Error>(dotted: &str) -> Result<Policy, E> {
    Policy::from_str(dotted)
        .map_err(|error| E::custom(format!("{dotted:?}: {error}; write dotted decimals")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "certificate-chain: chain.pem\nkey: 'file:tsa.key.pem'\n";

    #[test]
    fn the_annotated_example_loads() {
        let config = Config::parse(include_str!("../examples/timestamp.yaml")).unwrap();
        assert_eq!(config.policy, Policy::SIGSTORE);
        assert_eq!(config.server.listen, ServerConfig::default().listen);
        assert_eq!(config.clock.ntp_servers.len(), 3);
    }

    #[test]
    fn a_minimal_configuration_has_defaults() {
        let config = Config::parse(MINIMAL).unwrap();
        let expected = Config::new("chain.pem", KeyUri::file("tsa.key.pem"));
        assert_eq!(format!("{config:?}"), format!("{expected:?}"));
    }

    #[test]
    fn unknown_keys_are_errors() {
        for unknown in [
            "polcy: 1.2.3",
            "clock: {interval: 3}",
            "limits: {size: 3}",
            "server: {port: 3}",
        ] {
            assert!(matches!(
                Config::parse(&format!("{MINIMAL}{unknown}\n")),
                Err(ConfigError::Syntax(_))
            ));
        }
    }

    #[test]
    fn values_that_cannot_work_are_errors() {
        for value in [
            "clock: {interval-s: 0}",
            "limits: {body: 0}",
            "limits: {concurrency: 0}",
            "authority: /etc/tsa",
        ] {
            assert!(matches!(
                Config::parse(&format!("{MINIMAL}{value}\n")),
                Err(ConfigError::Value { .. })
            ));
        }
        assert!(matches!(
            Config::parse(&format!("{MINIMAL}policy: 'x'\n")),
            Err(ConfigError::Syntax(_))
        ));
    }
}
