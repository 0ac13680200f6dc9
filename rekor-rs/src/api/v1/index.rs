//! `/api/v1/index/retrieve`.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use wire::rekor::{SearchIndex, print_json};

use super::super::{Rekor, json};
use super::read_body;
use crate::entry;
use crate::error::RequestError;
use crate::search::{self, Query};

/// `POST /api/v1/index/retrieve`
pub(in super::super) async fn retrieve(
    rekor: &Rekor,
    request: Request,
) -> Result<Response, RequestError> {
    let held = read_body(rekor, request, "query").await?;
    let request: Option<SearchIndex<'_>> = entry::from_object(&held.bytes).map_err(|error| {
        RequestError::BadRequest(format!(
            "parsing query body from \"\" failed, because {error}"
        ))
    })?;
    let query = Query::parse(&request.unwrap_or_default())?;
    let shards = rekor.newest().await?;
    let trees: Vec<_> = shards.iter().map(|shard| shard.id()).collect();
    let found = search::run(
        rekor.store.as_ref(),
        &trees,
        &query,
        rekor.limits.search_results,
    )
    .await?;
    let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
    Ok(json(StatusCode::OK, print_json(&ids)))
}
