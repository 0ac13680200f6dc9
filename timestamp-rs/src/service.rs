//! The service: opened from its configuration, checked, then served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use clock::SharedClock;
use keys::PassphraseError;
use pki::chain::{Chain, ChainError};
use pki::rfc3161::{Embed, Profile, TokenError};
use serve::{Health, Probe};

use crate::authority::Authority;
use crate::config::{Config, ConfigError};
use crate::synchrony::{Synchrony, Watch};
use crate::{api, config};

/// Longest certificate file that is read, in bytes.
const MAX_CHAIN_FILE: u64 = 1 << 20;

/// A timestamp authority that is ready to serve.
#[derive(Debug)]
pub struct Service {
    authority: Arc<Authority>,
    limits: config::Limits,
}

/// Why the service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The passphrase of the key.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The key.
    #[error(transparent)]
    Key(#[from] keys::OpenError),
    /// The certificate file could not be read.
    #[error("{path}: {source}")]
    ReadChain {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The certificates cannot be used for timestamps.
    #[error("{path}: {source}")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ChainError,
    },
    /// The key or certificate does not fit timestamps.
    #[error(transparent)]
    Profile(#[from] TokenError),
}

impl Service {
    /// Opens the key and the certificates, checks that clients will accept what they sign, and
    /// starts to watch the clock if so configured.
    pub async fn open(config: Config, clock: SharedClock) -> Result<Self, OpenError> {
        config.check()?;
        let passphrase = config
            .passphrase
            .as_ref()
            .map(keys::PassphraseSource::read)
            .transpose()?;
        let signer = keys::open(&config.key, passphrase.as_ref()).await?;
        let chain = read_chain(&config.certificate_chain).await?;
        chain
            .check_timestamp_authority(
                signer.public_key(),
                clock.now(),
                config.enforce_intermediate_eku,
            )
            .map_err(|source| OpenError::Chain {
                path: config.certificate_chain.clone(),
                source,
            })?;
        let embed = if config.include_chain {
            Embed::Chain
        } else {
            Embed::Leaf
        };
        let profile = Profile::new(&chain, embed)?;
        let synchrony = Arc::new(Synchrony::default());
        let watch = Watch::start(&config.clock, Arc::clone(&clock), Arc::clone(&synchrony)).await;
        let authority = Authority {
            signer,
            chain,
            profile,
            policy: config.policy,
            accepted_policies: config.accepted_policies,
            clock,
            synchrony,
            _watch: watch,
        };
        Ok(Self {
            authority: Arc::new(authority),
            limits: config.limits,
        })
    }

    /// The HTTP interface, health included.
    pub fn router(&self) -> Router {
        let health = Health::default()
            .with(ClockProbe(Arc::clone(&self.authority)))
            .with(CertificateProbe(Arc::clone(&self.authority)));
        api::router(Arc::clone(&self.authority), self.limits.body).merge(health.router())
    }

    /// The certificates, leaf first, each as PEM: what `certchain` answers and what a trusted root
    /// has to hold.
    #[must_use]
    pub fn certificate_chain(&self) -> Vec<String> {
        self.authority.chain.to_pem()
    }
}

async fn read_chain(path: &Path) -> Result<Chain, OpenError> {
    use tokio::io::AsyncReadExt;
    let read = async {
        let mut pem = String::new();
        tokio::fs::File::open(path)
            .await?
            .take(MAX_CHAIN_FILE)
            .read_to_string(&mut pem)
            .await?;
        Ok(pem)
    };
    let pem = read.await.map_err(|source| OpenError::ReadChain {
        path: path.to_owned(),
        source,
    })?;
    Chain::from_pem(&pem).map_err(|source| OpenError::Chain {
        path: path.to_owned(),
        source,
    })
}

struct ClockProbe(Arc<Authority>);

#[async_trait::async_trait]
impl Probe for ClockProbe {
    fn name(&self) -> &'static str {
        "clock"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.synchrony.check()
    }
}

struct CertificateProbe(Arc<Authority>);

#[async_trait::async_trait]
impl Probe for CertificateProbe {
    fn name(&self) -> &'static str {
        "certificate"
    }

    async fn check(&self) -> Result<(), String> {
        self.0
            .check_valid(self.0.clock.now())
            .map_err(|error| error.to_string())
    }
}
