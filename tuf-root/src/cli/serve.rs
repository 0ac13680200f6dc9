//! `serve`: the published tree over HTTP.

use std::net::SocketAddr;

use clap::Args;
use clock::SystemClock;
use serde_json::json;

use super::{Copies, Failure, Signing, print_json, say};
use crate::policy::Period;
use crate::{refresh, server};

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where the repository and its passphrase are
    #[command(flatten)]
    pub signing: Signing,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8085")]
    pub listen: SocketAddr,
    /// Address of Prometheus metrics: when each role expires, and when it was last looked at
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Only serve: the keys are elsewhere, and so is the refresh
    #[arg(long)]
    pub no_refresh: bool,
    /// How long before a role expires to say so in the log; may be given several times
    #[arg(long, value_name = "PERIOD", conflicts_with = "no_refresh", default_values_t = refresh::DISTANCES)]
    pub warn: Vec<Period>,
    /// Where the tree goes besides DIR/published
    #[command(flatten)]
    pub copies: Copies,
}

pub(super) async fn serve(args: Serve) -> Result<(), Failure> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    serve::metrics::install();
    let repository = args.copies.of(args.signing.open()?)?;
    let router = server::router(repository.published_dir(), SystemClock::shared());
    let stop = serve::stop_on_signals().map_err(say)?;
    let listener = serve::listen(args.listen).await.map_err(say)?;
    let address = listener.local_addr().map_err(say)?;
    let operators = match args.metrics {
        Some(address) => Some(serve::listen(address).await.map_err(say)?),
        None => None,
    };
    match args.signing.location.json {
        true => print_json(&json!({ "listening": format!("http://{address}") })),
        false => println!(
            "Serving {} on http://{address}",
            repository.published_dir().display()
        ),
    }
    let refresh = async {
        if !args.no_refresh {
            // Now, not a day later when the first signature is due.
            if let Err(error) = repository.can_refresh().await {
                tracing::error!(%error, "what is published is served, and nothing can be signed again");
            }
            refresh::run(repository, args.warn, stop.clone()).await;
        }
    };
    let limits = serve::Limits::default();
    let served = serve::serve("tuf", listener, router, None, limits, stop.clone());
    let metrics = async {
        match operators {
            Some(listener) => {
                let router = serve::metrics::router();
                serve::serve("tuf-metrics", listener, router, None, limits, stop.clone()).await
            }
            None => Ok(()),
        }
    };
    let (served, metrics, ()) = tokio::join!(served, metrics, refresh);
    served.and(metrics).map_err(say)
}
