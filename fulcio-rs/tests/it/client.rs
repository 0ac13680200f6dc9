//! Asking for certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::keys::Key;
use crate::stack::Stack;

pub(crate) const TOKEN: &str = "There was an error processing the identity token";
pub(crate) const KEY: &str = "The public key supplied in the request could not be parsed";
pub(crate) const INSECURE: &str = "The public key supplied in the request is insecure";
pub(crate) const SIGNATURE: &str = "The signature supplied in the request could not be verified";
pub(crate) const CSR: &str = "The certificate signing request could not be parsed";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts an error with this status, code and message.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: u32, message: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.json(),
            json!({"code": code, "message": message, "details": []})
        );
        assert_eq!(self.headers["content-type"], "application/json");
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, message: &str) {
        self.is_error(400, 3, message);
    }

    /// Asserts success; the PEM chain, leaf first.
    #[track_caller]
    pub(crate) fn chain(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let answer = json.as_object().unwrap();
        assert_eq!(answer.len(), 1);
        let (name, value) = answer.iter().next().unwrap();
        assert!(matches!(
            name.as_str(),
            "signedCertificateEmbeddedSct" | "signedCertificateDetachedSct"
        ));
        value["chain"]["certificates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pem| pem.as_str().unwrap().to_owned())
            .collect()
    }

    /// Asserts success; the certificate's DER.
    #[track_caller]
    pub(crate) fn leaf(&self) -> Vec<u8> {
        pem::parse(&self.chain()[0]).unwrap().into_contents()
    }
}

/// A version 2 request with a proof over `identity`.
pub(crate) fn request(token: &str, key: &Key, identity: &str) -> Value {
    body(token, &key.pem(), &key.sign(identity.as_bytes()))
}

pub(crate) fn body(token: &str, pem: &str, signature: &[u8]) -> Value {
    json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": pem},
            "proofOfPossession": STANDARD.encode(signature),
        },
    })
}

pub(crate) fn csr_body(token: &str, pem: &str) -> Value {
    json!({
        "credentials": {"oidcIdentityToken": token},
        "certificateSigningRequest": STANDARD.encode(pem),
    })
}

impl Stack {
    pub(crate) fn v2(&self) -> reqwest::RequestBuilder {
        self.client.post(format!("{}/api/v2/signingCert", self.url))
    }

    pub(crate) fn v1(&self) -> reqwest::RequestBuilder {
        self.client.post(format!("{}/api/v1/signingCert", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.url))).await
    }

    /// The process's metrics; `serve::metrics::install` comes first.
    pub(crate) async fn metrics(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, serve::metrics::router()).await });
        Answer::of(self.client.get(url)).await.text
    }

    /// Posts a version 2 request.
    pub(crate) async fn post(&self, body: &Value) -> Answer {
        Answer::of(self.v2().json(body)).await
    }

    /// Asks with this token and a good key, proved over `identity`.
    pub(crate) async fn ask(&self, token: &str, identity: &str) -> Answer {
        self.post(&request(token, &Key::p256(), identity)).await
    }

    /// Asks with this token of the e-mail issuer.
    pub(crate) async fn ask_email(&self, token: &str) -> Answer {
        self.ask(token, "dev@corp.example").await
    }
}
