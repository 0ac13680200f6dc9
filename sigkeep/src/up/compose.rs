//! Opening the services: each with its own configuration, as it would be by itself. They talk HTTP
//! with one another, also here.

use std::sync::Arc;

use axum::Router;
use clock::SharedClock;
use keys::{KeyUri, PassphraseError, PassphraseSource};
use logstore::{SharedStore, StoreError};
use serve::{Health, Limits};
use url::Url;
use wire::trust::{ServiceMaterial, Timestamp};

use super::announce::Endpoints;
use super::files::{self, FileError};
use super::layout::{Layout, LayoutError};
use super::material::{Authority, LogKey, Material};
use super::ports::Endpoint;
use super::state::{LogIds, State};
use super::{issuers, trust};
use crate::oidc::{self, Issuer, NotLoopback};
use crate::store;

/// Name of the CT log, and the prefix of its paths.
pub const CT_ORIGIN: &str = "ctlog";

/// Host of every URL, and so the name in the Rekor log's checkpoints.
const HOST: &str = "localhost";

/// Why the services could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A URL.
    #[error("a service URL: {0}")]
    Url(#[from] url::ParseError),
    /// The issuer would leave loopback.
    #[error(transparent)]
    Oidc(#[from] NotLoopback),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data directory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The trust material.
    #[error(transparent)]
    Trust(#[from] trust::TrustFilesError),
    /// The TUF repository's content.
    #[error("the trust root: {0}")]
    Targets(#[from] tuf_root::trust::TargetsError),
    /// The TUF repository.
    #[error("the trust root: {0}")]
    Repository(#[from] tuf_root::RepositoryError),
    /// The passphrase of the keys.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The clock shows a time that trust material cannot express.
    #[error("the clock: {0}")]
    Time(String),
    /// The database.
    #[error("the logs: {0}")]
    Store(#[from] StoreError),
    /// The log service.
    #[error("the logs: {0}")]
    Rekor(#[from] rekor_rs::Error),
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Fulcio(#[from] fulcio_rs::Error),
    /// The timestamp authority.
    #[error("the timestamp authority: {0}")]
    Timestamp(#[from] timestamp_rs::OpenError),
}

/// What the services are opened with.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The data directory.
    pub layout: &'a Layout,
    /// What it remembers.
    pub state: &'a State,
    /// Keys and certificates.
    pub material: Material,
    /// URL of the PostgreSQL database; the directory's own file without.
    pub database: Option<&'a str>,
    /// The one clock of all services.
    pub clock: SharedClock,
}

/// Every service, ready to be served.
#[derive(Debug)]
pub struct Opened {
    /// The logs' database.
    pub store: SharedStore,
    /// The HTTP interfaces, in the order in which they start to answer.
    pub routers: Vec<(Endpoint, Router, Limits)>,
    /// The trust root, to be kept fresh.
    pub repository: tuf_root::Repository,
}

impl Plan<'_> {
    /// Opens every service and writes the files that clients need.
    pub async fn open(self) -> Result<Opened, ComposeError> {
        for needed in [
            self.layout.tuf().join("state.json"),
            self.layout.tuf().join("keys"),
        ] {
            self.layout.check_not_lost(self.state, &needed)?;
        }
        let endpoints = Endpoints::on(&self.state.ports);
        let services = trust::services(self.state, &self.material, &endpoints)?;
        // First what may refuse, and last what begins to talk to others.
        let (rekor, store) = self.open_rekor().await?;
        let timestamp = self.open_timestamp().await?;
        let repository = self.open_repository(&services).await?;
        let fulcio = self.open_fulcio(&endpoints).await?;
        let root = files::read(&repository.first_root_json())?;
        trust::write_files(self.layout, &services, &self.material, &endpoints, &root)?;

        let Self {
            state,
            material,
            clock,
            ..
        } = self;
        let issuer = Issuer::new(
            &state.ports.url(Endpoint::Oidc)?,
            material.oidc,
            clock.clone(),
        )?;
        let oidc = oidc::router(Arc::new(issuer)).merge(Health::default().router());
        let tuf = tuf_root::server::router(repository.published_dir(), clock);
        let limits = Limits::default();
        let rekor_limits = Limits {
            body: rekor_rs::Limits::default().body,
            ..limits
        };
        let routers = vec![
            (Endpoint::Oidc, oidc, limits),
            (Endpoint::Rekor, rekor.router(), rekor_limits),
            (Endpoint::Fulcio, fulcio.router(), fulcio_rs::limits()),
            (Endpoint::Tsa, timestamp.router(), limits),
            (Endpoint::Tuf, tuf, limits),
        ];
        Ok(Opened {
            store,
            routers,
            repository,
        })
    }

    async fn open_rekor(&self) -> Result<(rekor_rs::Service, SharedStore), ComposeError> {
        let store = match self.database {
            Some(url) => store::open(url).await?,
            None => {
                let path = self.layout.database();
                self.layout.check_not_lost(self.state, &path)?;
                store::sqlite(&path).await?
            }
        };
        // Certificates of the authority next door are the only ones that the CT log takes.
        let roots = self.layout.certificates().join("ct-roots.pem");
        let root = self
            .material
            .fulcio
            .chain
            .to_pem()
            .pop()
            .unwrap_or_default();
        files::replace(&roots, root.as_bytes())?;

        let LogIds { rekor, ct } = self.state.logs;
        let log = |id, kind, origin: Option<&str>, key: &LogKey| rekor_rs::LogConfig {
            id: Some(id),
            kind,
            origin: origin.map(str::to_owned),
            key: KeyUri::file(&key.key),
            passphrase: None,
        };
        let logs = vec![
            log(rekor, rekor_rs::Kind::RekorV1, None, &self.material.rekor),
            log(ct, rekor_rs::Kind::Ct, Some(CT_ORIGIN), &self.material.ct),
        ];
        let mut config = rekor_rs::Config::new(HOST, logs, self.layout.guard());
        config.passphrase = Some(self.passphrase());
        config.ct_roots = Some(roots);
        match rekor_rs::Service::open(config, store.clone(), self.clock.clone()).await {
            Ok(service) => Ok((service, store)),
            Err(refusal) => {
                // A write-ahead log left here would be applied to the file that is restored next.
                if let Err(error) = store.close().await {
                    tracing::warn!(%error, "the database was not closed");
                }
                Err(refusal.into())
            }
        }
    }

    async fn open_fulcio(&self, endpoints: &Endpoints) -> Result<fulcio_rs::Service, ComposeError> {
        let path = self.layout.fulcio_config();
        if files::read_optional(&path)?.is_none() {
            files::create(&path, issuers::configuration(&self.state.ports).as_bytes())?;
        }
        let Authority {
            key, chain_file, ..
        } = &self.material.fulcio;
        let issuers = fulcio_rs::Issuers::File(path);
        let mut config = fulcio_rs::Config::new(issuers, chain_file.clone(), KeyUri::file(key));
        config.passphrase = Some(self.passphrase());
        config.ct_log_url = Some(Url::parse(&endpoints.ct)?);
        config.ct_log_public_key = Some(self.material.ct.public_file.clone());
        Ok(fulcio_rs::Service::open(config, self.clock.clone()).await?)
    }

    async fn open_timestamp(&self) -> Result<timestamp_rs::Service, ComposeError> {
        let Authority {
            key, chain_file, ..
        } = &self.material.tsa;
        let mut config = timestamp_rs::Config::new(chain_file, KeyUri::file(key));
        config.passphrase = Some(self.passphrase());
        Ok(timestamp_rs::Service::open(config, self.clock.clone()).await?)
    }

    async fn open_repository(
        &self,
        services: &ServiceMaterial,
    ) -> Result<tuf_root::Repository, ComposeError> {
        let directory = self.layout.tuf();
        let passphrase = self.passphrase().read()?;
        let now = Timestamp::from_ms(self.clock.now_ms())
            .map_err(|error| ComposeError::Time(error.to_string()))?;
        let targets = tuf_root::target_files(services, now)?;
        Ok(tuf_root::bootstrap(&directory, &passphrase, targets, self.clock.clone()).await?)
    }

    fn passphrase(&self) -> PassphraseSource {
        PassphraseSource::File(self.material.passphrase.clone())
    }
}
