//! `dev.sigstore.fulcio.v1beta.CA`, which came before version 2.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;

use super::messages::{Empty, HttpBody, LegacyRequest};
use super::{metadata_token, request_id, unary};
use crate::api::{PEM_CHAIN, pem_chain};
use crate::audit;
use crate::certify::Certifier;
use crate::challenge::{ChallengeError, Encodings, Proof};
use crate::error::RequestError;

pub(super) fn router() -> Router<Arc<Certifier>> {
    Router::new()
        .route(
            "/dev.sigstore.fulcio.v1beta.CA/CreateSigningCertificate",
            any(
                async |State(certifier): State<Arc<Certifier>>, request: Request| {
                    unary(request, move |call| create(certifier, call)).await
                },
            ),
        )
        .route(
            "/dev.sigstore.fulcio.v1beta.CA/GetRootCertificate",
            any(
                async |State(certifier): State<Arc<Certifier>>, request: Request| {
                    unary(request, move |call| root(certifier, call)).await
                },
            ),
        )
}

async fn create(
    certifier: Arc<Certifier>,
    call: tonic::Request<LegacyRequest>,
) -> Result<HttpBody, RequestError> {
    let (metadata, extensions, message) = call.into_parts();
    let content = message.public_key.map_or_else(Vec::new, |key| key.content);
    let proof = if !message.certificate_signing_request.is_empty() {
        Proof::Request(&message.certificate_signing_request)
    } else if !content.is_empty() {
        Proof::Signature {
            key: &content,
            signature: &message.signed_email_address,
        }
    } else {
        // This version looks for the key before the token.
        return Err(ChallengeError::Key("neither key nor request".to_owned()).into());
    };
    let audited = audit::Request {
        api: "grpc-v1beta",
        id: request_id(&extensions),
    };
    let issued = certifier
        .certify(
            audited,
            metadata_token(&metadata),
            proof,
            Encodings::PemOrDer,
        )
        .await?;
    Ok(HttpBody {
        content_type: PEM_CHAIN.to_owned(),
        data: pem_chain(&issued).join("\n").into_bytes(),
    })
}

async fn root(
    certifier: Arc<Certifier>,
    _: tonic::Request<Empty>,
) -> Result<HttpBody, RequestError> {
    Ok(HttpBody {
        content_type: PEM_CHAIN.to_owned(),
        data: certifier
            .issuer
            .authority()
            .bundle()
            .concat()
            .join("\n")
            .into_bytes(),
    })
}
