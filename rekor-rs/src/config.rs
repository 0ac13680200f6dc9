//! Configuration of the service: one YAML file, checked when it is read.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keys::{KeyUri, PassphraseSource};
use logstore::LogKind;
use serde::Deserialize;

use crate::policy::PolicyConfig;

/// What the service is to serve.
///
/// `examples/rekor.yaml` describes every key. Relative paths are relative to the working directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Host of the public URL, without port: the name in checkpoints. Clients compare it with the
    /// URL in their trusted root.
    pub hostname: String,
    /// The logs. Those of kind `rekor-v1` are the shards of one log, oldest first: frozen ones, the
    /// one that takes entries, and at the end those that the next rotations will create.
    pub logs: Vec<LogConfig>,
    /// Directory of the roll-back guards, outside the database and its backups.
    pub guard_dir: PathBuf,
    /// Where the passphrase of the key files is, unless a log says otherwise.
    #[serde(default)]
    pub passphrase: Option<PassphraseSource>,
    /// PEM certificates that chains submitted to CT logs must lead to.
    #[serde(default)]
    pub ct_roots: Option<PathBuf>,
    /// Bounds on what clients may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// Parts of the Rekor v1 API that answer 501.
    #[serde(default)]
    pub disabled_endpoints: BTreeSet<Endpoint>,
    /// Kinds of entry that are not appended, by name; they are still found.
    #[serde(default)]
    pub disabled_kinds: BTreeSet<String>,
    /// Who may write to the Rekor log; anybody if left out.
    #[serde(default)]
    pub write_policy: PolicyConfig,
    /// Used by `serve` only.
    #[serde(default)]
    pub server: ServerConfig,
    /// The file that this was read from, to be read again when a rotation needs it.
    #[serde(skip)]
    pub source: Option<PathBuf>,
}

/// One log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Tree id. Left out, the log is found by its key, or created with a random id.
    #[serde(default)]
    pub id: Option<i64>,
    /// What speaks over it.
    pub kind: Kind,
    /// Its name. CT: the first part of the URL's path. Rekor v1: [`Config::hostname`] if left out.
    #[serde(default)]
    pub origin: Option<String>,
    /// The key that signs heads and promises; ECDSA P-256, because clients take nothing else.
    pub key: KeyUri,
    /// Where the key file's passphrase is.
    #[serde(default)]
    pub passphrase: Option<PassphraseSource>,
}

/// Kinds of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A shard of the Rekor v1 log.
    RekorV1,
    /// An RFC 6962 log.
    Ct,
}

impl From<Kind> for LogKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::RekorV1 => Self::RekorV1,
            Kind::Ct => Self::Ct,
        }
    }
}

/// Bounds on what clients may ask for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body: usize,
    /// Request bodies held at once, in bytes; beyond, 503.
    pub bodies: usize,
    /// Longest attestation that is kept, in bytes; longer ones are left out, not refused.
    pub attestation: usize,
    /// Longest part of a package (JAR metadata, APK signature and control members) that is
    /// unpacked to be read, in bytes; packages with longer ones are refused.
    pub package_metadata: usize,
    /// Most names that one answer to `index/retrieve` holds; the listing goes on from there.
    pub search_results: u32,
}

impl Default for Limits {
    /// The body limit is that of the public instance, which clients were built against.
    fn default() -> Self {
        Self {
            body: 32_792_576,
            bodies: 256 << 20,
            attestation: 100 << 10,
            package_metadata: 1 << 20,
            search_results: 100_000,
        }
    }
}

/// Parts of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Endpoint {
    /// `POST /api/v1/index/retrieve`
    SearchIndex,
    /// `GET /api/v1/log`
    GetLogInfo,
    /// `GET /api/v1/log/publicKey`
    GetPublicKey,
    /// `GET /api/v1/log/proof`
    GetLogProof,
    /// `POST /api/v1/log/entries`
    CreateLogEntry,
    /// `GET /api/v1/log/entries?logIndex=`
    GetLogEntryByIndex,
    /// `GET /api/v1/log/entries/{id}`
    #[serde(rename = "getLogEntryByUUID")]
    GetLogEntryByUuid,
    /// `POST /api/v1/log/entries/retrieve`
    SearchLogQuery,
    /// `GET /api/sigkeep/v1/entries`
    ListEntries,
}

impl Endpoint {
    /// What a refusal calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SearchIndex => "Search Index",
            Self::GetLogInfo => "Get Log Info",
            Self::GetPublicKey => "Get Public Key",
            Self::GetLogProof => "Get Log Proof",
            Self::CreateLogEntry => "Create Entry",
            Self::GetLogEntryByIndex => "Get Log Entry by Index",
            Self::GetLogEntryByUuid => "Get Log Entry by UUID",
            Self::SearchLogQuery => "Search Log Query",
            Self::ListEntries => "List Entries",
        }
    }
}

/// Where `serve` listens and what it stores in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ServerConfig {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of Prometheus metrics; none if left out.
    pub metrics: Option<SocketAddr>,
    /// Certificate and key; plain HTTP if left out.
    pub tls: Option<serve::Tls>,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            metrics: None,
            tls: None,
            database: "sqlite:rekor.db".to_owned(),
        }
    }
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
        reason: String,
    },
}

