//! `dev.sigstore.fulcio.v2.CA`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;

use super::messages::{
    Certificate, CertificateChain, Configuration, CreateSigningCertificateRequest, DetachedSct,
    EmbeddedSct, Empty, IssuerUrl, Key, OidcIssuer, SigningCertificate, TrustBundle,
};
use super::{metadata_token, request_id, unary};
use crate::api::pem_chain;
use crate::audit;
use crate::certify::Certifier;
use crate::challenge::{Encodings, Proof};
use crate::error::RequestError;

pub(super) fn router() -> Router<Arc<Certifier>> {
    Router::new()
        .route(
            "/dev.sigstore.fulcio.v2.CA/CreateSigningCertificate",
            any(
                async |State(certifier): State<Arc<Certifier>>, request: Request| {
                    unary(request, move |call| create(certifier, call)).await
                },
            ),
        )
        .route(
            "/dev.sigstore.fulcio.v2.CA/GetTrustBundle",
            any(
                async |State(certifier): State<Arc<Certifier>>, request: Request| {
                    unary(request, move |call| trust_bundle(certifier, call)).await
                },
            ),
        )
        .route(
            "/dev.sigstore.fulcio.v2.CA/GetConfiguration",
            any(
                async |State(certifier): State<Arc<Certifier>>, request: Request| {
                    unary(request, move |call| configuration(certifier, call)).await
                },
            ),
        )
}

async fn create(
    certifier: Arc<Certifier>,
    call: tonic::Request<CreateSigningCertificateRequest>,
) -> Result<SigningCertificate, RequestError> {
    let (metadata, extensions, message) = call.into_parts();
    let token = message
        .credentials
        .map(|credentials| credentials.oidc_identity_token)
        .filter(|token| !token.is_empty())
        .unwrap_or_else(|| metadata_token(&metadata).to_owned());
    let (content, signature) = match &message.key {
        Some(Key::PublicKeyRequest(request)) => (
            request
                .public_key
                .as_ref()
                .map_or("", |key| key.content.as_str()),
            request.proof_of_possession.as_slice(),
        ),
        _ => ("", [].as_slice()),
    };
    let proof = match &message.key {
        Some(Key::CertificateSigningRequest(csr)) => Proof::Request(csr),
        _ => Proof::Signature {
            key: content.as_bytes(),
            signature,
        },
    };
    let audited = audit::Request {
        api: "grpc-v2",
        id: request_id(&extensions),
    };
    let issued = certifier
        .certify(audited, &token, proof, Encodings::Pem)
        .await?;
    let chain = Some(CertificateChain {
        certificates: pem_chain(&issued),
    });
    Ok(SigningCertificate {
        certificate: Some(match issued.sct {
            Some(_) => Certificate::EmbeddedSct(EmbeddedSct { chain }),
            None => Certificate::DetachedSct(DetachedSct {
                chain,
                signed_certificate_timestamp: Vec::new(),
            }),
        }),
    })
}

async fn trust_bundle(
    certifier: Arc<Certifier>,
    _: tonic::Request<Empty>,
) -> Result<TrustBundle, RequestError> {
    let authority = certifier.issuer.authority();
    let chain = |certificates: &Vec<String>| CertificateChain {
        certificates: certificates.clone(),
    };
    Ok(TrustBundle {
        chains: authority.bundle().iter().map(chain).collect(),
    })
}

async fn configuration(
    certifier: Arc<Certifier>,
    _: tonic::Request<Empty>,
) -> Result<Configuration, RequestError> {
    let issuers = certifier.identities.registry().issuers();
    let issuers = issuers.map(|issuer| OidcIssuer {
        issuer: Some(if issuer.is_wildcard() {
            IssuerUrl::Wildcard(issuer.url().to_owned())
        } else {
            IssuerUrl::Exact(issuer.url().to_owned())
        }),
        audience: issuer.client_id().to_owned(),
        challenge_claim: issuer.challenge_claim().to_owned(),
        spiffe_trust_domain: issuer.spiffe_trust_domain().to_owned(),
        issuer_type: issuer.kind().name().to_owned(),
        subject_domain: issuer.subject_domain().to_owned(),
        skip_email_verification: issuer.skips_email_verification(),
    });
    Ok(Configuration {
        issuers: issuers.collect(),
    })
}
