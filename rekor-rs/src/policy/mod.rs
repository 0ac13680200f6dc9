//! Who may write to the log, and how much: optional rules for a private log.
//!
//! ```text
//! clients   who may ask: a client certificate's names, or an identity token's claims
//! quota     how often: a token bucket for each client
//! signers   what may be logged: signatures under our authority's certificates, or listed keys
//! ```
//!
//! Clients and quota are looked at before the request's body is read, signers after the entry's
//! signatures were verified.

mod clients;
mod config;
mod quota;
mod signers;

pub use config::{ClientsConfig, PolicyConfig, QuotaConfig, SignersConfig, TokenConfig};
pub(crate) use signers::Signers;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use clock::SharedClock;
use http::Extensions;
use http::HeaderMap;

use crate::config::ConfigError;
use clients::Clients;
use quota::Quota;

/// Why somebody may not do what they ask for. Texts are answers to clients: which rule, and what to
/// do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody said who they are, or not so that it could be believed.
    #[error("{0} (rule write-policy.clients)")]
    Unauthenticated(String),
    /// It is known who asks, and they are not on the list.
    #[error("{0} (rule write-policy.clients)")]
    Client(String),
    /// Something that signed the entry is not on the list.
    #[error("{0} (rule write-policy.signers)")]
    Signer(String),
    /// Too much for now.
    #[error(
        "{client} may add {per_minute} entries a minute to this log, and has used them up; try again in {seconds} s (rule write-policy.quota)"
    )]
    Quota {
        /// Who asks.
        client: String,
        /// The rate.
        per_minute: u32,
        /// When there is room for one.
        seconds: u64,
    },
    /// It cannot be found out now who asks.
    #[error("{0}; try again later (rule write-policy.clients)")]
    Unavailable(String),
}

impl Refusal {
    /// The rule, for metrics.
    pub(crate) const fn rule(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) | Self::Client(_) | Self::Unavailable(_) => "clients",
            Self::Signer(_) => "signers",
            Self::Quota { .. } => "quota",
        }
    }
}

/// The rules about clients.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    clients: Option<Clients>,
    quota: Option<Quota>,
    reads: bool,
}

impl Policy {
    /// Reads what the configuration names.
    fn open(config: &PolicyConfig, clock: &SharedClock) -> Result<Self, ConfigError> {
        let clients = config.clients.as_ref();
        Ok(Self {
            reads: clients.is_some_and(|clients| clients.reads),
            clients: clients
                .map(|clients| Clients::open(clients, clock))
                .transpose()?,
            quota: config.quota.as_ref().map(Quota::new),
        })
    }

    /// Whether the sender of a request may read.
    pub(crate) async fn admit_reader(
        &self,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<(), Refusal> {
        match &self.clients {
            Some(clients) if self.reads => clients
                .authenticate(headers, connection)
                .await
                .map(drop)
                .inspect_err(|refusal| note(refusal, "a reader")),
            _ => Ok(()),
        }
    }

    /// Whether the sender of a request may write now; takes one from their quota.
    pub(crate) async fn admit_writer(
        &self,
        headers: &HeaderMap,
        connection: &Extensions,
    ) -> Result<(), Refusal> {
        let address = connection
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical());
        let admitted = async {
            let client = match &self.clients {
                Some(clients) => Some(clients.authenticate(headers, connection).await?),
                None => None,
            };
            match &self.quota {
                Some(quota) => quota.take(client, address),
                None => Ok(()),
            }
        };
        let who = || address.map_or_else(|| "a writer".to_owned(), |address| address.to_string());
        admitted.await.inspect_err(|refusal| note(refusal, &who()))
    }
}

/// Logs and counts a refusal.
pub(crate) fn note(refusal: &Refusal, client: &str) {
    let rule = refusal.rule();
    metrics::counter!("rekor_refused_submissions_total", "rule" => rule).increment(1);
    tracing::warn!(rule, client, reason = %refusal, "refused by the write policy");
}

/// All rules; those about signers, if there are any, apart, for where entries are verified.
pub(crate) fn open(
    config: &PolicyConfig,
    clock: &SharedClock,
) -> Result<(Policy, Option<Arc<Signers>>), ConfigError> {
    let signers = config.signers.as_ref().map(Signers::open).transpose()?;
    Ok((Policy::open(config, clock)?, signers.map(Arc::new)))
}
