//! A closed-loop load over keep-alive HTTP/1.1 connections.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Error;

/// What one client sends: makes its next request, and says which status is a success.
pub(crate) trait Work: Send + 'static {
    /// Method, path and body of the next request.
    fn next(&mut self) -> (http::Method, Cow<'static, str>, Bytes);

    /// The status of a success.
    fn expected(&self) -> http::StatusCode;
}

/// Latencies of a load, and how long it ran.
#[derive(Debug)]
pub(crate) struct Outcome {
    sorted: Vec<Duration>,
    elapsed: Duration,
}

impl Outcome {
    /// Of latencies in any order.
    pub(crate) fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self {
            sorted: latencies,
            elapsed,
        }
    }

    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Latency that this share (0 to 1) of the answers stayed under.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        let position = (last as f64 * share).round() as usize;
        self.sorted
            .get(position.min(last))
            .copied()
            .unwrap_or_default()
    }

    /// As [`Self::quantile`], in milliseconds.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        self.quantile(share).as_secs_f64() * 1000.0
    }

    /// Columns of a table: per second, and the median and 99th percentile in milliseconds.
    pub(crate) fn figures(&self) -> String {
        format!(
            "{:>9.0} {:>8.2} {:>8.2}",
            self.rate(),
            self.quantile_ms(0.5),
            self.quantile_ms(0.99)
        )
    }
}

/// Runs one client per item of `work` against `host:port` for `time`.
pub(crate) async fn run(
    address: &str,
    clients: usize,
    time: Duration,
    work: Vec<Box<dyn Work>>,
) -> Result<Outcome, Error> {
    debug_assert_eq!(clients, work.len());
    let start = Instant::now();
    let end = start + time;
    let tasks: Vec<_> = work
        .into_iter()
        .map(|work| tokio::spawn(client(address.to_owned(), work, end)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(
            task.await
                .map_err(|error| Error::Request(error.to_string()))??,
        );
    }
    Ok(Outcome::new(latencies, start.elapsed()))
}

/// The body of one answer to GET.
pub(crate) async fn get(address: &str, path: &str) -> Result<Bytes, Error> {
    let (mut sender, driver) = connect(address).await?;
    let (status, body) = send(&mut sender, address, Request::get(path), Bytes::new()).await?;
    driver.abort();
    if status == http::StatusCode::OK {
        return Ok(body);
    }
    Err(Error::Request(format!("{address}{path}: {status}")))
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connect(address: &str) -> Result<(Sender, JoinHandle<hyper::Result<()>>), Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(address, &error))?;
    Ok((sender, tokio::spawn(connection)))
}

async fn send(
    sender: &mut Sender,
    address: &str,
    request: http::request::Builder,
    body: Bytes,
) -> Result<(http::StatusCode, Bytes), Error> {
    let request = request
        .header("host", address)
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|error| failed(address, &error))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(address, &error))?;
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| failed(address, &error))?;
    Ok((status, body.to_bytes()))
}

fn failed(address: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Request(format!("{address}: {error}"))
}

async fn client(
    address: String,
    mut work: Box<dyn Work>,
    end: Instant,
) -> Result<Vec<Duration>, Error> {
    let (mut sender, driver) = connect(&address).await?;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let (method, path, body) = work.next();
        let request = Request::builder().method(method).uri(&*path);
        let sent = Instant::now();
        let (status, body) = send(&mut sender, &address, request, body).await?;
        latencies.push(sent.elapsed());
        if status != work.expected() {
            let said = String::from_utf8_lossy(&body);
            return Err(failed(&address, &format!("{status} {said}")));
        }
    }
    driver.abort();
    Ok(latencies)
}
