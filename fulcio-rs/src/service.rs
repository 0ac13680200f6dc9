//! The service: opened from its configuration, with every part checked first.

use std::sync::Arc;

use axum::Router;
use clock::SharedClock;
use crypto::PublicKey;
use pki::chain::Chain;

use crate::certify::Certifier;
use crate::config::{Config, read};
use crate::error::Error;
use crate::identity::Identities;
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
        let chain = Chain::from_pem(&read(&config.certificate_chain)?)?;
        let passphrase = config
            .passphrase
            .as_ref()
            .map(keys::PassphraseSource::read)
            .transpose()?;
        let signer = keys::open(&config.key, passphrase.as_ref()).await?;
        crypto::check_strength(signer.public_key())
            .map_err(|error| Error::Authority(error.to_string()))?;
        let authority = Authority::new(chain, signer, clock.now())?;
        let ct = open_log(&config)?;
        if ct.is_none() {
            tracing::warn!(
                "no certificate transparency log is configured: most clients refuse certificates without an SCT"
            );
        }
        let identities = Identities::new(registry, config.refresh)?;
        let certifier = Arc::new(Certifier {
            identities,
            allowed,
            issuer: Issuer::new(authority, ct, Arc::clone(&clock)),
            clock,
        });
        // In the background: a provider that is down must not hold up the start.
        let warming = Arc::clone(&certifier);
        tokio::spawn(async move { warming.identities.warm().await });
        Ok(Self { certifier })
    }

    /// The API, with `/healthz` and `/readyz`.
    pub fn router(&self) -> Router {
        api::router(
            Arc::clone(&self.certifier),
            readiness::health(&self.certifier).router(),
        )
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

/// Makes aws-lc-rs the process's provider of TLS, unless the program chose one already.
fn install_crypto() {
    let _already_chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
