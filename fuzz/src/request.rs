//! A request to the running service, from the bytes of its body to the answer: JSON of versions 1
//! and 2, gRPC of both services. The first byte chooses the method and whether the request brings
//! a token that verifies; the rest is the body.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use custody::{Begin, NewKey, Purpose, Root};
use fulcio_rs::{Config, Issuers, Service};
use keys::{Algorithm, KeyUri, Passphrase, PassphraseSource};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const METHODS: [(&str, &str); 4] = [
    ("/api/v2/signingCert", "application/json"),
    ("/api/v1/signingCert", "application/json"),
    (
        "/dev.sigstore.fulcio.v2.CA/CreateSigningCertificate",
        "application/grpc",
    ),
    (
        "/dev.sigstore.fulcio.v1beta.CA/CreateSigningCertificate",
        "application/grpc",
    ),
];

/// How long the authority lives; longer than any run.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The service, and what it runs on.
struct Running {
    runtime: Runtime,
    router: Router,
    token: String,
    _directory: TempDir,
}

static RUNNING: LazyLock<Running> = LazyLock::new(Running::start);

impl Running {
    #[expect(clippy::unwrap_used, reason = "nothing to fuzz without a service")]
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("passphrase"), "correct horse\n").unwrap();
        let key = |name: &str| NewKey {
            uri: KeyUri::file(path(name)),
            algorithm: Algorithm::EcdsaP256Sha256,
            existing: false,
            passphrase: Some(Passphrase::new("correct horse")),
        };
        let begin = Begin {
            purpose: Purpose::CodeSigning,
            organization: "Corp".to_owned(),
            url: "https://fulcio.example".to_owned(),
            key: key("key.pem"),
            root: Root::New {
                key: key("root-key.pem"),
                lifetime: YEAR,
            },
            lifetime: YEAR,
        };
        let clock = clock::SystemClock::shared();
        runtime
            .block_on(begin.run(&path("authority"), &clock, "fuzz"))
            .unwrap();
        let issuer = "https://i.example";
        let mut config = Config::new(
            Issuers::Inline(format!(
                "oidc-issuers: {{{issuer}: {{client-id: sigstore, type: email}}}}"
            )),
            path("authority/1/chain.pem"),
            KeyUri::file(path("key.pem")),
        );
        config.passphrase = Some(PassphraseSource::File(path("passphrase")));
        let (token, pinned) = token(issuer, path("keys.json"));
        config.pinned_jwks = [(issuer.to_owned(), pinned)].into();
        let router =
            runtime.block_on(async { Service::open(config, clock).await.unwrap().router() });
        Self {
            runtime,
            router,
            token,
            _directory: directory,
        }
    }
}

/// A token that verifies under the keys it writes to `file`.
#[expect(clippy::unwrap_used, reason = "nothing to fuzz without a token")]
fn token(issuer: &str, file: PathBuf) -> (String, PathBuf) {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = key.public_key().as_ref().split_at(33);
    let (_, x) = x.split_first().unwrap();
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)}]});
    std::fs::write(&file, set.to_string()).unwrap();
    let claims = json!({
        "iss": issuer, "sub": "s", "aud": "sigstore", "exp": 9_999_999_999_u64,
        "email": "dev@corp.example", "email_verified": true,
    });
    let signed = format!(
        "{}.{}",
        encode(br#"{"alg":"ES256"}"#),
        encode(claims.to_string().as_bytes())
    );
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    (format!("{signed}.{}", encode(signature.as_ref())), file)
}

/// Asks, and reads the answer.
pub fn run(data: &[u8]) {
    let Some((chosen, body)) = data.split_first() else {
        return;
    };
    let running = &*RUNNING;
    let Some((path, kind)) = METHODS.get(usize::from(chosen & 3)) else {
        return;
    };
    let mut request = Request::post(*path).header("content-type", *kind);
    if chosen & 4 != 0 {
        request = match *kind {
            "application/json" => {
                request.header("authorization", format!("Bearer {}", running.token))
            }
            _ => request.header("oidcidentitytoken", &running.token),
        };
    }
    #[expect(clippy::unwrap_used, reason = "what must not fail")]
    let (status, _body) = running.runtime.block_on(async {
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let answer = running.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        (
            status,
            axum::body::to_bytes(answer.into_body(), 1 << 20).await,
        )
    });
    // A panic is caught by the service and answered with this.
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
