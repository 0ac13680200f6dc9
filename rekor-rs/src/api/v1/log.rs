//! `/api/v1/log`: state, key and consistency.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};
use tlog::Hash;
use wire::rekor::{ConsistencyProof, Hex32, InactiveShard, LogInfo, print_json};

use super::super::parameters::Parameters;
use super::super::{Rekor, json};
use crate::error::RequestError;
use crate::shard::checkpoint;

/// `GET /api/v1/log`
pub(in super::super) async fn info(rekor: &Rekor) -> Result<Response, RequestError> {
    let shards = rekor.newest().await?;
    let active = shards.active();
    let mut inactive = Vec::new();
    for shard in shards.earlier() {
        let head = shard.head().await?;
        inactive.push(InactiveShard {
            root_hash: Hex32(head.head.root.0),
            signed_tree_head: checkpoint(&head).into_owned(),
            tree_id: shard.id().0.to_string(),
            tree_size: head.head.size,
        });
    }
    let head = active.head().await?;
    let info = LogInfo {
        inactive_shards: Some(inactive).filter(|shards| !shards.is_empty()),
        root_hash: Hex32(head.head.root.0),
        signed_tree_head: checkpoint(&head).into_owned(),
        tree_id: active.id().0.to_string(),
        tree_size: head.head.size,
    };
    Ok(json(StatusCode::OK, print_json(&info)))
}

/// `GET /api/v1/log/publicKey`. A refusal by the tree has the type that was asked for.
pub(in super::super) async fn public_key(
    rekor: &Rekor,
    uri: &Uri,
    media_type: &'static str,
) -> Result<Response, RequestError> {
    let parameters = Parameters::of(uri);
    let tree = parameters.tree_id()?.map(|tree| tree.parse().ok());
    let mut shards = rekor.shards();
    // The key of a known shard never changes, whatever the database says.
    let is_known = tree.is_some_and(|tree| tree.is_none_or(|tree| shards.by_tree(tree).is_some()));
    if !is_known {
        shards = rekor.newest().await?;
    }
    let shard = match tree {
        None => Some(shards.active()),
        Some(tree) => tree.and_then(|tree| shards.by_tree(tree)),
    };
    let mut response = match shard {
        None => RequestError::NoSuchKey.into_response(),
        Some(shard) if media_type == "application/json" => {
            json(StatusCode::OK, print_json(&shard.public_key()))
        }
        Some(shard) => shard.public_key().to_owned().into_response(),
    };
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

/// `GET /api/v1/log/proof?firstSize=&lastSize=&treeID=`
pub(in super::super) async fn proof(rekor: &Rekor, uri: &Uri) -> Result<Response, RequestError> {
    let parameters = Parameters::of(uri);
    let first = parameters.number("firstSize", 1)?.unwrap_or(1);
    let last = parameters
        .number("lastSize", 1)?
        .ok_or_else(|| RequestError::required("lastSize", "query"))?;
    let tree = parameters.tree_id()?;
    if first > last {
        return Err(RequestError::BadRequest(format!(
            "firstSize({first}) must be less than lastSize({last})"
        )));
    }
    let shards = rekor.newest().await?;
    let shard = match tree {
        None => shards.active(),
        Some(text) => {
            let tree: i64 = text.parse().map_err(|_| {
                RequestError::BadRequest(format!("invalid tree ID specified: {text}"))
            })?;
            shards.by_tree(tree).ok_or_else(|| {
                RequestError::BadRequest(format!("no log range found for tree ID {tree}"))
            })?
        }
    };
    let head = shard.head().await?;
    let unobservable = || {
        let size = head.head.size;
        RequestError::BadRequest(format!(
            "the tree size requested({last}) was greater than what is currently observable({size})"
        ))
    };
    if last > head.head.size {
        return Err(unobservable());
    }
    let hashes = shard
        .consistency_proof(first, last)
        .await?
        .ok_or_else(unobservable)?;
    let proof = ConsistencyProof {
        hashes: hashes.into_iter().map(|Hash(hash)| Hex32(hash)).collect(),
        root_hash: Hex32(head.head.root.0),
    };
    Ok(json(StatusCode::OK, print_json(&proof)))
}