impl Config {
    /// A configuration with defaults for everything but these.
    #[must_use]
    pub fn new(
        hostname: impl Into<String>,
        logs: Vec<LogConfig>,
        guard_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            hostname: hostname.into(),
            logs,
            guard_dir: guard_dir.into(),
            passphrase: None,
            ct_roots: None,
            limits: Limits::default(),
            disabled_endpoints: BTreeSet::new(),
            disabled_kinds: BTreeSet::new(),
            write_policy: PolicyConfig::default(),
            server: ServerConfig::default(),
            source: None,
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            source: Some(path.to_owned()),
            ..Self::parse(&text)?
        })
    }

    /// Reads YAML text.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        let config: Self =
            serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what types do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let value = |key, reason: &str| {
            Err(ConfigError::Value {
                key,
                reason: reason.to_owned(),
            })
        };
        // The name is a word of the checkpoint's signature line.
        if self.hostname.is_empty()
            || self
                .hostname
                .contains(|c: char| c.is_whitespace() || c == '+')
        {
            return value(
                "hostname",
                "write the host of the public URL, without port or spaces",
            );
        }
        if self.logs.is_empty() {
            return value("logs", "name one log at least");
        }
        for log in &self.logs {
            if log.id.is_some_and(|id| id <= 0) {
                return value("logs.id", "tree ids are positive numbers");
            }
            // What a CT log's origin may be is checked when the log is opened.
            match (log.kind, &log.origin) {
                (Kind::Ct, None) => {
                    return value("logs.origin", "a log of kind ct needs an origin");
                }
                (Kind::RekorV1, Some(origin)) if !is_word(origin) => {
                    return value("logs.origin", "use letters, digits, '.', '-' and '_'");
                }
                _ => {}
            }
        }
        if self.limits.body == 0 || self.limits.bodies < self.limits.body {
            return value(
                "limits.bodies",
                "must not be less than limits.body, which must not be 0",
            );
        }
        if let Some(kind) = self
            .disabled_kinds
            .iter()
            .find(|kind| !crate::entry::is_kind(kind))
        {
            return value(
                "disabled-kinds",
                &format!("there is no kind of entry {kind:?}"),
            );
        }
        self.write_policy.check()?;
        let certificates = self.write_policy.clients.as_ref();
        let certificates = certificates.and_then(|clients| clients.certificates.as_ref());
        let verified = self.server.tls.as_ref();
        let verified = verified.and_then(|tls| tls.client_roots.as_ref());
        if certificates.is_some() && verified.is_none() {
            return value(
                "write-policy.clients.certificates",
                "needs server.tls.client-roots, which the clients' certificates are verified with",
            );
        }
        if self.limits.search_results == 0 {
            return value("limits.search-results", "must not be 0");
        }
        Ok(())
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        "hostname: rekor.test\nguard-dir: guards\nlogs: [{kind: rekor-v1, key: 'file:log.key'}]\n";

    #[test]
    fn the_annotated_example_loads() {
        let config = Config::parse(include_str!("../examples/rekor.yaml")).unwrap();
        assert_eq!(config.logs.len(), 2);
        assert_eq!(config.limits.body, Limits::default().body);
    }

    #[test]
    fn the_annotated_write_policy_loads_when_it_is_uncommented() {
        let example = include_str!("../examples/rekor.yaml");
        let (_, rest) = example.split_once("# write-policy:").unwrap();
        let (policy, _) = rest.split_once("\n\n").unwrap();
        let policy = policy.replace("\n# ", "\n").replace("\n#\n", "\n");
        let tls = "server: {tls: {certificate: a, key: b, client-roots: c, client-auth: optional}}";
        let config = Config::parse(&format!("{MINIMAL}write-policy:{policy}\n{tls}\n")).unwrap();
        let policy = config.write_policy;
        assert_eq!(policy.signers.unwrap().keys.len(), 2);
        assert_eq!(policy.clients.unwrap().tokens.len(), 1);
        assert_eq!(policy.quota.unwrap().burst, 100);
    }

    #[test]
    fn a_minimal_configuration_has_defaults() {
        let config = Config::parse(MINIMAL).unwrap();
        assert_eq!(config.limits.attestation, 102_400);
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:3000");
        assert!(config.disabled_endpoints.is_empty());
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(matches!(
            Config::parse(&format!("{MINIMAL}hostnam: x\n")),
            Err(ConfigError::Syntax(_))
        ));
    }

    #[test]
    fn values_that_cannot_work_are_errors() {
        for (from, to) in [
            ("rekor.test", "'rekor test'"),
            ("kind: rekor-v1", "id: 0, kind: rekor-v1"),
            ("kind: rekor-v1", "kind: ct"),
            ("guard-dir", "disabled-kinds: [hashedrecord]\nguard-dir"),
        ] {
            let yaml = MINIMAL.replace(from, to);
            assert!(
                matches!(Config::parse(&yaml), Err(ConfigError::Value { .. })),
                "{yaml}"
            );
        }
    }
}
