//! Configuration of the service: one YAML file, checked when it is read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use custody::{Purpose, Source};
use keys::{KeyUri, PassphraseSource};
use serde::Deserialize;
use url::Url;

use crate::challenge::AllowList;
use crate::error::Error;
use crate::identity::{PinnedJwks, Refresh, Registry};
use crate::policy::Policies;

/// What the service works with.
///
/// `examples/fulcio.yaml` describes every key. Relative paths are relative to the working directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Whose tokens are believed: Fulcio's own configuration file.
    pub issuers: Issuers,
    /// Directory of the certificate authority, as `fulcio-rs ca init` makes it; or the next two.
    #[serde(default)]
    pub authority: Option<PathBuf>,
    /// PEM chain of the certificate authority, issuing certificate first, root last.
    #[serde(default)]
    pub certificate_chain: Option<PathBuf>,
    /// The key of the first certificate of the chain.
    #[serde(default)]
    pub key: Option<KeyUri>,
    /// Where the passphrase of the key file is.
    #[serde(default)]
    pub passphrase: Option<PassphraseSource>,
    /// The certificate transparency log, its prefix included. Without one, certificates carry no
    /// SCT, and most clients refuse them.
    #[serde(default)]
    pub ct_log_url: Option<Url>,
    /// PEM public key of the log. Required with a log: every promise is verified.
    #[serde(default)]
    pub ct_log_public_key: Option<PathBuf>,
    /// Longest time for a submission to the log with its retries, in seconds.
    #[serde(default = "default_ct_log_timeout")]
    pub ct_log_timeout_seconds: u64,
    /// Algorithms that clients' keys may have; names of Sigstore's algorithm registry. All that are
    /// supported if left out.
    #[serde(default)]
    pub client_signing_algorithms: Option<Vec<String>>,
    /// Files with the keys (JSON Web Key Sets) of issuers that cannot be asked for them, by issuer.
    #[serde(default)]
    pub pinned_jwks: PinnedJwks,
    /// Which tokens get a certificate, by issuer.
    #[serde(default)]
    pub policy: Policies,
    /// File that every issued certificate is recorded in before it is given out.
    #[serde(default)]
    pub inventory: Option<PathBuf>,
    /// When identity providers are asked for their keys.
    #[serde(skip)]
    pub refresh: Refresh,
    /// Used by `serve` only.
    #[serde(default)]
    pub server: ServerConfig,
}

/// Where the identity configuration is. In the file: a path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "PathBuf")]
pub enum Issuers {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl From<PathBuf> for Issuers {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
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
    /// A listener for gRPC alone; the one of the API speaks it too.
    pub grpc: Option<GrpcConfig>,
}

/// Where `serve` listens for gRPC alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GrpcConfig {
    /// Address.
    pub listen: SocketAddr,
    /// Certificate and key; without TLS if left out.
    #[serde(default)]
    pub tls: Option<serve::Tls>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5555)),
            metrics: None,
            tls: None,
            grpc: None,
        }
    }
}

const fn default_ct_log_timeout() -> u64 {
    10
}

impl Issuers {
    /// Reads and checks the identity configuration.
    pub fn load(&self) -> Result<Registry, Error> {
        match self {
            Self::File(path) => Ok(Registry::parse(&read(path)?)?),
            Self::Inline(text) => Ok(Registry::parse(text)?),
        }
    }
}

