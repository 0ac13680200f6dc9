//! `/healthz` (alive) and `/readyz` (can do its job now).

use std::sync::Arc;

/// Asks one part of a service whether it can do its job now.
#[async_trait::async_trait]
pub trait Probe: Send + Sync {
    /// Name of the part, for the answer: `database`, `key`, `log`, `clock`.
    fn name(&self) -> &'static str;

    /// `Err` with what is wrong, for operators (never a secret). Must end within a second.
    async fn check(&self) -> Result<(), String>;
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

    /// `GET /healthz` (200 `{"status":"SERVING"}`) and `GET /readyz` (200, or 503 naming what is
    /// not ready).
    pub fn router(self) -> axum::Router {
        unimplemented!()
    }
}
