//! Request bodies: read whole, within a limit for each and a limit for all together.

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
    _room: OwnedSemaphorePermit,
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
        let mut room = self.room_for(declared)?;
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
            let needed = (read + data.len()).div_ceil(UNIT);
            if let Some(more) = needed
                .checked_sub(room.num_permits())
                .filter(|more| *more > 0)
            {
                room.merge(self.room_for(more * UNIT)?);
            }
            // Nearly every body comes in one piece, which is then not copied.
            if first.is_empty() {
                first = data;
            } else {
                if rest.is_empty() {
                    rest.reserve(declared.max(read + data.len()) - first.len());
                }
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

    fn room_for(&self, length: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let units = u32::try_from(length.div_ceil(UNIT).max(1))
            .map_err(|_| RequestError::TooLarge(self.each))?;
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
        let bodies = bodies(2048, 3072);
        let held = bodies.read(request(vec![7; 2048])).await.unwrap();
        assert!(matches!(
            bodies.read(request(vec![7; 2048])).await,
            Err(RequestError::Overloaded)
        ));
        drop(held);
        assert!(bodies.read(request(vec![7; 2048])).await.is_ok());
    }

    fn tokio_stream<T, const N: usize>(items: [T; N]) -> impl futures::Stream<Item = T> {
        futures::stream::iter(items)
    }
}
