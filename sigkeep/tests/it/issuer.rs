//! The development issuer, as clients see it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clock::ManualClock;
use openidconnect::core::{
    CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreProviderMetadata,
};
use openidconnect::{ClientId, IssuerUrl, Nonce};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sigkeep::oidc::{self, Issuer, IssuerKey};
use tokio::net::TcpListener;
use url::Url;

const EMAIL: &str = "dev@corp.example";
const REDIRECT: &str = "http://localhost:49152/auth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const NOW_MS: u64 = 1_800_000_000_000;

/// A running issuer and a browser that follows no redirects.
struct Served {
    base: String,
    address: SocketAddr,
    clock: Arc<ManualClock>,
    client: Client,
}

impl Served {
    async fn start() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base = format!("http://localhost:{}", address.port());
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let key = IssuerKey::generate().unwrap();
        let issuer = Issuer::new(&Url::parse(&base).unwrap(), key, clock.clone()).unwrap();
        tokio::spawn(async move { axum::serve(listener, oidc::router(Arc::new(issuer))).await });
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve("localhost", address)
            .build()
            .unwrap();
        Self {
            base,
            address,
            clock,
            client,
        }
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        send_form(self.client.post(format!("{}{path}", self.base)), form).await
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let url = Url::parse_with_params(&format!("{}{path}", self.base), query).unwrap();
        self.client.get(url).send().await.unwrap()
    }

    /// Submits the login page; returns what the redirect says.
    async fn sign_in(&self, changes: &[(&str, &str)]) -> HashMap<String, String> {
        let mut form: HashMap<&str, &str> = request().into_iter().collect();
        form.insert("email", EMAIL);
        form.extend(changes.iter().copied());
        let form: Vec<_> = form.into_iter().collect();
        let answer = self.post("/authorize", &form).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(location.as_str().starts_with(REDIRECT), "{location}");
        location.query_pairs().into_owned().collect()
    }

    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Response {
        let mut form: HashMap<&str, &str> = HashMap::from([
            ("grant_type", "authorization_code"),
            ("client_id", "sigstore"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        form.extend(changes.iter().copied());
        self.post("/token", &form.into_iter().collect::<Vec<_>>())
            .await
    }

    async fn refusal(&self, answer: Response) -> String {
        assert!(answer.status().is_client_error(), "{}", answer.status());
        answer.json::<Value>().await.unwrap()["error"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The claims of `token`, after an independent verification under the published key.
    async fn verified(&self, token: &str, nonce: Option<&str>) -> Value {
        let keys: CoreJsonWebKeySet = self.get("/keys", &[]).await.json().await.unwrap();
        let issuer = IssuerUrl::new(self.base.clone()).unwrap();
        let now = NOW_MS / 1000;
        let verifier = CoreIdTokenVerifier::new_public_client(
            ClientId::new("sigstore".to_owned()),
            issuer,
            keys,
        )
        .set_time_fn(move || {
            std::time::UNIX_EPOCH
                .checked_add(Duration::from_secs(now))
                .unwrap()
                .into()
        });
        let parsed: CoreIdToken = token.parse().unwrap();
        let check = |seen: Option<&Nonce>| match (seen.map(|seen| seen.secret().as_str()), nonce) {
            (seen, expected) if seen == expected => Ok(()),
            (seen, expected) => Err(format!("nonce {seen:?} instead of {expected:?}")),
        };
        parsed.claims(&verifier, check).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

async fn send_form(request: RequestBuilder, form: &[(&str, &str)]) -> Response {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap()
}

fn challenge() -> &'static str {
    // RFC 7636 appendix B, as VERIFIER.
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
}

fn request() -> [(&'static str, &'static str); 8] {
    [
        ("client_id", "sigstore"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "the state"),
        ("nonce", "the-nonce"),
        ("code_challenge", challenge()),
        ("code_challenge_method", "S256"),
    ]
}

#[tokio::test]
async fn discovery_names_each_issuer_exactly_and_what_clients_need() {
    let served = Served::start().await;
    for path in ["", "/github", "/gitlab", "/kubernetes", "/uri"] {
        let document = served
            .get(&format!("{path}/.well-known/openid-configuration"), &[])
            .await;
        let document: Value = document.json().await.unwrap();
        assert_eq!(document["issuer"], format!("{}{path}", served.base));
        assert_eq!(
            document["id_token_signing_alg_values_supported"],
            json!(["RS256"])
        );
        assert_eq!(
            document["code_challenge_methods_supported"],
            json!(["S256"])
        );
        for (member, at) in [
            ("authorization_endpoint", "/authorize"),
            ("token_endpoint", "/token"),
            ("jwks_uri", "/keys"),
            ("device_authorization_endpoint", "/device/code"),
        ] {
            assert_eq!(document[member], format!("{}{at}", served.base));
        }
        serde_json::from_value::<CoreProviderMetadata>(document).unwrap();
    }
    assert_eq!(
        served
            .get("/other/.well-known/openid-configuration", &[])
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_login_with_pkce_gives_a_token_that_others_can_verify() {
    let served = Served::start().await;
    let page = served.get("/authorize", &request()).await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("name=\"code_challenge\"") && page.contains("for development"));

    let answer = served.sign_in(&[]).await;
    assert_eq!(answer["state"], "the state");
    let issued = served.redeem(&answer["code"], &[]).await;
    assert_eq!(issued.status(), StatusCode::OK);
    assert_eq!(issued.headers()["cache-control"], "no-store");
    let issued: Value = issued.json().await.unwrap();
    assert_eq!(issued["access_token"], issued["id_token"]);
    let claims = served
        .verified(issued["id_token"].as_str().unwrap(), Some("the-nonce"))
        .await;
    assert_eq!(
        claims,
        json!({
            "iss": served.base, "aud": "sigstore", "sub": EMAIL, "email": EMAIL, "email_verified": true,
            "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_600, "nonce": "the-nonce",
        })
    );
}

#[tokio::test]
async fn a_code_is_good_once() {
    let served = Served::start().await;
    let code = served.sign_in(&[]).await["code"].clone();
    assert_eq!(served.redeem(&code, &[]).await.status(), StatusCode::OK);
    let again = served.redeem(&code, &[]).await;
    assert_eq!(served.refusal(again).await, "invalid_grant");
}

#[tokio::test]
async fn a_wrong_attempt_uses_the_code_up() {
    for wrong in [
        (
            "code_verifier",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX",
        ),
        ("code_verifier", ""),
        ("redirect_uri", "http://localhost:49153/auth/callback"),
    ] {
        let served = Served::start().await;
        let code = served.sign_in(&[]).await["code"].clone();
        let refused = served.redeem(&code, &[wrong]).await;
        assert_eq!(served.refusal(refused).await, "invalid_grant", "{wrong:?}");
        let late = served.redeem(&code, &[]).await;
        assert_eq!(served.refusal(late).await, "invalid_grant", "{wrong:?}");
    }
}

#[tokio::test]
async fn a_code_expires() {
    let served = Served::start().await;
    let code = served.sign_in(&[]).await["code"].clone();
    served.clock.advance(Duration::from_secs(60));
    let late = served.redeem(&code, &[]).await;
    assert_eq!(served.refusal(late).await, "invalid_grant");
}

#[tokio::test]
async fn another_client_is_refused_without_using_the_code_up() {
    let served = Served::start().await;
    let code = served.sign_in(&[]).await["code"].clone();
    let refused = served.redeem(&code, &[("client_id", "other")]).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(served.refusal(refused).await, "invalid_client");
    assert_eq!(served.redeem(&code, &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_client_may_name_itself_by_http_basic_with_an_empty_secret() {
    let served = Served::start().await;
    let url = format!("{}/token", served.base);
    for (credentials, status) in [
        ("sigstore:secret", StatusCode::UNAUTHORIZED),
        ("other:", StatusCode::UNAUTHORIZED),
        ("sigstore:", StatusCode::OK),
    ] {
        let code = served.sign_in(&[]).await["code"].clone();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let basic = format!("Basic {}", STANDARD.encode(credentials));
        let answer = send_form(
            served.client.post(&url).header("authorization", basic),
            &form,
        )
        .await;
        assert_eq!(answer.status(), status, "{credentials}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_another_machine_or_for_another_client() {
    let served = Served::start().await;
    for wrong in [
        ("redirect_uri", "http://attacker.example/auth/callback"),
        ("redirect_uri", "https://localhost:49152/auth/callback"),
        ("redirect_uri", "http://localhost.attacker.example/"),
        ("redirect_uri", ""),
        ("client_id", "other"),
    ] {
        let mut parameters: HashMap<&str, &str> = request().into_iter().collect();
        parameters.insert(wrong.0, wrong.1);
        parameters.insert("email", EMAIL);
        let parameters: Vec<_> = parameters.into_iter().collect();
        for answer in [
            served.get("/authorize", &parameters).await,
            served.post("/authorize", &parameters).await,
        ] {
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong:?}");
            assert!(!answer.headers().contains_key("location"), "{wrong:?}");
        }
    }
}

#[tokio::test]
async fn requests_that_lack_pkce_or_openid_are_refused_at_the_client() {
    let served = Served::start().await;
    for (wrong, error) in [
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge", "tooshort"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "email"), "invalid_scope"),
    ] {
        let answer = served.sign_in(&[wrong]).await;
        assert_eq!(answer["error"], error, "{wrong:?}");
        assert_eq!(answer["state"], "the state");
        assert!(!answer.contains_key("code"));
    }
    let without: Vec<_> = request()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("code_challenge"))
        .collect();
    let answer = served.get("/authorize", &without).await;
    assert!(
        answer.headers()["location"]
            .to_str()
            .unwrap()
            .contains("error=invalid_request")
    );
}

#[tokio::test]
async fn a_mistyped_address_is_asked_for_again_and_cannot_become_markup() {
    let served = Served::start().await;
    let mut form = request().to_vec();
    form.push(("email", "\"><script>alert(1)</script>"));
    let answer = served.post("/authorize", &form).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("role=\"alert\"")
            && page.contains("name=\"state\"")
            && !page.contains("<script>")
    );
}

#[tokio::test]
async fn without_a_browser_on_the_machine_the_code_is_shown_to_be_typed() {
    let served = Served::start().await;
    let mut form: HashMap<&str, &str> = request().into_iter().collect();
    form.extend([
        ("redirect_uri", "urn:ietf:wg:oauth:2.0:oob"),
        ("email", EMAIL),
    ]);
    let answer = served
        .post("/authorize", &form.into_iter().collect::<Vec<_>>())
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = answer.text().await.unwrap();
    let code = page
        .split("<code>")
        .nth(1)
        .unwrap()
        .split("</code>")
        .next()
        .unwrap();
    let redeemed = served
        .redeem(code, &[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")])
        .await;
    assert_eq!(redeemed.status(), StatusCode::OK);
}

/// Begins a device login with PKCE; returns the device code and the user code.
async fn begin_device(served: &Served) -> (String, String) {
    let form = [
        ("client_id", "sigstore"),
        ("code_challenge", challenge()),
        ("code_challenge_method", "S256"),
        ("scope", "openid email"),
    ];
    let begun: Value = served
        .post("/device/code", &form)
        .await
        .json()
        .await
        .unwrap();
    let text = |member: &str| begun[member].as_str().unwrap().to_owned();
    assert_eq!(
        text("verification_uri_complete"),
        format!("{}/device?user_code={}", served.base, text("user_code"))
    );
    assert_eq!(begun["interval"], 1);
    (text("device_code"), text("user_code"))
}

async fn poll_device(served: &Served, device_code: &str, verifier: &str) -> Response {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
        ("code_verifier", verifier),
    ];
    served.post("/token", &form).await
}

#[tokio::test]
async fn a_device_login_gives_one_token_after_its_approval() {
    let served = Served::start().await;
    let (device_code, user_code) = begin_device(&served).await;
    let early = poll_device(&served, &device_code, VERIFIER).await;
    assert_eq!(served.refusal(early).await, "authorization_pending");

    let page = served
        .get("/device", &[("user_code", &user_code)])
        .await
        .text()
        .await
        .unwrap();
    assert!(page.contains(&user_code));
    let typed = user_code.to_lowercase().replace('-', " ");
    let approved = served
        .post(
            "/device",
            &[
                ("user_code", &typed),
                ("email", EMAIL),
                ("decision", "approve"),
            ],
        )
        .await;
    assert_eq!(approved.status(), StatusCode::OK);

    let foreign = poll_device(&served, &device_code, &VERIFIER.replace('d', "e")).await;
    assert_eq!(served.refusal(foreign).await, "invalid_grant");
    let issued = poll_device(&served, &device_code, VERIFIER).await;
    assert_eq!(issued.status(), StatusCode::OK);
    let issued: Value = issued.json().await.unwrap();
    assert_eq!(
        served
            .verified(issued["id_token"].as_str().unwrap(), None)
            .await["email"],
        EMAIL
    );
    let again = poll_device(&served, &device_code, VERIFIER).await;
    assert_eq!(served.refusal(again).await, "expired_token");
}

#[tokio::test]
async fn a_device_login_can_be_denied_and_expires() {
    let served = Served::start().await;
    let (device_code, user_code) = begin_device(&served).await;
    served
        .post(
            "/device",
            &[("user_code", &user_code), ("decision", "deny")],
        )
        .await;
    let denied = poll_device(&served, &device_code, VERIFIER).await;
    assert_eq!(served.refusal(denied).await, "access_denied");

    let (device_code, user_code) = begin_device(&served).await;
    served.clock.advance(Duration::from_secs(600));
    let late = served
        .post(
            "/device",
            &[
                ("user_code", &user_code),
                ("email", EMAIL),
                ("decision", "approve"),
            ],
        )
        .await;
    assert_eq!(late.status(), StatusCode::BAD_REQUEST);
    let expired = poll_device(&served, &device_code, VERIFIER).await;
    assert_eq!(served.refusal(expired).await, "expired_token");
}

#[tokio::test]
async fn scripts_get_tokens_of_every_issuer() {
    let served = Served::start().await;
    let mint = async |body: Value| {
        served
            .client
            .post(format!("{}/dev/token", served.base))
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    let payload = async |answer: Response| -> Value {
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        let payload = answer["id_token"]
            .as_str()
            .unwrap()
            .split('.')
            .nth(1)
            .unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let claims =
        payload(mint(json!({"email": EMAIL, "claims": {"sub": "opaque", "groups": ["a"]}})).await)
            .await;
    assert_eq!(
        (&claims["sub"], &claims["groups"]),
        (&json!("opaque"), &json!(["a"]))
    );
    let claims =
        payload(mint(json!({"issuer": "github", "claims": {"repository": "corp/app"}})).await)
            .await;
    assert_eq!(claims["iss"], format!("{}/github", served.base));
    assert_eq!(claims["repository"], "corp/app");

    for wrong in [
        json!({}),
        json!({"email": "nobody"}),
        json!({"issuer": "x"}),
        json!({"email": EMAIL, "extra": 1}),
    ] {
        let answer = mint(wrong.clone()).await;
        assert_eq!(served.refusal(answer).await, "invalid_request", "{wrong}");
    }
    // What a web page could send without asking: refused.
    let simple = served
        .client
        .post(format!("{}/dev/token", served.base))
        .header("content-type", "text/plain");
    let answer = simple
        .body(json!({"email": EMAIL}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn requests_under_another_name_are_refused() {
    let served = Served::start().await;
    let url = format!(
        "http://rebound.example:{}/.well-known/openid-configuration",
        served.address.port()
    );
    let client = Client::builder()
        .no_proxy()
        .resolve("rebound.example", served.address)
        .build()
        .unwrap();
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
}
