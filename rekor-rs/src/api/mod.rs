//! The HTTP interface of Rekor v1, and of the listing beside it: parse, call, print.
//!
//! Every resource is one entry of [`Resource`]; [`serve`] is the one place where methods, content
//! negotiation, disabled endpoints and common headers are decided.

mod body;
mod headers;
mod listing;
mod metrics;
mod names;
mod negotiation;
mod parameters;
mod v1;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use clock::SharedClock;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use logstore::SharedStore;
use tokio::sync::Semaphore;

use crate::config::{Config, Endpoint, Limits};
use crate::error::RequestError;
use crate::policy::{Policy, Signers};
use crate::search::Tree;
use crate::shards::{ShardList, Shards};

use body::Bodies;
use work::Work;

/// Pages of the listing that are made at once; others wait. Each may read some megabytes.
const PAGES_AT_ONCE: usize = 16;

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Rekor {
    shards: Arc<Shards>,
    store: SharedStore,
    clock: SharedClock,
    limits: Limits,
    disabled: BTreeSet<Endpoint>,
    bodies: Bodies,
    work: Work,
    policy: Policy,
    /// Pages of the listing that are made at once.
    pages: Semaphore,
}

impl Rekor {
    /// An interface to these shards, under these rules.
    pub(crate) fn new(
        shards: Arc<Shards>,
        store: SharedStore,
        clock: SharedClock,
        config: &Config,
        (policy, signers): (Policy, Option<Arc<Signers>>),
    ) -> Self {
        metrics::describe();
        Self {
            policy,
            work: Work::new(config.disabled_kinds.clone(), signers),
            shards,
            store,
            clock,
            limits: config.limits,
            disabled: config.disabled_endpoints.clone(),
            bodies: Bodies::new(&config.limits),
            pages: Semaphore::new(PAGES_AT_ONCE),
        }
    }

    /// The shards that are known here, which is enough for what was found in them.
    pub(crate) fn shards(&self) -> Arc<ShardList> {
        self.shards.list()
    }

    /// The shards as of now, for answers that another replica's rotation would change.
    async fn newest(&self) -> Result<Arc<ShardList>, RequestError> {
        Ok(self.shards.newest().await?)
    }

    /// The shards as a search sees them now.
    async fn trees(&self) -> Result<Vec<Tree>, RequestError> {
        let mut trees = Vec::new();
        for shard in self.newest().await?.iter() {
            trees.push(Tree {
                log: shard.id(),
                offset: shard.offset(),
                size: shard.head().await?.head.size,
            });
        }
        Ok(trees)
    }

    /// Why entries cannot be taken since the last rotation, if they cannot.
    pub(crate) fn behind(&self) -> Option<String> {
        self.shards.behind()
    }
}

/// A path with its methods.
#[derive(Clone, Copy, Debug)]
enum Resource {
    Log,
    PublicKey,
    Proof,
    Entries,
    Entry,
    Retrieve,
    Index,
    Listing,
}

/// Routes of Rekor v1. Each path is served with and without a slash at its end.
pub(crate) fn router(rekor: Arc<Rekor>) -> Router {
    let resources = [
        ("/api/v1/log", Resource::Log),
        ("/api/v1/log/publicKey", Resource::PublicKey),
        ("/api/v1/log/proof", Resource::Proof),
        ("/api/v1/log/entries", Resource::Entries),
        ("/api/v1/log/entries/{id}", Resource::Entry),
        ("/api/v1/log/entries/retrieve", Resource::Retrieve),
        ("/api/v1/index/retrieve", Resource::Index),
        (listing::PATH, Resource::Listing),
    ];
    let mut router = Router::new()
        .route("/", any(home))
        .route("/ping", any(ping));
    for (path, resource) in resources {
        let handler = any(move |State(rekor): State<Arc<Rekor>>, request: Request| {
            serve(rekor, path, resource, request)
        });
        router = router
            .route(path, handler.clone())
            .route(&format!("{path}/"), handler);
    }
    router.fallback(not_found).with_state(rekor)
}

