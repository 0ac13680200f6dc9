//! `/api/v1/index/retrieve`.

use axum::extract::Request;
use axum::response::Response;
use wire::rekor::SearchIndex;

use super::super::{Rekor, names};
use super::read_body;
use crate::entry;
use crate::error::RequestError;
use crate::search::Query;

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
    let trees = rekor.trees().await?;
    let limit = usize::try_from(rekor.limits.search_results).unwrap_or(usize::MAX);
    names::answer(&rekor.store, &trees, query, limit).await
}
