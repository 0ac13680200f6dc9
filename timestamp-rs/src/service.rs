//! The service: opened from its configuration, checked, then served.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use clock::SharedClock;
use custody::{Current, Material, Source};
use keys::{PassphraseError, PassphraseSource};
use pki::chain::ChainError;
use pki::rfc3161::{Embed, Profile, TokenError};
use serve::{Health, Held, Probe};

use crate::authority::{Authority, Signing};
use crate::config::{Config, ConfigError};
use crate::synchrony::{Synchrony, Watch};
use crate::{api, config};

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
    /// The key and the certificates.
    #[error(transparent)]
    Source(#[from] custody::SourceError),
    /// The certificates cannot be used for timestamps.
    #[error("certificate chain: {0}")]
    Chain(#[from] ChainError),
    /// The key or certificate does not fit timestamps.
    #[error(transparent)]
    Profile(#[from] TokenError),
}

impl Service {
    /// Opens the key and the certificates, checks that clients will accept what they sign, and
    /// starts to watch the clock if so configured.
    pub async fn open(config: Config, clock: SharedClock) -> Result<Self, OpenError> {
        config.check()?;
        let source = config.source()?;
        // Taken before the content: what changes while it is read is noticed afterwards.
        let opened = source.stamp();
        let door = Door {
            source: source.clone(),
            passphrase: config.passphrase,
            intermediate_eku: config.enforce_intermediate_eku,
            embed: if config.include_chain {
                Embed::Chain
            } else {
                Embed::Leaf
            },
            clock: Arc::clone(&clock),
        };
        let signing = Arc::new(Current::new(door.open().await?));
        let door = Arc::new(door);
        custody::follow("timestamp", source, opened, &signing, move || {
            let door = Arc::clone(&door);
            async move { door.open().await }
        });
        let synchrony = Arc::new(Synchrony::default());
        let watch = Watch::start(&config.clock, Arc::clone(&clock), Arc::clone(&synchrony)).await;
        let authority = Authority {
            signing,
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
            .with(Held::new(KeyProbe(Arc::clone(&self.authority))))
            .with(ClockProbe(Arc::clone(&self.authority)))
            .with(CertificateProbe(Arc::clone(&self.authority)));
        api::router(Arc::clone(&self.authority), self.limits.body).merge(health.router())
    }

    /// The certificates, leaf first, each as PEM: what `certchain` answers and what a trusted root
    /// has to hold.
    #[must_use]
    pub fn certificate_chain(&self) -> Vec<String> {
        self.authority.signing.get().chain.to_pem()
    }
}

/// How key and certificates are opened, at start and whenever they have changed.
struct Door {
    source: Source,
    passphrase: Option<PassphraseSource>,
    intermediate_eku: bool,
    embed: Embed,
    clock: SharedClock,
}

impl Door {
    async fn open(&self) -> Result<Signing, OpenError> {
        let passphrase = self.passphrase.as_ref().map(PassphraseSource::read);
        let passphrase = passphrase.transpose()?;
        let Material { chain, signer, .. } = self.source.open(passphrase.as_ref()).await?;
        chain.check_timestamp_authority(
            signer.public_key(),
            self.clock.now(),
            self.intermediate_eku,
        )?;
        let profile = Profile::new(&chain, self.embed)?;
        let (_, until) = chain.validity();
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("timestamp_certificate_not_after_seconds").set(until.as_secs_f64());
        tracing::info!(
            key_sha256 = hex::encode(signer.public_key().key_id()),
            key_version = signer.key_version(),
            certificate_sha256 = hex::encode(crypto::sha256(chain.first())),
            "opened the timestamp authority"
        );
        Ok(Signing {
            signer,
            chain,
            profile,
        })
    }
}

/// What the key signs to show that it can; not the start of signed attributes.
const MESSAGE: &[u8] = b"timestamp-rs readiness probe";

struct KeyProbe(Arc<Authority>);

#[async_trait::async_trait]
impl Probe for KeyProbe {
    fn name(&self) -> &'static str {
        "key"
    }

    async fn check(&self) -> Result<(), String> {
        let signing = self.0.signing.get();
        let signed = signing.signer.sign(MESSAGE).await;
        signed.map(drop).map_err(|error| error.to_string())
    }
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
            .signing
            .get()
            .check_valid(self.0.clock.now())
            .map_err(|error| error.to_string())
    }
}
