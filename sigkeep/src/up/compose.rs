//! Opening the services and serving them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clock::SharedClock;
use serve::{Health, Limits, ServeError};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::layout::{Layout, State};
use super::material::Material;
use super::ports::{Bound, Endpoint, Ports};
use crate::oidc::{self, Issuer, NotLoopback};

/// Name of the CT log, and the prefix of its paths.
pub const CT_ORIGIN: &str = "ctlog";

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
}

/// Those that stop at once, and those that others depend on while they finish their work.
#[derive(Debug, Default)]
struct Servers {
    first: Tasks,
    last: Tasks,
}

type Tasks = JoinSet<(Endpoint, Result<(), ServeError>)>;

impl Stack {
    /// Opens every service and serves it.
    pub async fn start(
        _layout: &Layout,
        state: &State,
        material: Material,
        mut bound: Bound,
        _database: Option<&str>,
        clock: SharedClock,
    ) -> Result<Self, ComposeError> {
        let mut starting = Starting {
            servers: Servers::default(),
            stop_first: CancellationToken::new(),
            stop_last: CancellationToken::new(),
        };

        let issuer = Arc::new(Issuer::new(
            &state.ports.url(Endpoint::Oidc)?,
            material.oidc,
            clock,
        )?);
        starting.serve(
            &mut bound,
            Endpoint::Oidc,
            oidc::router(issuer).merge(Health::default().router()),
        );

        let Starting {
            servers,
            stop_first,
            stop_last,
        } = starting;
        Ok(Self {
            ports: state.ports,
            servers: Mutex::new(servers),
            stop_first,
            stop_last,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(2))
                .build()?,
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
    }
}

struct Starting {
    servers: Servers,
    stop_first: CancellationToken,
    stop_last: CancellationToken,
}

impl Starting {
    fn serve(&mut self, bound: &mut Bound, endpoint: Endpoint, router: Router) {
        let limits = Limits {
            drain: DRAIN,
            ..Limits::default()
        };
        let (tasks, stop) = match endpoint {
            // The certificate authority needs the CT log and the issuer for what it is working on.
            Endpoint::Rekor | Endpoint::Oidc => (&mut self.servers.last, &self.stop_last),
            Endpoint::Fulcio | Endpoint::Tsa | Endpoint::Tuf => {
                (&mut self.servers.first, &self.stop_first)
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
}
