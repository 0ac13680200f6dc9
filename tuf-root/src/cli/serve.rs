//! `serve`: the published tree over HTTP.

use std::net::SocketAddr;

use clap::Args;
use clock::SystemClock;
use serde_json::json;

use super::{Message, Signing, print_json, say};
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
    /// Only serve: the keys are elsewhere, and so is the refresh
    #[arg(long)]
    pub no_refresh: bool,
}

pub(super) async fn serve(args: Serve) -> Result<(), Message> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    let repository = args.signing.open()?;
    let router = server::router(repository.published_dir(), SystemClock::shared());
    let stop = serve::stop_on_signals().map_err(say)?;
    let listener = serve::listen(args.listen).await.map_err(say)?;
    let address = listener.local_addr().map_err(say)?;
    match args.signing.location.json {
        true => print_json(&json!({ "listening": format!("http://{address}") })),
        false => println!(
            "Serving {} on http://{address}",
            repository.published_dir().display()
        ),
    }
    let refresh = async {
        if !args.no_refresh {
            refresh::run(repository, stop.clone()).await;
        }
    };
    let limits = serve::Limits::default();
    let served = serve::serve("tuf", listener, router, None, limits, stop.clone());
    let (served, ()) = tokio::join!(served, refresh);
    served.map_err(say)
}
