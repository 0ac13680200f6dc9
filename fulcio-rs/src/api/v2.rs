//! Version 2: JSON.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::message::{AnyEnum, Base64, Message};
use super::{body, header_token, message, pem_chain, request_id};
use crate::audit::Request;
use crate::certify::Certifier;
use crate::challenge::{Encodings, Proof};
use crate::error::RequestError;

/// `CreateSigningCertificateRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningRequest {
    credentials: Option<Message<Credentials>>,
    #[serde(alias = "public_key_request")]
    public_key_request: Option<Message<PublicKeyRequest>>,
    #[serde(alias = "certificate_signing_request")]
    certificate_signing_request: Option<Base64>,
}

/// `Credentials`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(alias = "oidc_identity_token")]
    oidc_identity_token: Option<String>,
}

/// `PublicKeyRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    #[serde(alias = "public_key")]
    public_key: Option<Message<PublicKey>>,
    #[serde(alias = "proof_of_possession")]
    proof_of_possession: Option<Base64>,
}

/// `PublicKey`. The algorithm says nothing that the key does not.
#[derive(Debug, Default, Deserialize)]
struct PublicKey {
    #[serde(rename = "algorithm")]
    _algorithm: Option<AnyEnum>,
    content: Option<String>,
}

/// `POST /api/v2/signingCert`
pub(super) async fn signing_cert(
    State(certifier): State<Arc<Certifier>>,
    id: Option<Extension<serve::RequestId>>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, RequestError> {
    let message: SigningRequest = message::parse(&body(bytes)?)?;
    if message.public_key_request.is_some() && message.certificate_signing_request.is_some() {
        return Err(RequestError::Malformed(
            "publicKeyRequest and certificateSigningRequest exclude each other".to_owned(),
        ));
    }
    let token = message
        .credentials
        .and_then(|Message(credentials)| credentials.oidc_identity_token)
        .filter(|token| !token.is_empty())
        .unwrap_or_else(|| header_token(&headers).to_owned());
    let Message(request) = message.public_key_request.unwrap_or_default();
    let content = request
        .public_key
        .and_then(|Message(key)| key.content)
        .unwrap_or_default();
    let signature = request.proof_of_possession.unwrap_or_default();
    let proof = match &message.certificate_signing_request {
        Some(Base64(csr)) => Proof::Request(csr),
        None => Proof::Signature {
            key: content.as_bytes(),
            signature: &signature.0,
        },
    };
    let audited = Request {
        api: "v2",
        id: request_id(id.as_ref()),
    };
    let issued = certifier
        .certify(audited, &token, proof, Encodings::Pem)
        .await?;
    let certificates = pem_chain(&issued);
    let chain = json!({"certificates": certificates});
    // Exactly one of the two, never the other as null: clients look for the name.
    Ok(Json(match issued.sct {
        Some(_) => json!({"signedCertificateEmbeddedSct": {"chain": chain}}),
        None => {
            json!({"signedCertificateDetachedSct": {"chain": chain, "signedCertificateTimestamp": ""}})
        }
    }))
}

/// `GET /api/v2/trustBundle`
pub(super) async fn trust_bundle(State(certifier): State<Arc<Certifier>>) -> Json<Value> {
    let authority = certifier.issuer.authority();
    let chains = authority.bundle().iter();
    let chains: Vec<_> = chains.map(|chain| json!({"certificates": chain})).collect();
    Json(json!({"chains": chains}))
}

/// `GET /api/v2/configuration`
pub(super) async fn configuration(State(certifier): State<Arc<Certifier>>) -> Json<Value> {
    let issuers: Vec<_> = certifier
        .identities
        .registry()
        .issuers()
        .map(|issuer| {
            let url = if issuer.is_wildcard() {
                "wildcardIssuerUrl"
            } else {
                "issuerUrl"
            };
            json!({
                (url): issuer.url(),
                "audience": issuer.client_id(),
                "challengeClaim": issuer.challenge_claim(),
                "spiffeTrustDomain": issuer.spiffe_trust_domain(),
                "issuerType": issuer.kind().name(),
                "subjectDomain": issuer.subject_domain(),
                "skipEmailVerification": issuer.skips_email_verification(),
            })
        })
        .collect();
    Json(json!({"issuers": issuers}))
}
