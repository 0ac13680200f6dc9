//! gRPC: parse, call, print. The same certifier as over HTTP, the same messages in refusals.
//!
//! Each method is a route of its own, so that paths which are no method's keep the answer of the
//! REST API on a shared port. `descriptors.bin`, which reflection serves, is what protoc makes of
//! `conformance/protos`:
//!
//! ```text
//! protoc -Iconformance/protos --include_imports --descriptor_set_out=descriptors.bin \
//!     fulcio.proto fulcio_legacy.proto health.proto
//! ```

mod messages;
mod v1beta;
mod v2;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::HeaderValue;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::MAX_BODY;
use crate::certify::Certifier;
use crate::error::RequestError;
use messages::{Empty, HealthCheckResponse};

const DESCRIPTORS: &[u8] = include_bytes!("descriptors.bin");

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: i32 = 1;

/// The methods, without a fallback.
pub(super) fn router(certifier: Arc<Certifier>) -> Router {
    let router = Router::new()
        .merge(v2::router())
        .merge(v1beta::router())
        .with_state(certifier)
        .route(
            "/grpc.health.v1.Health/Check",
            any(async |request: Request| unary(request, health).await),
        );
    reflection(router).route_layer(middleware::from_fn(around))
}

/// Whether a request is meant for gRPC.
pub(super) fn is_grpc(request: &Request) -> bool {
    request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// The answer to a method that does not exist.
pub(super) fn unimplemented() -> Response {
    Status::unimplemented("no such method").into_http::<Body>()
}

/// Answers a unary call. `call` gets the message and the call's metadata.
async fn unary<Q, A, F>(
    request: Request,
    call: impl FnOnce(tonic::Request<Q>) -> F + Send,
) -> Response
where
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Send + 'static,
    F: Future<Output = Result<A, RequestError>> + Send,
{
    let of = Method::of(request.uri().path());
    let received = of.clone();
    let mut call = Some(call);
    let service = tower::service_fn(|request: tonic::Request<Q>| {
        received.count("grpc_server_msg_received_total");
        let answer = call.take().map(|call| call(request));
        async move {
            match answer {
                Some(answer) => Ok(tonic::Response::new(answer.await.map_err(status)?)),
                None => Err(Status::internal("called twice")),
            }
        }
    });
    let mut grpc =
        tonic::server::Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(MAX_BODY);
    let answer = grpc.unary(service, request).await.map(Body::new);
    // An error is answered without a message, its status in the head.
    if !answer.headers().contains_key(Status::GRPC_STATUS) {
        of.count("grpc_server_msg_sent_total");
    }
    answer
}

/// The labels of a method's metrics, which are those of the reference implementation.
#[derive(Clone)]
struct Method {
    kind: &'static str,
    service: String,
    name: String,
}

impl Method {
    /// Of a path that is one of the routes.
    fn of(path: &str) -> Self {
        let (service, name) = path
            .trim_start_matches('/')
            .split_once('/')
            .unwrap_or_default();
        Self {
            kind: if service.ends_with("ServerReflection") {
                "bidi_stream"
            } else {
                "unary"
            },
            service: service.to_owned(),
            name: name.to_owned(),
        }
    }

    fn count(&self, name: &'static str) {
        metrics::counter!(name, "grpc_type" => self.kind, "grpc_service" => self.service.clone(), "grpc_method" => self.name.clone())
            .increment(1);
    }
}

/// A refusal as gRPC has it: the code and the message of the REST API.
fn status(error: RequestError) -> Status {
    let (code, message) = error.public();
    Status::new(Code::from(code as i32), message)
}

/// Alive, which is all that this says: `/readyz` says whether certificates can be issued.
async fn health(_: tonic::Request<Empty>) -> Result<HealthCheckResponse, RequestError> {
    Ok(HealthCheckResponse { status: SERVING })
}

/// Adds reflection, in the version of today and in the one that older tools ask for.
fn reflection(router: Router) -> Router {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
    };
    // The descriptors are part of the program; a test reads them.
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => router
            .route_service(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                v1,
            )
            .route_service(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                v1alpha,
            ),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "no gRPC reflection");
            router
        }
    }
}

/// Turns away what is not gRPC, counts, and names the limit's status as clients expect it.
async fn around(path: MatchedPath, request: Request, next: Next) -> Result<Response, RequestError> {
    if !is_grpc(&request) {
        return Err(RequestError::NotFound);
    }
    let start = Instant::now();
    let method = Method::of(path.as_str());
    method.count("grpc_server_started_total");
    let mut response = next.run(request).await;
    let too_large = HeaderValue::from(Code::OutOfRange as u16);
    // The library's name for a message over the limit is another than that of the reference
    // implementation and of every other gRPC library.
    if response.headers().get(Status::GRPC_STATUS) == Some(&too_large) {
        response.headers_mut().insert(
            Status::GRPC_STATUS,
            HeaderValue::from(Code::ResourceExhausted as u16),
        );
    }
    // An error is answered without a body, its status in the head; a success has it at the end.
    let code = response
        .headers()
        .get(Status::GRPC_STATUS)
        .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    let code = format!("{code:?}");
    let Method {
        kind,
        service,
        name,
    } = method;
    metrics::counter!("grpc_server_handled_total", "grpc_type" => kind, "grpc_service" => service.clone(), "grpc_method" => name.clone(), "grpc_code" => code)
        .increment(1);
    metrics::histogram!("grpc_server_handling_seconds", "grpc_type" => kind, "grpc_service" => service, "grpc_method" => name)
        .record(start.elapsed().as_secs_f64());
    Ok(response)
}

/// The router of a listener for gRPC alone.
pub(super) fn alone(certifier: Arc<Certifier>) -> Router {
    router(certifier).fallback(async |request: Request| -> Result<Response, Infallible> {
        Ok(if is_grpc(&request) {
            unimplemented()
        } else {
            RequestError::NotFound.into_response()
        })
    })
}

/// The token in a call's metadata: the one value of `oidcidentitytoken`, none if there are more.
fn metadata_token(metadata: &tonic::metadata::MetadataMap) -> &str {
    let mut values = metadata.get_all("oidcidentitytoken").iter();
    match (values.next(), values.next()) {
        (Some(one), None) => one.to_str().unwrap_or_default(),
        _ => "",
    }
}

/// The request's id, if the server gave it one.
fn request_id(extensions: &tonic::Extensions) -> &str {
    extensions
        .get::<serve::RequestId>()
        .map_or("", serve::RequestId::as_str)
}
