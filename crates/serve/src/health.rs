//! `/healthz` (alive) and `/readyz` (can do its job now).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Longest time that one probe gets.
const PROBE_TIME: Duration = Duration::from_secs(1);

/// Asks one part of a service whether it can do its job now.
#[async_trait::async_trait]
pub trait Probe: Send + Sync {
    /// Name of the part, for the answer: `database`, `key`, `log`, `clock`.
    fn name(&self) -> &'static str;

    /// `Err` with what is wrong, for operators (never a secret). Must end within a second.
    async fn check(&self) -> Result<(), String>;
}

/// How long the outcome of a [`Held`] probe holds.
const HOLDS: Duration = Duration::from_secs(5);

/// A probe whose outcome holds for a few seconds. For what costs something: whoever reaches
/// `/readyz` must not be able to make a key sign, or a neighbour answer, without bound.
pub struct Held<P> {
    probe: P,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl<P> Held<P> {
    /// Holds the outcomes of `probe`.
    pub fn new(probe: P) -> Self {
        Self {
            probe,
            last: Mutex::default(),
        }
    }
}

#[async_trait::async_trait]
impl<P: Probe> Probe for Held<P> {
    fn name(&self) -> &'static str {
        self.probe.name()
    }

    async fn check(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((when, outcome)) = &*last
            && when.elapsed() < HOLDS
        {
            return outcome.clone();
        }
        let outcome = self.probe.check().await;
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

/// The probes of a service.
#[derive(Clone, Default)]
pub struct Health {
    probes: Vec<Arc<dyn Probe>>,
}

impl Health {
    /// Adds a probe.
    #[must_use]
    pub fn with(mut self, probe: impl Probe + 'static) -> Self {
        self.probes.push(Arc::new(probe));
        self
    }

    /// What is not ready, by name of the part; empty if the service can do its job.
    pub async fn failures(&self) -> BTreeMap<&'static str, String> {
        let checks = self.probes.iter().map(|probe| async move {
            let checked = tokio::time::timeout(PROBE_TIME, probe.check()).await;
            let failure = checked
                .unwrap_or_else(|_| Err("no answer within a second".to_owned()))
                .err()?;
            Some((probe.name(), failure))
        });
        futures::future::join_all(checks)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// `GET /healthz` (200 `{"status":"SERVING"}`) and `GET /readyz` (200, or 503 naming what is
    /// not ready).
    ///
    /// `/healthz` is answered even when the service is at its cap of requests, so that an
    /// overloaded process is not mistaken for a dead one.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .with_state(self)
    }
}

async fn alive() -> Json<serde_json::Value> {
    Json(json!({"status": "SERVING"}))
}

async fn ready(State(health): State<Health>) -> Response {
    let failures = health.failures().await;
    if failures.is_empty() {
        return Json(json!({"status": "READY"})).into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": "NOT_READY", "failures": failures})),
    )
        .into_response()
}