impl Config {
    /// A configuration with what has no default; no log, no passphrase.
    #[must_use]
    pub fn new(issuers: Issuers, certificate_chain: PathBuf, key: KeyUri) -> Self {
        Self {
            issuers,
            authority: None,
            certificate_chain: Some(certificate_chain),
            key: Some(key),
            passphrase: None,
            ct_log_url: None,
            ct_log_public_key: None,
            ct_log_timeout_seconds: default_ct_log_timeout(),
            client_signing_algorithms: None,
            pinned_jwks: PinnedJwks::default(),
            policy: Policies::default(),
            inventory: None,
            refresh: Refresh::default(),
            server: ServerConfig::default(),
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(&read(path)?).map_err(|error| match error {
            Error::Config(reason) => Error::Config(format!("{}: {reason}", path.display())),
            error => error,
        })
    }

    /// Reads YAML text.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        let config: Self =
            serde_saphyr::from_str(yaml).map_err(|error| Error::Config(error.to_string()))?;
        config.allow_list()?;
        config.ct_log_timeout()?;
        config.source()?;
        if config.ct_log_url.is_some() != config.ct_log_public_key.is_some() {
            return Err(Error::Config(
                "ct-log-url and ct-log-public-key belong together: the log's promises are always verified".to_owned(),
            ));
        }
        Ok(config)
    }

    /// Where key and chain come from.
    pub(crate) fn source(&self) -> Result<Source, Error> {
        Source::named(
            Purpose::CodeSigning,
            self.authority.as_deref(),
            self.certificate_chain.as_deref(),
            self.key.as_ref(),
        )
        .ok_or_else(|| {
            Error::Config(
                "name either authority (a directory that `fulcio-rs ca init` made), or both certificate-chain and key"
                    .to_owned(),
            )
        })
    }

    pub(crate) fn allow_list(&self) -> Result<AllowList, Error> {
        match &self.client_signing_algorithms {
            None => Ok(AllowList::default()),
            Some(names) if names.is_empty() => Err(Error::Config(
                "client-signing-algorithms is empty, so no key would be accepted".to_owned(),
            )),
            Some(names) => {
                AllowList::from_names(names).map_err(|error| Error::Config(error.to_string()))
            }
        }
    }

    pub(crate) fn ct_log_timeout(&self) -> Result<Duration, Error> {
        match self.ct_log_timeout_seconds {
            seconds @ 1..=60 => Ok(Duration::from_secs(seconds)),
            _ => Err(Error::Config(
                "ct-log-timeout-seconds must be 1 to 60".to_owned(),
            )),
        }
    }
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "issuers: a.yaml\ncertificate-chain: c.pem\nkey: file:k.pem\n";

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.issuers, Issuers::File("a.yaml".into()));
        assert_eq!(config.server.listen.port(), 5555);
        assert_eq!(config.allow_list().unwrap(), AllowList::default());
    }

    #[test]
    fn contradictions_and_unknown_keys_are_refused() {
        for (extra, reason) in [
            ("ct-log-url: http://localhost:1/ct", "belong together"),
            ("ct-log-public-key: k.pem", "belong together"),
            ("ct-log-timeout-seconds: 0", "1 to 60"),
            ("client-signing-algorithms: []", "is empty"),
            ("client-signing-algorithms: [rsa]", "not supported"),
            ("issuer: x", "issuer"),
            ("server: {port: 1}", "port"),
            ("authority: /etc/ca", "name either authority"),
        ] {
            let error = Config::parse(&format!("{LEAST}{extra}\n"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{extra}: {error}");
        }
        let directory = Config::parse("issuers: a.yaml\nauthority: /etc/ca\n").unwrap();
        assert!(matches!(
            directory.source().unwrap(),
            Source::Directory { .. }
        ));
        for missing in [
            "issuers: a.yaml\n",
            "issuers: a.yaml\nkey: file:k\n",
            "issuers: a.yaml\nauthority: /etc/ca\nkey: file:k\n",
            "",
        ] {
            assert!(Config::parse(missing).is_err());
        }
    }

    #[test]
    fn a_log_and_a_passphrase() {
        let text = format!(
            "{LEAST}ct-log-url: http://localhost:1/ct\nct-log-public-key: ct.pub\npassphrase:\n  file: p.txt\nserver:\n  listen: 0.0.0.0:80\n"
        );
        let config = Config::parse(&text).unwrap();
        assert_eq!(
            config.passphrase,
            Some(PassphraseSource::File("p.txt".into()))
        );
        assert_eq!(config.server.listen.port(), 80);
    }
}
