//! The service: opened from its configuration, with every part checked first.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use clock::SharedClock;
use crypto::PublicKey;
use custody::{Material, Source};
use keys::PassphraseSource;

use crate::certify::Certifier;
use crate::config::{Config, read};
use crate::error::Error;
use crate::identity::Identities;
use crate::inventory::Inventory;
use crate::issuance::{Authority, CtLog, Issuer};
use crate::{api, readiness};

/// A certificate authority that is ready to issue.
#[derive(Clone, Debug)]
pub struct Service {
    certifier: Arc<Certifier>,
}

impl Service {
    /// Opens the key and checks chain, log and identity configuration; whatever is wrong is said
    /// now and not to the first client. Identity providers that do not answer are asked again
    /// later.
    pub async fn open(config: Config, clock: SharedClock) -> Result<Self, Error> {
        install_crypto();
        let registry = config.issuers.load()?;
        let allowed = config.allow_list()?;
        let source = config.source()?;
        // Taken before the content: what changes while it is read is noticed afterwards.
        let opened = source.stamp();
        let door = Door {
            source: source.clone(),
            passphrase: config.passphrase.clone(),
            clock: Arc::clone(&clock),
        };
        let authority = door.open().await?;
        metrics::gauge!("fulcio_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let ct = open_log(&config)?;
        if ct.is_none() {
            tracing::warn!(
                "no certificate transparency log is configured: most clients refuse certificates without an SCT"
            );
        }
        config.policy.check(&registry).map_err(Error::Config)?;
        let identities = Identities::new(registry, config.refresh, &config.pinned_jwks)?;
        let issuer = Issuer::new(authority, ct, Arc::clone(&clock));
        let door = Arc::new(door);
        custody::follow("fulcio", source, opened, issuer.current(), move || {
            let door = Arc::clone(&door);
            async move { door.open().await }
        });
        let certifier = Arc::new(Certifier {
            identities,
            allowed,
            policies: config.policy,
            inventory: config
                .inventory
                .as_deref()
                .map(Inventory::open)
                .transpose()?,
            issuer,
            clock,
        });
        // In the background: a provider that is down must not hold up the start.
        let warming = Arc::clone(&certifier);
        tokio::spawn(async move { warming.identities.warm().await });
        Ok(Self { certifier })
    }

    /// The gRPC API alone, for a listener of its own.
    pub fn grpc_router(&self) -> Router {
        api::grpc_router(Arc::clone(&self.certifier))
    }

    /// The API, REST and gRPC, with `/healthz` and `/readyz`.
    pub fn router(&self) -> Router {
        api::router(
            Arc::clone(&self.certifier),
            readiness::health(&self.certifier).router(),
        )
    }
}

/// How the certificate authority is opened, at start and whenever it has changed.
struct Door {
    source: Source,
    passphrase: Option<PassphraseSource>,
    clock: SharedClock,
}

impl Door {
    async fn open(&self) -> Result<Authority, Error> {
        let passphrase = self.passphrase.as_ref().map(PassphraseSource::read);
        let passphrase = passphrase.transpose()?;
        let Material {
            chain,
            signer,
            successors,
        } = self.source.open(passphrase.as_ref()).await?;
        crypto::check_strength(signer.public_key())
            .map_err(|error| Error::Authority(error.to_string()))?;
        let authority = Authority::new(chain, signer, self.clock.now())?;
        let (_, until) = authority.chain().validity();
        metrics::gauge!("fulcio_ca_not_after_timestamp_seconds").set(seconds(until));
        tracing::info!(
            key_sha256 = hex::encode(authority.key_hash()),
            key_version = authority.signer().key_version(),
            certificate_sha256 = hex::encode(crypto::sha256(authority.chain().first())),
            "opened the certificate authority"
        );
        Ok(authority.with_successors(&successors))
    }
}

fn open_log(config: &Config) -> Result<Option<CtLog>, Error> {
    let (url, key) = match (&config.ct_log_url, &config.ct_log_public_key) {
        (Some(url), Some(path)) => (url, path),
        (None, None) => return Ok(None),
        _ => {
            return Err(Error::CtLog(
                "URL and public key belong together: the log's promises are always verified"
                    .to_owned(),
            ));
        }
    };
    let key = PublicKey::from_pem(&read(key)?)
        .map_err(|error| Error::CtLog(format!("{}: {error}", key.display())))?;
    CtLog::new(url, key, config.ct_log_timeout()?)
        .map(Some)
        .map_err(Error::CtLog)
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Makes aws-lc-rs the process's provider of TLS, unless the program chose one already.
pub(crate) fn install_crypto() {
    let _already_chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
