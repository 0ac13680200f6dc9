//! Handing out an answer that its client may be in no hurry to take.
//!
//! A client that asks for long answers and does not read them would have them kept in memory for
//! as long as it likes, once for each connection, or on HTTP/2 for each stream. So a long answer
//! counts as a request at work until it is taken, is handed to the connection in pieces (which
//! only then leave our hands), and ends the connection if a piece is not taken in time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::Version;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

/// Longest piece, in bytes. On HTTP/1, answers up to this length go into the connection's buffer
/// as they are.
const PIECE: usize = 64 << 10;

/// Ends the connection that a request came from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangup(pub(crate) CancellationToken);

/// Lets `response` keep `permit` until it is taken; each piece must be within `patience`.
pub(crate) fn supervise(
    response: Response,
    version: Version,
    permit: OwnedSemaphorePermit,
    hangup: Hangup,
    patience: Duration,
) -> Response {
    // On HTTP/2 a client that opens no window leaves even short answers here. A stream, which has
    // no length, may rightly be silent for long.
    let short = if version == Version::HTTP_2 {
        0
    } else {
        PIECE as u64
    };
    match HttpBody::size_hint(response.body()).exact() {
        Some(length) if length > short => {}
        _ => return response,
    }
    let (progress, mut watched) = watch::channel(());
    tokio::spawn(async move {
        loop {
            match tokio::time::timeout(patience, watched.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::debug!("an answer was not taken in time; the connection is closed");
                    return hangup.0.cancel();
                }
            }
        }
    });
    response.map(|whole| {
        Body::new(Delivery {
            whole,
            rest: Bytes::new(),
            progress,
            _permit: permit,
        })
    })
}

/// A body in pieces.
struct Delivery {
    whole: Body,
    /// What is left of the frame that was taken from `whole` last.
    rest: Bytes,
    /// Told of every piece; gone when the body is.
    progress: watch::Sender<()>,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for Delivery {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.whole).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.progress.send_replace(());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.whole.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
