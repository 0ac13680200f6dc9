//! Request bodies: read whole, within a limit for each and a limit for all together.
//!
//! What counts against the common limit is what has arrived, not what was announced: announcing
//! costs a client nothing. And it counts from a length on that signatures do not have, so that who
//! fills the common limit with long bodies does not keep the usual ones out; how many of those
//! there are is bounded by the number of requests at work.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::error::RequestError;

/// What one permit of the common limit stands for, in bytes.
const UNIT: usize = 1024;

/// What each body may have without counting against the common limit, in bytes.
const FREE: usize = 64 << 10;

/// The limits.
#[derive(Debug)]
pub(super) struct Bodies {
    each: usize,
    all: Arc<Semaphore>,
}

/// A body; counts against the common limit until it is dropped, which must not be before the
/// entries in it are stored or refused.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new(limits: &Limits) -> Self {
        let permits = (limits.bodies / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            each: limits.body,
            all: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Reads the body of a request; refuses before reading where the length says so already.
    pub(super) async fn read(&self, request: Request) -> Result<Held, RequestError> {
        let declared = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse::<usize>().ok())
            .unwrap_or_default();
        if declared > self.each {
            return Err(RequestError::TooLarge(self.each));
        }
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut body: Body = request.into_body();
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| RequestError::Truncated)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let read = first.len() + rest.len();
            if data.len() > self.each.saturating_sub(read) {
                return Err(RequestError::TooLarge(self.each));
            }
            let needed = (read + data.len()).saturating_sub(FREE).div_ceil(UNIT);
            let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if needed > held {
                let more = self.room_for(needed - held)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
            // Nearly every body comes in one piece, which is then not copied.
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        let bytes = match rest.is_empty() {
            true => first,
            false => {
                let mut whole = BytesMut::with_capacity(first.len() + rest.len());
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&rest);
                whole.freeze()
            }
        };
        Ok(Held { bytes, _room: room })
    }

    /// Room for `units` more, if there is.
    fn room_for(&self, units: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let units = u32::try_from(units).map_err(|_| RequestError::TooLarge(self.each))?;
        self.all
            .clone()
            .try_acquire_many_owned(units)
            .map_err(|_| RequestError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(each: usize, all: usize) -> Bodies {
        Bodies::new(&Limits {
            body: each,
            bodies: all,
            ..Limits::default()
        })
    }

    fn request(body: impl Into<Body>) -> Request {
        Request::new(body.into())
    }

    #[tokio::test]
    async fn bodies_up_to_the_limit_are_read_and_longer_ones_refused() {
        let bodies = bodies(3000, 1 << 20);
        assert_eq!(
            bodies
                .read(request(vec![7; 3000]))
                .await
                .unwrap()
                .bytes
                .len(),
            3000
        );
        assert!(matches!(
            bodies.read(request(vec![7; 3001])).await,
            Err(RequestError::TooLarge(3000))
        ));
        let mut declared = request(Body::empty());
        declared.headers_mut().insert(CONTENT_LENGTH, 3001.into());
        assert!(matches!(
            bodies.read(declared).await,
            Err(RequestError::TooLarge(3000))
        ));
    }

    #[tokio::test]
    async fn pieces_are_put_together_in_order() {
        let pieces = ["he", "l", "lo"]
            .map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from_static(piece.as_bytes())));
        let body = Body::from_stream(tokio_stream(pieces));
        assert_eq!(
            bodies(100, 4096).read(request(body)).await.unwrap().bytes,
            "hello"
        );
    }

    #[tokio::test]
    async fn the_common_limit_holds_until_a_body_is_dropped() {
        let bodies = Bodies {
            all: Arc::new(Semaphore::new(3)),
            ..bodies(FREE + 2048, FREE + 2048)
        };
        let long = || request(vec![7; FREE + 2048]);
        let held = bodies.read(long()).await.unwrap();
        assert!(matches!(
            bodies.read(long()).await,
            Err(RequestError::Overloaded)
        ));
        // Usual bodies do not suffer from it.
        assert!(bodies.read(request(vec![7; FREE])).await.is_ok());
        drop(held);
        assert!(bodies.read(long()).await.is_ok());
    }

    #[tokio::test]
    async fn announcing_a_long_body_takes_no_room() {
        let bodies = bodies(FREE + 2048, FREE + 2048);
        let mut silent = request(Body::from_stream(futures::stream::pending::<
            Result<Bytes, std::convert::Infallible>,
        >()));
        let length = u64::try_from(FREE + 2048).unwrap();
        silent.headers_mut().insert(CONTENT_LENGTH, length.into());
        let mut silent = std::pin::pin!(bodies.read(silent));
        assert!(futures::poll!(silent.as_mut()).is_pending());
        assert_eq!(bodies.all.available_permits(), (FREE + 2048) / UNIT);
    }

    fn tokio_stream<T, const N: usize>(items: [T; N]) -> impl futures::Stream<Item = T> {
        futures::stream::iter(items)
    }
}
