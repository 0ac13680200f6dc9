//! `/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4) and the key set.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthUrl, DeviceAuthorizationUrl, IssuerUrl, JsonWebKeySetUrl,
    ProviderMetadata, ResponseTypes, Scope, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::{Issuer, Shape};

/// Members that OpenID Connect Discovery itself does not name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Extensions {
    /// RFC 8628 §4.
    device_authorization_endpoint: DeviceAuthorizationUrl,
    /// RFC 8414 §2; clients do not use PKCE without it.
    code_challenge_methods_supported: Vec<String>,
}

impl AdditionalProviderMetadata for Extensions {}

type Metadata = ProviderMetadata<
    Extensions,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) async fn root(State(issuer): State<Arc<Issuer>>) -> Response {
    document(&issuer, Shape::Email)
}

pub(super) async fn shaped(
    State(issuer): State<Arc<Issuer>>,
    Path(path): Path<String>,
) -> Response {
    match Shape::from_path(&path) {
        Some(shape) => document(&issuer, shape),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn keys(State(issuer): State<Arc<Issuer>>) -> Response {
    Json(issuer.key.key_set()).into_response()
}

fn document(issuer: &Issuer, shape: Shape) -> Response {
    match metadata(issuer, shape) {
        Ok(metadata) => Json(metadata).into_response(),
        Err(error) => {
            tracing::error!(%error, "the discovery document could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The endpoints are the same for all shapes; the login pages sign people in, whichever issuer's
/// document led there.
fn metadata(issuer: &Issuer, shape: Shape) -> Result<Metadata, url::ParseError> {
    let base = &issuer.base;
    let extensions = Extensions {
        device_authorization_endpoint: DeviceAuthorizationUrl::new(format!("{base}/device/code"))?,
        code_challenge_methods_supported: vec!["S256".to_owned()],
    };
    Ok(Metadata::new(
        IssuerUrl::new(issuer.url(shape))?,
        AuthUrl::new(format!("{base}/authorize"))?,
        JsonWebKeySetUrl::new(format!("{base}/keys"))?,
        vec![ResponseTypes::new(vec![CoreResponseType::Code])],
        vec![CoreSubjectIdentifierType::Public],
        vec![CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256],
        extensions,
    )
    .set_token_endpoint(Some(TokenUrl::new(format!("{base}/token"))?))
    .set_scopes_supported(Some(vec![
        Scope::new("openid".to_owned()),
        Scope::new("email".to_owned()),
    ]))
    .set_response_modes_supported(Some(vec![CoreResponseMode::Query]))
    .set_grant_types_supported(Some(vec![
        CoreGrantType::AuthorizationCode,
        CoreGrantType::DeviceCode,
    ]))
    .set_token_endpoint_auth_methods_supported(Some(vec![CoreClientAuthMethod::None]))
    .set_claims_supported(Some(
        [
            "iss",
            "aud",
            "sub",
            "exp",
            "iat",
            "nbf",
            "nonce",
            "email",
            "email_verified",
        ]
        .map(|claim| CoreClaimName::new(claim.to_owned()))
        .to_vec(),
    )))
}
