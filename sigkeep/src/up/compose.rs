//! Opening the services and serving them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clock::SharedClock;
use keys::{KeyUri, PassphraseError, PassphraseSource};
use logstore::{SharedStore, StoreError};
use serve::{Health, Limits, ServeError};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use wire::trust::{ServiceMaterial, Timestamp};

use super::announce::Endpoints;
use super::first_entry::FirstEntryError;
use super::layout::{self, Layout, LayoutError, LogIds, State};
use super::material::{Authority, LogKey, Material};
use super::ports::{Bound, Endpoint, Ports};
use super::{first_entry, issuers, trust};
use crate::oidc::{self, Issuer, NotLoopback};
use crate::store;

/// Name of the CT log, and the prefix of its paths.
pub const CT_ORIGIN: &str = "ctlog";

/// Host of every URL, and so the name in the Rekor log's checkpoints.
const HOST: &str = "localhost";

/// Time that requests at work get to finish when `up` stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often a service that is not ready is asked again.
const POLL: Duration = Duration::from_millis(10);

/// Why the services do not run.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A URL.
    #[error("a service URL: {0}")]
    Url(#[from] url::ParseError),
    /// The issuer would leave loopback.
    #[error(transparent)]
    Oidc(#[from] NotLoopback),
    /// A server ended.
    #[error("{service} stopped serving: {reason}")]
    Ended {
        /// Which.
        service: &'static str,
        /// Why.
        reason: String,
    },
    /// A service does not become ready.
    #[error("{service} did not become ready within {seconds} s: {reason}")]
    NotReady {
        /// Which.
        service: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// What it answered last.
        reason: String,
    },
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
    /// The log's first entry.
    #[error(transparent)]
    FirstEntry(#[from] FirstEntryError),
    /// The certificate authority.
    #[error("the certificate authority: {0}")]
    Fulcio(#[from] fulcio_rs::Error),
    /// The timestamp authority.
    #[error("the timestamp authority: {0}")]
    Timestamp(#[from] timestamp_rs::OpenError),
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The running services.
#[derive(Debug)]
pub struct Stack {
    ports: Ports,
    servers: Mutex<Servers>,
    stop_first: CancellationToken,
    stop_last: CancellationToken,
    client: reqwest::Client,
    store: SharedStore,
}

/// Those that stop at once, and those that others depend on while they finish their work.
#[derive(Debug, Default)]
struct Servers {
    first: Tasks,
    last: Tasks,
}

type Tasks = JoinSet<(Endpoint, Result<(), ServeError>)>;

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

impl Stack {
    /// Opens every service, serves it, and writes the files that clients need.
    pub async fn start(plan: Plan<'_>, mut bound: Bound) -> Result<Self, ComposeError> {
        let mut servers = Servers::default();
        let (stop_first, stop_last) = (CancellationToken::new(), CancellationToken::new());
        let opened = plan.open().await?;
        for (endpoint, router, limits) in opened.routers {
            let limits = Limits {
                drain: DRAIN,
                ..limits
            };
            let (tasks, stop) = match endpoint {
                // The certificate authority needs the CT log and the issuer for what it is working on.
                Endpoint::Rekor | Endpoint::Oidc => (&mut servers.last, &stop_last),
                Endpoint::Fulcio | Endpoint::Tsa | Endpoint::Tuf => {
                    (&mut servers.first, &stop_first)
                }
            };
            for socket in bound.take(endpoint) {
                let (router, stop) = (router.clone(), stop.clone());
                tasks.spawn(async move {
                    (
                        endpoint,
                        serve::serve(endpoint.name(), socket, router, None, limits, stop).await,
                    )
                });
            }
        }
        let (repository, stop) = (opened.repository, stop_first.clone());
        servers.first.spawn(async move {
            tuf_root::refresh::run(repository, stop).await;
            (Endpoint::Tuf, Ok(()))
        });
        Ok(Self {
            ports: bound.ports,
            servers: Mutex::new(servers),
            stop_first,
            stop_last,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(2))
                .build()?,
            store: opened.store,
        })
    }

    /// Waits until every service says that it can do its job.
    pub async fn ready(&self, within: Duration) -> Result<(), ComposeError> {
        let waiting = async {
            for endpoint in Endpoint::ALL {
                self.service_ready(endpoint, within).await?;
            }
            Ok(())
        };
        tokio::select! {
            done = waiting => done,
            failure = self.failed() => Err(failure),
        }
    }

    async fn service_ready(
        &self,
        endpoint: Endpoint,
        within: Duration,
    ) -> Result<(), ComposeError> {
        let url = format!("{}/readyz", self.ports.base(endpoint));
        let mut reason = "no answer".to_owned();
        let asking = async {
            loop {
                match self.client.get(&url).send().await {
                    Ok(answer) if answer.status().is_success() => return,
                    Ok(answer) => {
                        reason = answer
                            .text()
                            .await
                            .unwrap_or_default()
                            .chars()
                            .take(500)
                            .collect()
                    }
                    Err(error) => reason = error.to_string(),
                }
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(within, asking).await.is_ok() {
            return Ok(());
        }
        Err(ComposeError::NotReady {
            service: endpoint.name(),
            seconds: within.as_secs(),
            reason,
        })
    }

    /// Makes sure that the Rekor log is not empty.
    pub async fn first_entry(&self) -> Result<(), ComposeError> {
        Ok(first_entry::ensure(&self.client, &self.ports.base(Endpoint::Rekor)).await?)
    }

    /// Waits for a server to end by itself, which it never should.
    pub async fn failed(&self) -> ComposeError {
        let mut servers = self.servers.lock().await;
        let Servers { first, last } = &mut *servers;
        let ended = tokio::select! {
            Some(ended) = first.join_next() => ended,
            Some(ended) = last.join_next() => ended,
            else => return std::future::pending().await,
        };
        let (service, reason) = match ended {
            Ok((endpoint, Err(error))) => (endpoint.name(), error.to_string()),
            Ok((endpoint, Ok(()))) => (endpoint.name(), "it was told to".to_owned()),
            Err(error) => ("a service", error.to_string()),
        };
        ComposeError::Ended { service, reason }
    }

    /// Finishes the requests at work and ends the services: those first that need others.
    pub async fn stop(self) {
        let Servers {
            mut first,
            mut last,
        } = self.servers.into_inner();
        self.stop_first.cancel();
        while first.join_next().await.is_some() {}
        self.stop_last.cancel();
        while last.join_next().await.is_some() {}
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the database was not closed; nothing is lost");
        }
    }
}

/// Every service, ready to be served.
struct Opened {
    store: SharedStore,
    routers: Vec<(Endpoint, Router, Limits)>,
    repository: tuf_root::Repository,
}

impl Plan<'_> {
    async fn open(self) -> Result<Opened, ComposeError> {
        let endpoints = Endpoints::on(&self.state.ports);
        let services = trust::services(self.state, &self.material, &endpoints)?;
        // Deriving the key of each encrypted file takes tens of milliseconds: side by side.
        let ((rekor, store), fulcio, timestamp, repository) = tokio::try_join!(
            self.open_rekor(),
            self.open_fulcio(&endpoints),
            self.open_timestamp(),
            self.open_repository(&services),
        )?;
        let root = layout::read(&repository.first_root_json())?;
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
        layout::replace(&roots, root.as_bytes())?;

        let LogIds { rekor, ct } = self.state.logs;
        let log = |id, kind, origin: Option<&str>, key: &LogKey| rekor_rs::LogConfig {
            id: Some(id),
            kind,
            origin: origin.map(str::to_owned),
            key: KeyUri::file(&key.key),
            passphrase: None,
        };
        let config = rekor_rs::Config {
            hostname: HOST.to_owned(),
            logs: vec![
                log(rekor, rekor_rs::Kind::RekorV1, None, &self.material.rekor),
                log(ct, rekor_rs::Kind::Ct, Some(CT_ORIGIN), &self.material.ct),
            ],
            guard_dir: self.layout.guard(),
            passphrase: Some(self.passphrase()),
            ct_roots: Some(roots),
            limits: rekor_rs::Limits::default(),
            disabled_endpoints: std::collections::BTreeSet::new(),
            server: rekor_rs::ServerConfig::default(),
        };
        let service = rekor_rs::Service::open(config, store.clone(), self.clock.clone()).await?;
        Ok((service, store))
    }

    async fn open_fulcio(&self, endpoints: &Endpoints) -> Result<fulcio_rs::Service, ComposeError> {
        let path = self.layout.fulcio_config();
        if layout::read_optional(&path)?.is_none() {
            layout::create(&path, issuers::configuration(&self.state.ports).as_bytes())?;
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
        self.layout
            .check_not_lost(self.state, &directory.join("state.json"))?;
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
