//! A list of entry names as an answer: short ones at once, long ones as they are taken.
//!
//! A long list is gone through twice: to count it, so that the answer has a length and a client that
//! is in no hurry is held to it; and again while it is sent, so that none is kept in memory. What was
//! in the log at one moment does not change, so both give the same.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, LINK};
use hyper::body::{Frame, SizeHint};
use logstore::{Order, SharedStore, StoreError};
use tokio::sync::mpsc;
use url::form_urlencoded::Serializer;
use wire::rekor::{EntryId, Operator};

use super::listing;
use crate::error::RequestError;
use crate::search::{Budget, Cursor, Filter, Position, Query, Step, Tree, Walk, entry_ids};

/// Names that are collected before the answer begins.
const SHORT: usize = 256;

/// Names that are sent in one piece.
const PIECE: usize = 256;

/// Reads of the index, of 512 rows each, that one answer may cost.
const READS: u32 = 1024;

/// Length of `"<80hex>"`, and of the comma before it.
const QUOTED: u64 = 82;

/// The names of the entries in `trees` that match, at most `limit`, oldest first. Where there are
/// more, the answer has a link to where the listing goes on.
pub(super) async fn answer(
    store: &SharedStore,
    trees: &[Tree],
    query: Query,
    limit: usize,
) -> Result<Response, RequestError> {
    // No terms would match everything.
    let trees = if query.terms.is_empty() { &[] } else { trees };
    let walk = Walk::over(trees, &query.clauses());
    let found = Found::of(store, walk.clone(), limit).await?;
    let body = if found.count == found.first.len() {
        let ids = entry_ids(store.as_ref(), &found.first).await?;
        let mut body = print(&ids, true);
        body.extend_from_slice(if body.is_empty() {
            &b"[]\n"[..]
        } else {
            b"]\n"
        });
        Body::from(body)
    } else {
        Body::new(stream(Arc::clone(store), walk, found.count))
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(next) = found.next
        && let Ok(link) = HeaderValue::try_from(link(query, next))
    {
        headers.insert(LINK, link);
    }
    Ok(response)
}

/// What a search finds.
struct Found {
    first: Vec<Position>,
    count: usize,
    /// Where to go on, if there is or may be more.
    next: Option<Position>,
}

impl Found {
    async fn of(store: &SharedStore, mut walk: Walk, limit: usize) -> Result<Self, StoreError> {
        let mut budget = Budget::of(READS);
        let mut found = Self {
            first: Vec::new(),
            count: 0,
            next: None,
        };
        loop {
            let here = walk.position();
            match walk.next(store.as_ref(), &mut budget).await? {
                Step::End => return Ok(found),
                Step::Match(position) if found.count < limit => {
                    if found.count < SHORT {
                        found.first.push(position);
                    }
                    found.count += 1;
                }
                Step::Match(position) => {
                    found.next = Some(position);
                    return Ok(found);
                }
                Step::Paused => {
                    found.next = walk.position().or(here);
                    return Ok(found);
                }
            }
        }
    }
}

/// `["a","b"` or, not first, `,"a","b"`.
fn print(ids: &[EntryId], first: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(ids.len() * 84);
    for (place, id) in ids.iter().enumerate() {
        out.push(if first && place == 0 { b'[' } else { b',' });
        out.extend_from_slice(format!("\"{id}\"").as_bytes());
    }
    out
}

/// Sends the first `count` names that a walk finds, which must be one at least.
fn stream(store: SharedStore, mut walk: Walk, count: usize) -> Names {
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut left = count;
        while left > 0 {
            let piece = piece(&store, &mut walk, left == count, PIECE.min(left)).await;
            left = left.saturating_sub(PIECE);
            let failed = piece.is_err();
            let piece = piece.map(|mut piece| {
                if left == 0 {
                    piece.extend_from_slice(b"]\n");
                }
                Bytes::from(piece)
            });
            // Whoever asked has gone.
            if sender.send(piece).await.is_err() || failed {
                return;
            }
        }
    });
    let names = u64::try_from(count).unwrap_or(u64::MAX);
    Names {
        pieces,
        left: names.saturating_mul(QUOTED + 1).saturating_add(2),
    }
}

async fn piece(
    store: &SharedStore,
    walk: &mut Walk,
    first: bool,
    count: usize,
) -> Result<Vec<u8>, StoreError> {
    let mut positions = Vec::with_capacity(count);
    // The first time it was within its budget.
    let mut budget = Budget::of(READS);
    while positions.len() < count {
        match walk.next(store.as_ref(), &mut budget).await? {
            Step::Match(position) => positions.push(position),
            Step::End | Step::Paused => {
                let fewer = "the search index lost entries while it was read";
                return Err(StoreError::Corrupt(fewer.to_owned()));
            }
        }
    }
    Ok(print(&entry_ids(store.as_ref(), &positions).await?, first))
}

/// A body of a known length whose pieces are made as they are taken.
struct Names {
    pieces: mpsc::Receiver<Result<Bytes, StoreError>>,
    left: u64,
}

impl HttpBody for Names {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(piece.map(|piece| {
            let piece = piece?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(length);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Where the listing goes on (RFC 8288).
fn link(query: Query, position: Position) -> String {
    let operator = match query.operator {
        Operator::And => "and",
        Operator::Or => "or",
    };
    let mut parameters = Serializer::new(String::new());
    for term in &query.terms {
        parameters.append_pair(term.parameter, &term.value);
    }
    parameters.append_pair("operator", operator);
    let filter = Filter {
        terms: query.terms,
        operator: query.operator,
        ..Filter::default()
    };
    let cursor = Cursor {
        order: Order::Ascending,
        position,
        filter: filter.digest(),
    };
    parameters.append_pair("cursor", &cursor.to_string());
    format!("<{}?{}>; rel=\"next\"", listing::PATH, parameters.finish())
}
