//! Version 1: JSON in, PEM out.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::message::{Base64, Message};
use super::{PEM_CHAIN, body, header_token, message, pem_chain, request_id};
use crate::audit::Request;
use crate::certify::Certifier;
use crate::challenge::{ChallengeError, Encodings, Proof};
use crate::error::RequestError;

/// `CreateSigningCertificateRequest` of version 1.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningRequest {
    #[serde(alias = "public_key")]
    public_key: Option<Message<PublicKey>>,
    #[serde(alias = "signed_email_address")]
    signed_email_address: Option<Base64>,
    #[serde(alias = "certificate_signing_request")]
    certificate_signing_request: Option<Base64>,
}

/// `PublicKey` of version 1; its algorithm is a text that says nothing the key does not.
#[derive(Debug, Default, Deserialize)]
struct PublicKey {
    #[serde(rename = "algorithm")]
    _algorithm: Option<String>,
    content: Option<Base64>,
}

/// `POST /api/v1/signingCert`
pub(super) async fn signing_cert(
    State(certifier): State<Arc<Certifier>>,
    id: Option<Extension<serve::RequestId>>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, RequestError> {
    let message: SigningRequest = message::parse(&body(bytes)?)?;
    let Message(key) = message.public_key.unwrap_or_default();
    let Base64(content) = key.content.unwrap_or_default();
    let Base64(signature) = message.signed_email_address.unwrap_or_default();
    let Base64(csr) = message.certificate_signing_request.unwrap_or_default();
    let proof = if !csr.is_empty() {
        Proof::Request(&csr)
    } else if !content.is_empty() {
        Proof::Signature {
            key: &content,
            signature: &signature,
        }
    } else {
        // This version looks for the key before the token.
        return Err(ChallengeError::Key("neither key nor request".to_owned()).into());
    };
    let audited = Request {
        api: "v1",
        id: request_id(id.as_ref()),
    };
    let issued = certifier
        .certify(audited, header_token(&headers), proof, Encodings::PemOrDer)
        .await?;
    let text = pem_chain(&issued).join("\n");
    Ok((
        StatusCode::CREATED,
        [(header::CONTENT_TYPE, PEM_CHAIN)],
        text,
    )
        .into_response())
}

/// `GET /api/v1/rootCert`
pub(super) async fn root_cert(State(certifier): State<Arc<Certifier>>) -> Response {
    (
        [(header::CONTENT_TYPE, PEM_CHAIN)],
        certifier.issuer.authority().bundle().concat().join("\n"),
    )
        .into_response()
}
