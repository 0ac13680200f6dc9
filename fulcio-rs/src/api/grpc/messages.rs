//! The messages of `dev.sigstore.fulcio.v2`, `dev.sigstore.fulcio.v1beta`, `google.api.HttpBody`
//! and `grpc.health.v1`, by their public field numbers.

/// `dev.sigstore.fulcio.v2.CreateSigningCertificateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateSigningCertificateRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) credentials: Option<Credentials>,
    #[prost(oneof = "Key", tags = "2, 3")]
    pub(super) key: Option<Key>,
}

/// The client's key, in one of two ways.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Key {
    #[prost(message, tag = "2")]
    PublicKeyRequest(PublicKeyRequest),
    #[prost(bytes, tag = "3")]
    CertificateSigningRequest(Vec<u8>),
}

/// `dev.sigstore.fulcio.v2.Credentials`; its `oneof` has one alternative only, so it is left out.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Credentials {
    #[prost(string, tag = "1")]
    pub(super) oidc_identity_token: String,
}

/// `dev.sigstore.fulcio.v2.PublicKeyRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PublicKeyRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) public_key: Option<PublicKey>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) proof_of_possession: Vec<u8>,
}

/// `dev.sigstore.fulcio.v2.PublicKey`. The algorithm (1) says nothing that the key does not, and
/// is left out.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PublicKey {
    #[prost(string, tag = "2")]
    pub(super) content: String,
}

/// `dev.sigstore.fulcio.v2.SigningCertificate`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SigningCertificate {
    #[prost(oneof = "Certificate", tags = "1, 2")]
    pub(super) certificate: Option<Certificate>,
}

/// A certificate with its SCT inside or beside it.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Certificate {
    #[prost(message, tag = "1")]
    DetachedSct(DetachedSct),
    #[prost(message, tag = "2")]
    EmbeddedSct(EmbeddedSct),
}

/// `dev.sigstore.fulcio.v2.SigningCertificateDetachedSCT`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DetachedSct {
    #[prost(message, optional, tag = "1")]
    pub(super) chain: Option<CertificateChain>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) signed_certificate_timestamp: Vec<u8>,
}

/// `dev.sigstore.fulcio.v2.SigningCertificateEmbeddedSCT`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EmbeddedSct {
    #[prost(message, optional, tag = "1")]
    pub(super) chain: Option<CertificateChain>,
}

/// `dev.sigstore.fulcio.v2.CertificateChain`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CertificateChain {
    #[prost(string, repeated, tag = "1")]
    pub(super) certificates: Vec<String>,
}

/// `dev.sigstore.fulcio.v2.TrustBundle`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TrustBundle {
    #[prost(message, repeated, tag = "1")]
    pub(super) chains: Vec<CertificateChain>,
}

/// `dev.sigstore.fulcio.v2.Configuration`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Configuration {
    #[prost(message, repeated, tag = "1")]
    pub(super) issuers: Vec<OidcIssuer>,
}

/// `dev.sigstore.fulcio.v2.OIDCIssuer`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OidcIssuer {
    #[prost(oneof = "IssuerUrl", tags = "1, 2")]
    pub(super) issuer: Option<IssuerUrl>,
    #[prost(string, tag = "3")]
    pub(super) audience: String,
    #[prost(string, tag = "4")]
    pub(super) challenge_claim: String,
    #[prost(string, tag = "5")]
    pub(super) spiffe_trust_domain: String,
    #[prost(string, tag = "6")]
    pub(super) issuer_type: String,
    #[prost(string, tag = "7")]
    pub(super) subject_domain: String,
    #[prost(bool, tag = "8")]
    pub(super) skip_email_verification: bool,
}

/// An issuer, or a pattern of issuers.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum IssuerUrl {
    #[prost(string, tag = "1")]
    Exact(String),
    #[prost(string, tag = "2")]
    Wildcard(String),
}

/// `dev.sigstore.fulcio.v1beta.CreateSigningCertificateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LegacyRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) public_key: Option<LegacyPublicKey>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) signed_email_address: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) certificate_signing_request: Vec<u8>,
}

/// `dev.sigstore.fulcio.v1beta.PublicKey`, without its algorithm (1).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LegacyPublicKey {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) content: Vec<u8>,
}

/// `google.api.HttpBody`, without extensions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpBody {
    #[prost(string, tag = "1")]
    pub(super) content_type: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

/// A request whose fields, if it has any, do not matter: `google.protobuf.Empty`,
/// `GetTrustBundleRequest`, `GetConfigurationRequest`, `grpc.health.v1.HealthCheckRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HealthCheckResponse {
    /// 1: serving.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}
