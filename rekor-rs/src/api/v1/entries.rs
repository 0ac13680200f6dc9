//! `/api/v1/log/entries`.

use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode, Uri};
use tlog::Hash;
use wire::rekor::{EntryIdError, EntryRef};

use super::super::parameters::Parameters;
use super::super::{Rekor, json, metrics};
use super::{entry_limits, read_body};
use crate::entry::Purpose;
use crate::error::{RequestError, entry_location};
use crate::shard::{Outcome, Proven};
use crate::shards::ShardList;

/// `POST /api/v1/log/entries`: answered when the entry is durable and proven.
pub(in super::super) async fn create(
    rekor: &Rekor,
    request: Request,
) -> Result<Response, RequestError> {
    let held = read_body(rekor, request, "proposedEntry").await?;
    let verified = rekor
        .work
        .verify(&held.bytes, Purpose::Insert, entry_limits(rekor))
        .await?;
    let kind = verified.kind;
    let started = Instant::now();
    let appended = rekor.shards.append(verified).await;
    let is_new = matches!(appended, Ok(Outcome::Created(_)));
    metrics::append(kind, is_new, appended.is_ok(), started.elapsed());
    let proven = match appended? {
        Outcome::Created(proven) => proven,
        Outcome::Exists(id) => return Err(RequestError::Exists(id)),
    };
    let mut response = print(StatusCode::CREATED, &proven);
    // Clients use the tag, without quotes, as the key into the body.
    let value =
        |text: String| HeaderValue::try_from(text).map_err(|_| RequestError::Internal("entry id"));
    response
        .headers_mut()
        .insert(ETAG, value(proven.id().to_string())?);
    response
        .headers_mut()
        .insert(LOCATION, value(entry_location(proven.id()))?);
    Ok(response)
}

/// `GET /api/v1/log/entries?logIndex=`, counted over all shards.
pub(in super::super) async fn by_index(rekor: &Rekor, uri: &Uri) -> Result<Response, RequestError> {
    let index = Parameters::of(uri).number("logIndex", 0)?;
    let index = index.ok_or_else(|| RequestError::required("logIndex", "query"))?;
    let proven = at_index(rekor, index)
        .await?
        .ok_or(RequestError::NoSuchEntry)?;
    Ok(print(StatusCode::OK, &proven))
}

/// `GET /api/v1/log/entries/{id}`.
pub(in super::super) async fn by_id(rekor: &Rekor, uri: &Uri) -> Result<Response, RequestError> {
    let path = uri.path().trim_end_matches('/');
    let id = path.rsplit('/').next().unwrap_or_default();
    let id = match id.parse::<EntryRef>() {
        Ok(id) => id,
        Err(EntryIdError::ZeroTree) => return Err(RequestError::NoSuchEntry),
        Err(error @ EntryIdError::TreeOverflow(_)) => {
            return Err(RequestError::BadRequest(format!(
                "validation error: {error}"
            )));
        }
        Err(EntryIdError::Malformed) => {
            return Err(RequestError::Schema {
                code: 605,
                message: "entryUUID in path should match '^([0-9a-fA-F]{64}|[0-9a-fA-F]{80})$'"
                    .to_owned(),
            });
        }
    };
    let proven = first_named(rekor, id)
        .await?
        .ok_or(RequestError::NoSuchEntry)?;
    Ok(print(StatusCode::OK, &proven))
}

/// The entry with a number. What is not in the known shards may be in one that a rotation created.
pub(super) async fn at_index(rekor: &Rekor, index: u64) -> Result<Option<Proven>, RequestError> {
    let known = rekor.shards();
    if let Some(proven) = at_index_of(&known, index).await? {
        return Ok(Some(proven));
    }
    let newest = rekor.newest().await?;
    if newest.active().id() == known.active().id() {
        return Ok(None);
    }
    at_index_of(&newest, index).await
}

async fn at_index_of(shards: &ShardList, index: u64) -> Result<Option<Proven>, RequestError> {
    match shards.by_index(index) {
        Some(shard) => Ok(shard.entry(index - shard.offset()).await?),
        None => Ok(None),
    }
}

/// The entry with a name: in the shard that the name says, or else the active shard's before the
/// frozen ones'.
pub(super) async fn first_named(
    rekor: &Rekor,
    name: EntryRef,
) -> Result<Option<Proven>, RequestError> {
    match name {
        EntryRef::Id(id) => {
            let mut shards = rekor.shards();
            if shards.by_tree(id.tree).is_none() {
                shards = rekor.newest().await?;
            }
            match shards.by_tree(id.tree) {
                Some(shard) => Ok(shard.entry_by_leaf(&Hash(id.uuid)).await?),
                None => Ok(None),
            }
        }
        EntryRef::Uuid(uuid) => {
            let shards = rekor.newest().await?;
            for shard in std::iter::once(shards.active()).chain(shards.earlier()) {
                if let Some(proven) = shard.entry_by_leaf(&Hash(uuid)).await? {
                    return Ok(Some(proven));
                }
            }
            Ok(None)
        }
    }
}

fn print(status: StatusCode, proven: &Proven) -> Response {
    let mut body = Vec::with_capacity(4096);
    proven.print(&mut body);
    json(status, body)
}
