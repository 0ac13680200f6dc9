//! The gRPC API, with tonic's client over HTTP/2.

use serde_json::json;
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::certificates::email;
use crate::client::{KEY, SIGNATURE, TOKEN};
use crate::keys::Key;
use crate::stack::{Lines, Stack};

/// What the client sends: written here once more, so that a slip in the service's own is seen.
#[derive(Clone, PartialEq, prost::Message)]
struct SigningRequest {
    #[prost(message, optional, tag = "1")]
    credentials: Option<Text1>,
    #[prost(message, optional, tag = "2")]
    key: Option<KeyAndProof>,
    #[prost(bytes = "vec", optional, tag = "3")]
    csr: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text1 {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyAndProof {
    #[prost(message, optional, tag = "1")]
    key: Option<PublicKey>,
    #[prost(bytes = "vec", tag = "2")]
    proof: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PublicKey {
    #[prost(int32, tag = "1")]
    algorithm: i32,
    #[prost(string, tag = "2")]
    content: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LegacyRequest {
    #[prost(message, optional, tag = "1")]
    key: Option<LegacyKey>,
    #[prost(bytes = "vec", tag = "2")]
    proof: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LegacyKey {
    #[prost(string, tag = "1")]
    algorithm: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Body {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(string, tag = "2")]
    data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Certificate {
    #[prost(message, optional, tag = "1")]
    detached: Option<WithChain>,
    #[prost(message, optional, tag = "2")]
    embedded: Option<WithChain>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WithChain {
    #[prost(message, optional, tag = "1")]
    chain: Option<Chain>,
    #[prost(bytes = "vec", tag = "2")]
    sct: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Chain {
    #[prost(string, repeated, tag = "1")]
    certificates: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Chains {
    #[prost(message, repeated, tag = "1")]
    chains: Vec<Chain>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Number1 {
    #[prost(int32, tag = "1")]
    number: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

const V2: &str = "/dev.sigstore.fulcio.v2.CA/";
const V1BETA: &str = "/dev.sigstore.fulcio.v1beta.CA/";

/// Calls a method at `url`, `http://host:port`.
async fn call<Q, A>(url: &str, path: &str, request: tonic::Request<Q>) -> Result<A, tonic::Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let stream = tokio::net::TcpStream::connect(url.trim_start_matches("http://"))
        .await
        .unwrap();
    let (sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let service = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    let mut client = tonic::client::Grpc::with_origin(service, url.parse().unwrap());
    client.ready().await.unwrap();
    client
        .unary(
            request,
            PathAndQuery::try_from(path).unwrap(),
            ProstCodec::<Q, A>::default(),
        )
        .await
        .map(tonic::Response::into_inner)
}

async fn create(
    stack: &Stack,
    request: impl tonic::IntoRequest<SigningRequest>,
) -> Result<Certificate, tonic::Status> {
    call(
        &stack.url,
        &format!("{V2}CreateSigningCertificate"),
        request.into_request(),
    )
    .await
}

fn signing_request(token: &str, identity: &str) -> SigningRequest {
    let key = Key::p256();
    SigningRequest {
        credentials: Some(Text1 {
            text: token.to_owned(),
        }),
        key: Some(KeyAndProof {
            proof: key.sign(identity.as_bytes()),
            key: Some(PublicKey {
                algorithm: 2,
                content: key.pem(),
            }),
        }),
        csr: None,
    }
}

#[track_caller]
fn is_refused<A: std::fmt::Debug>(answer: Result<A, tonic::Status>, message: &str) {
    let status = answer.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, message)
    );
}

#[tokio::test]
async fn a_key_or_a_request_becomes_a_certificate() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let answer = create(&stack, signing_request(&token, "dev@corp.example"))
        .await
        .unwrap();
    assert_eq!(answer.detached, None);
    let chain = answer.embedded.unwrap().chain.unwrap().certificates;
    assert_eq!(chain.len(), 3);
    let leaf = pem::parse(&chain[0]).unwrap().into_contents();
    assert_eq!(email(&leaf), "dev@corp.example");

    let request = SigningRequest {
        key: None,
        csr: Some(crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256).into_bytes()),
        ..signing_request(&token, "")
    };
    assert!(create(&stack, request).await.unwrap().embedded.is_some());
}

#[tokio::test]
async fn without_a_log_the_answer_is_detached_and_empty() {
    let stack = Stack::with(Stack::without_log).await;
    let token = stack.provider.token(&stack.provider.claims());
    let answer = create(&stack, signing_request(&token, "dev@corp.example"))
        .await
        .unwrap();
    let detached = answer.detached.unwrap();
    assert_eq!(detached.chain.unwrap().certificates.len(), 3);
    assert_eq!((detached.sct, answer.embedded), (Vec::new(), None));
}

#[tokio::test]
async fn the_token_may_be_one_value_of_metadata() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let with_metadata = |values: &[&str]| {
        let mut request = tonic::Request::new(signing_request("", "dev@corp.example"));
        for value in values {
            let value = value.parse().unwrap();
            request.metadata_mut().append("oidcidentitytoken", value);
        }
        request
    };
    create(&stack, with_metadata(&[&token])).await.unwrap();
    is_refused(
        create(&stack, with_metadata(&[&token, &token])).await,
        TOKEN,
    );
    is_refused(create(&stack, with_metadata(&[])).await, TOKEN);
}

#[tokio::test]
async fn refusals_have_the_code_and_message_of_the_rest_api() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    is_refused(create(&stack, signing_request("x", "")).await, TOKEN);
    is_refused(
        create(&stack, signing_request(&token, "x")).await,
        SIGNATURE,
    );
    let keyless = SigningRequest {
        key: None,
        ..signing_request(&token, "")
    };
    is_refused(create(&stack, keyless).await, KEY);
    stack.log.feel(crate::log::Mood::Status(500));
    let status = create(&stack, signing_request(&token, "dev@corp.example"))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "Error entering certificate in CTL")
    );
}

#[tokio::test]
async fn calls_and_messages_are_counted_under_the_usual_names() {
    serve::metrics::install();
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    create(&stack, signing_request(&token, "dev@corp.example"))
        .await
        .unwrap();
    is_refused(create(&stack, signing_request("x", "")).await, TOKEN);
    let text = stack.metrics().await;
    let labels = r#"grpc_type="unary",grpc_service="dev.sigstore.fulcio.v2.CA",grpc_method="CreateSigningCertificate""#;
    for line in [
        format!("grpc_server_started_total{{{labels}}} 2"),
        format!("grpc_server_msg_received_total{{{labels}}} 2"),
        format!("grpc_server_msg_sent_total{{{labels}}} 1"),
        format!(r#"grpc_server_handled_total{{{labels},grpc_code="Ok"}} 1"#),
        format!(r#"grpc_server_handled_total{{{labels},grpc_code="InvalidArgument"}} 1"#),
        format!("grpc_server_handling_seconds_count{{{labels}}} 2"),
    ] {
        assert!(text.contains(&line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn messages_over_four_mebibytes_exhaust_the_resource() {
    let stack = Stack::start().await;
    let padded = |length: usize| SigningRequest {
        credentials: None,
        key: None,
        csr: Some(vec![b'x'; length]),
    };
    let status = create(&stack, padded(4 << 20)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    is_refused(create(&stack, padded((4 << 20) - 100)).await, TOKEN);
}

#[tokio::test]
async fn the_older_service_answers_with_pem() {
    let stack = Stack::start().await;
    let key = Key::p256();
    let token = stack.provider.token(&stack.provider.claims());
    let request = |content: Vec<u8>, token: &str| {
        let mut request = tonic::Request::new(LegacyRequest {
            key: Some(LegacyKey {
                algorithm: "ecdsa".to_owned(),
                content,
            }),
            proof: key.sign(b"dev@corp.example"),
        });
        let token = token.parse().unwrap();
        request.metadata_mut().insert("oidcidentitytoken", token);
        request
    };
    let path = format!("{V1BETA}CreateSigningCertificate");
    for content in [key.spki(), key.pem().into_bytes()] {
        let answer: Body = call(&stack.url, &path, request(content, &token))
            .await
            .unwrap();
        assert_eq!(answer.content_type, "application/pem-certificate-chain");
        let chain = pem::parse_many(&answer.data).unwrap();
        assert_eq!(email(chain[0].contents()), "dev@corp.example");
        assert_eq!(chain.len(), 3);
    }
    is_refused(
        call::<_, Body>(&stack.url, &path, request(key.spki(), "x")).await,
        TOKEN,
    );
    is_refused(
        call::<_, Body>(&stack.url, &path, request(Vec::new(), "x")).await,
        KEY,
    );
    let path = format!("{V1BETA}GetRootCertificate");
    let root: Body = call(&stack.url, &path, tonic::Request::new(Empty {}))
        .await
        .unwrap();
    assert_eq!(root.data, stack.get("/api/v1/rootCert").await.text);
}

#[tokio::test]
async fn bundle_and_health_are_those_of_the_rest_api() {
    let stack = Stack::start().await;
    let bundle: Chains = call(
        &stack.url,
        &format!("{V2}GetTrustBundle"),
        tonic::Request::new(Empty {}),
    )
    .await
    .unwrap();
    let rest = stack.get("/api/v2/trustBundle").await.json();
    assert_eq!(
        json!(bundle.chains[0].certificates),
        rest["chains"][0]["certificates"]
    );
    let health: Number1 = call(
        &stack.url,
        "/grpc.health.v1.Health/Check",
        tonic::Request::new(Empty {}),
    )
    .await
    .unwrap();
    assert_eq!(health.number, 1);
}

#[tokio::test]
async fn unknown_paths_stay_what_they_are_to_each_kind_of_client() {
    let stack = Stack::start().await;
    for path in [
        "/nope",
        "/dev.sigstore.fulcio.v2.CA/Nope",
        "/dev.sigstore.fulcio.v2.CA",
    ] {
        stack.get(path).await.is_error(404, 5, "Not Found");
    }
    for path in [
        &format!("{V2}GetTrustBundle"),
        "/grpc.health.v1.Health/Check",
    ] {
        stack.get(path).await.is_error(404, 5, "Not Found");
        let url = format!("{}{path}", stack.url);
        crate::client::Answer::of(stack.client.post(url).json(&json!({})))
            .await
            .is_error(404, 5, "Not Found");
    }
    for path in ["/nope.Service/Method", "/dev.sigstore.fulcio.v2.CA/Nope"] {
        let answer = call::<_, Empty>(&stack.url, path, tonic::Request::new(Empty {})).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_listener_of_its_own_speaks_grpc_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, root) = crate::private::private_authority(directory.path());
    let lines = Lines::default();
    let (_stack, _program) = Stack::program_with(&lines, |_| {
        format!(
            "  grpc:\n    listen: 127.0.0.1:0\n    tls: {{certificate: {}, key: {}}}\n",
            tls.certificate.display(),
            tls.key.display()
        )
    })
    .await;
    let serving = lines
        .wait_for(|line| line["message"] == "serving gRPC")
        .await;
    let port = serving["address"]
        .as_str()
        .unwrap()
        .rsplit_once(':')
        .unwrap()
        .1;
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(root.as_bytes()).unwrap()])
        .build()
        .unwrap();
    let url = format!("https://localhost:{port}");
    // An empty message: no compression, length 0.
    let answer = client
        .post(format!("{url}{V2}GetTrustBundle"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(vec![0; 5])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let body = answer.bytes().await.unwrap();
    let bundle: Chains = prost::Message::decode(&body[5..]).unwrap();
    assert_eq!(bundle.chains[0].certificates.len(), 2);
    let rest = client.get(format!("{url}/api/v2/trustBundle")).send().await;
    assert_eq!(rest.unwrap().status(), 404);
}
