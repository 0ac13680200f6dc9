//! Serving the opened services, and ending them in order.

use std::time::Duration;

use axum::Router;
use logstore::SharedStore;
use serve::{Limits, ServeError};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::compose::Opened;
use super::first_entry::{self, FirstEntryError};
use super::ports::{Bound, Endpoint, Ports};

/// Time that requests at work get to finish when `up` stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often a service that is not ready is asked again.
const POLL: Duration = Duration::from_millis(10);

/// Why the services do not run.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
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
    /// The log's first entry.
    #[error(transparent)]
    FirstEntry(#[from] FirstEntryError),
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The running servers.
#[derive(Debug)]
pub struct Servers {
    ports: Ports,
    tasks: Mutex<Groups>,
    stop_first: CancellationToken,
    stop_last: CancellationToken,
    client: reqwest::Client,
    store: SharedStore,
}

/// Those that stop at once, and those that others depend on while they finish their work.
#[derive(Debug, Default)]
struct Groups {
    first: Tasks,
    last: Tasks,
}

type Tasks = JoinSet<(Endpoint, Result<(), ServeError>)>;

impl Servers {
    /// Serves every service on its sockets, and keeps the trust root fresh.
    pub fn start(opened: Opened, mut bound: Bound) -> Result<Self, ServersError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        let mut groups = Groups::default();
        let (stop_first, stop_last) = (CancellationToken::new(), CancellationToken::new());
        for (endpoint, router, limits) in opened.routers {
            let (tasks, stop) = match endpoint {
                // The certificate authority needs the CT log and the issuer for what it is working on.
                Endpoint::Rekor | Endpoint::Oidc => (&mut groups.last, &stop_last),
                Endpoint::Fulcio | Endpoint::Tsa | Endpoint::Tuf => {
                    (&mut groups.first, &stop_first)
                }
            };
            serve_on(&mut bound, endpoint, &router, limits, tasks, stop);
        }
        let (repository, stop) = (opened.repository, stop_first.clone());
        groups.first.spawn(async move {
            tuf_root::refresh::run(repository, tuf_root::refresh::DISTANCES.to_vec(), stop).await;
            (Endpoint::Tuf, Ok(()))
        });
        Ok(Self {
            ports: bound.ports,
            tasks: Mutex::new(groups),
            stop_first,
            stop_last,
            client,
            store: opened.store,
        })
    }

    /// Waits until every service says that it can do its job, and the log has its first entry.
    pub async fn ready(&self, within: Duration) -> Result<(), ServersError> {
        let waiting = async {
            for endpoint in Endpoint::ALL {
                self.service_ready(endpoint, within).await?;
            }
            Ok(first_entry::ensure(&self.client, &self.ports.base(Endpoint::Rekor)).await?)
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
    ) -> Result<(), ServersError> {
        let url = format!("{}/readyz", self.ports.base(endpoint));
        let mut reason = "no answer".to_owned();
        let asking = async {
            while let Err(refusal) = self.ask(&url).await {
                reason = refusal;
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(within, asking).await.is_ok() {
            return Ok(());
        }
        Err(ServersError::NotReady {
            service: endpoint.name(),
            seconds: within.as_secs(),
            reason,
        })
    }

    async fn ask(&self, url: &str) -> Result<(), String> {
        match self.client.get(url).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answer.text().await.unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Waits for a server to end by itself, which it never should.
    pub async fn failed(&self) -> ServersError {
        let mut tasks = self.tasks.lock().await;
        let Groups { first, last } = &mut *tasks;
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
        ServersError::Ended { service, reason }
    }

    /// Finishes the requests at work and ends the services: those first that need others.
    pub async fn stop(self) {
        let Groups {
            mut first,
            mut last,
        } = self.tasks.into_inner();
        self.stop_first.cancel();
        while first.join_next().await.is_some() {}
        self.stop_last.cancel();
        while last.join_next().await.is_some() {}
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the database was not closed; nothing is lost");
        }
    }
}

fn serve_on(
    bound: &mut Bound,
    endpoint: Endpoint,
    router: &Router,
    limits: Limits,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) {
    let limits = Limits {
        drain: DRAIN,
        ..limits
    };
    for socket in bound.take(endpoint) {
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn(async move {
            let served = serve::serve(endpoint.name(), socket, router, None, limits, stop).await;
            (endpoint, served)
        });
    }
}