async fn serve(
    rekor: Arc<Rekor>,
    path: &'static str,
    resource: Resource,
    request: Request,
) -> Response {
    let started = Instant::now();
    if let Some(preflight) = headers::preflight(&request) {
        return preflight;
    }
    let method = request.method().clone();
    let cross_origin = request.headers().contains_key(http::header::ORIGIN);
    let mut response = dispatch(&rekor, resource, request)
        .await
        .unwrap_or_else(IntoResponse::into_response);
    headers::add(response.headers_mut(), method == Method::GET, cross_origin);
    metrics::request(path, &method, response.status(), started.elapsed());
    response
}

async fn dispatch(
    rekor: &Arc<Rekor>,
    resource: Resource,
    request: Request,
) -> Result<Response, RequestError> {
    let (endpoint, allowed) = match (resource, request.method()) {
        (Resource::Log, &Method::GET) => (Some(Endpoint::GetLogInfo), "GET"),
        (Resource::PublicKey, &Method::GET) => (Some(Endpoint::GetPublicKey), "GET"),
        (Resource::Proof, &Method::GET) => (Some(Endpoint::GetLogProof), "GET"),
        (Resource::Entries, &Method::GET) => (Some(Endpoint::GetLogEntryByIndex), "POST,GET"),
        (Resource::Entries, &Method::POST) => (Some(Endpoint::CreateLogEntry), "POST,GET"),
        // `retrieve` is also what an entry could be called.
        (Resource::Entry | Resource::Retrieve, &Method::GET) => {
            (Some(Endpoint::GetLogEntryByUuid), "GET")
        }
        (Resource::Retrieve, &Method::POST) => (Some(Endpoint::SearchLogQuery), "POST,GET"),
        (Resource::Index, &Method::POST) => (Some(Endpoint::SearchIndex), "POST"),
        (Resource::Listing, &Method::GET) => (Some(Endpoint::ListEntries), "GET"),
        (Resource::Entries | Resource::Retrieve, _) => (None, "POST,GET"),
        (Resource::Index, _) => (None, "POST"),
        (_, _) => (None, "GET"),
    };
    let Some(endpoint) = endpoint else {
        return Err(RequestError::Method {
            method: request.method().clone(),
            allowed,
        });
    };
    let offered = match endpoint {
        Endpoint::GetPublicKey => negotiation::PUBLIC_KEY,
        _ => negotiation::JSON,
    };
    let media_type = negotiation::choose(&request, offered)?;
    if rekor.disabled.contains(&endpoint) {
        return Err(RequestError::Disabled(endpoint));
    }
    let (headers, connection) = (request.headers(), request.extensions());
    match endpoint {
        Endpoint::CreateLogEntry => rekor.policy.admit_writer(headers, connection).await?,
        _ => rekor.policy.admit_reader(headers, connection).await?,
    }
    let uri = request.uri().clone();
    match endpoint {
        Endpoint::GetLogInfo => v1::log::info(rekor).await,
        Endpoint::GetPublicKey => v1::log::public_key(rekor, &uri, media_type).await,
        Endpoint::GetLogProof => v1::log::proof(rekor, &uri).await,
        Endpoint::CreateLogEntry => v1::entries::create(rekor, request).await,
        Endpoint::GetLogEntryByIndex => v1::entries::by_index(rekor, &uri).await,
        Endpoint::GetLogEntryByUuid => v1::entries::by_id(rekor, &uri).await,
        Endpoint::SearchLogQuery => v1::retrieve::retrieve(rekor, request).await,
        Endpoint::SearchIndex => v1::index::retrieve(rekor, request).await,
        Endpoint::ListEntries => listing::list(rekor, &uri).await,
    }
}

/// A successful answer: compact JSON and exactly one line feed, which clients cut at.
fn json(status: StatusCode, mut body: Vec<u8>) -> Response {
    body.push(b'\n');
    let mut response = (status, body).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn ping(request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => ([(CONTENT_TYPE, "text/plain")], ".").into_response(),
        _ => not_found(request).await,
    }
}

async fn home() -> Html<&'static str> {
    Html(
        "<!doctype html><meta charset=\"utf-8\"><title>Transparency log</title>\
         <h1>Transparency log</h1><p>This is a Rekor log. Its interface is at <code>/api/v1/</code>.\n",
    )
}

async fn not_found(request: Request) -> Response {
    RequestError::NoSuchPath(request.uri().path().to_owned()).into_response()
}
