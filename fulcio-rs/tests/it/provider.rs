//! An identity provider: discovery and keys, well behaved or not.
//!
//! Every path prefix is an issuer of its own: `URL/email`, `URL/github`, …

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::keys::shared_rsa;

/// What the provider answers.
#[derive(Clone)]
pub(crate) struct Behaviour {
    /// `id_token_signing_alg_values_supported`; left out if none.
    pub(crate) algorithms: Option<Vec<&'static str>>,
    pub(crate) keys: Vec<Value>,
    /// The issuer that discovery names instead of its own.
    pub(crate) issuer: Option<String>,
    /// `jwks_uri` instead of its own.
    pub(crate) jwks_uri: Option<String>,
    pub(crate) discovery: Answer,
    pub(crate) jwks: Answer,
}

#[derive(Clone)]
pub(crate) enum Answer {
    Good,
    Status(u16),
    Redirect(String),
    /// JSON that goes on without end.
    Endless,
}

pub(crate) struct Provider {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    behaviour: Mutex<Behaviour>,
    discoveries: Mutex<usize>,
    fetches: Mutex<usize>,
}

impl Provider {
    /// A provider whose key is the shared RSA key, with id `a`.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (this, router) = Self::at(url);
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }

    /// The same, over TLS at `https://localhost`.
    pub(crate) async fn start_tls(tls: serve::Tls) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let (this, router) = Self::at(url);
        tokio::spawn(serve::serve(
            "provider",
            listener,
            router,
            Some(tls),
            serve::Limits::default(),
            tokio_util::sync::CancellationToken::new(),
        ));
        this
    }

    fn at(url: String) -> (Self, Router) {
        let shared = Arc::new(Shared {
            url: url.clone(),
            behaviour: Mutex::new(Behaviour {
                algorithms: Some(vec!["RS256"]),
                keys: vec![shared_rsa().jwk("a")],
                issuer: None,
                jwks_uri: None,
                discovery: Answer::Good,
                jwks: Answer::Good,
            }),
            discoveries: Mutex::new(0),
            fetches: Mutex::new(0),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        (Self { url, shared }, router)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap());
    }

    pub(crate) fn key_fetches(&self) -> usize {
        *self.shared.fetches.lock().unwrap()
    }

    pub(crate) fn requests(&self) -> usize {
        self.key_fetches() + *self.shared.discoveries.lock().unwrap()
    }

    /// Claims that are good for a certificate of `URL/email`.
    pub(crate) fn claims(&self) -> Value {
        self.claims_of("email", "user-1")
    }

    /// Claims of the issuer under `prefix`.
    pub(crate) fn claims_of(&self, prefix: &str, subject: &str) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": format!("{}/{prefix}", self.url), "sub": subject, "aud": "sigstore",
            "iat": now, "exp": now + 300,
        });
        if prefix == "email" {
            claims["email"] = json!("dev@corp.example");
            claims["email_verified"] = json!(true);
        }
        claims
    }

    /// A good token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        shared_rsa().token(Some("a"), claims)
    }

    /// The claims with some replaced; `null` removes one.
    pub(crate) fn token_with(&self, changes: Value) -> String {
        self.token(&with(self.claims(), changes))
    }
}

pub(crate) fn with(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let behaviour = shared.behaviour.lock().unwrap().clone();
    let path = request.uri().path();
    let (kind, body) = if let Some(prefix) = path.strip_suffix("/.well-known/openid-configuration")
    {
        *shared.discoveries.lock().unwrap() += 1;
        let own = format!("{}{prefix}", shared.url);
        let mut document = json!({
            "issuer": behaviour.issuer.unwrap_or_else(|| own.clone()),
            "jwks_uri": behaviour.jwks_uri.unwrap_or_else(|| format!("{own}/keys")),
        });
        if let Some(algorithms) = behaviour.algorithms {
            document["id_token_signing_alg_values_supported"] = json!(algorithms);
        }
        (behaviour.discovery, document)
    } else {
        *shared.fetches.lock().unwrap() += 1;
        (behaviour.jwks, json!({"keys": behaviour.keys}))
    };
    match kind {
        Answer::Good => axum::Json(body).into_response(),
        Answer::Status(status) => axum::http::StatusCode::from_u16(status)
            .unwrap()
            .into_response(),
        Answer::Redirect(to) => (axum::http::StatusCode::FOUND, [("location", to)]).into_response(),
        Answer::Endless => {
            let chunks =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 16384]));
            Body::from_stream(chunks).into_response()
        }
    }
}
