//! What `/readyz` asks.

use std::sync::Arc;

use serve::{Held, Probe};

use crate::certify::Certifier;

/// What the key signs to show that it can; not the start of anything that a certificate could be.
const MESSAGE: &[u8] = b"fulcio-rs readiness probe";

/// Whether the certificate authority's key signs.
struct KeyProbe(Arc<Certifier>);

/// Whether the transparency log answers, and its clock agrees with ours.
struct LogProbe(Arc<Certifier>);

/// Whether the certificate authority is within its validity.
struct ValidityProbe(Arc<Certifier>);

/// The probes of a service.
pub(crate) fn health(certifier: &Arc<Certifier>) -> serve::Health {
    let health = serve::Health::default()
        .with(Held::new(KeyProbe(Arc::clone(certifier))))
        .with(ValidityProbe(Arc::clone(certifier)));
    if certifier.issuer.ct().is_some() {
        health.with(Held::new(LogProbe(Arc::clone(certifier))))
    } else {
        health
    }
}

#[async_trait::async_trait]
impl Probe for KeyProbe {
    fn name(&self) -> &'static str {
        "key"
    }

    async fn check(&self) -> Result<(), String> {
        let authority = self.0.issuer.authority();
        authority
            .signer()
            .sign(MESSAGE)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

#[async_trait::async_trait]
impl Probe for LogProbe {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.issuer.ct() {
            Some(log) => log.probe(&self.0.clock).await,
            None => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Probe for ValidityProbe {
    fn name(&self) -> &'static str {
        "certificate"
    }

    async fn check(&self) -> Result<(), String> {
        let (from, until) = self.0.issuer.authority().chain().validity();
        if (from..=until).contains(&self.0.clock.now()) {
            Ok(())
        } else {
            Err("a certificate of the chain has expired or is not valid yet".to_owned())
        }
    }
}
