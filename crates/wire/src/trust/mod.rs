//! What clients trust: `TrustedRoot`, `SigningConfig` and `ClientTrustConfig`
//! (protobuf-specs `sigstore_trustroot.proto`, in its JSON form).
//!
//! ```text
//! trusted_root.json          application/vnd.dev.sigstore.trustedroot+json;version=0.1
//! signing_config.v0.2.json   application/vnd.dev.sigstore.signingconfig.v0.2+json
//! client_trust_config.json   application/vnd.dev.sigstore.clienttrustconfig.v0.1+json
//! ```
//!
//! Clients disagree about what they tolerate, so this writes only what all of them accept, and
//! reads only what it would write: members that are unknown or `null`, other media types, keys in
//! PEM, chains out of order and log ids that do not belong to their key are errors. A client that
//! cannot parse a trusted root may fall back silently to something older; the mistake has to be
//! found before it is published.

mod certificate;
mod client_trust_config;
mod encoding;
mod material;
mod signing_config;
mod time;
mod trusted_root;

pub use client_trust_config::{ClientTrustConfig, ClientTrustConfigMediaType};
pub use encoding::{Base64, KeyDetails};
pub use material::{
    AuthorityMaterial, IdentityProviderMaterial, LogMaterial, RekorApi, RekorMaterial,
    ServiceMaterial,
};
pub use signing_config::{
    SelectorConfig, Service, ServiceSelector, SigningConfig, SigningConfigMediaType,
};
pub use time::{TimeRange, Timestamp};
pub use trusted_root::{
    CertificateAuthority, CertificateChain, ChainCertificate, DistinguishedName, LogHash, LogId,
    LogPublicKey, TransparencyLog, TrustedRoot, TrustedRootMediaType,
};

/// Longest document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Why a trust document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not the JSON of this document: a member is missing, unknown, or of another form.
    #[error("not a {document}: {reason}")]
    Malformed {
        /// Which document.
        document: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// Well-formed, but some client refuses it or would misread it.
    #[error("{at}: {reason}")]
    Refused {
        /// The member, as a path such as `tlogs[0].logId`.
        at: String,
        /// What is wrong.
        reason: String,
    },
}

impl TrustError {
    fn refused(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused {
            at: at.into(),
            reason: reason.into(),
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(
    document: &'static str,
    json: &'a [u8],
) -> Result<T, TrustError> {
    if json.len() > MAX_DOCUMENT {
        return Err(TrustError::Malformed {
            document,
            reason: format!("longer than {MAX_DOCUMENT} bytes"),
        });
    }
    serde_json::from_slice(json).map_err(|e| TrustError::Malformed {
        document,
        reason: e.to_string(),
    })
}

/// Indented JSON with a final newline. Members stand in declaration order: the same document
/// always gives the same bytes.
fn print<T: serde::Serialize>(document: &T) -> String {
    // Strings, integers and sequences only: there is nothing here that serde_json could refuse.
    let mut json = serde_json::to_string_pretty(document).unwrap_or_default();
    json.push('\n');
    json
}

/// Checks the URL of a certificate authority as clients and trust documents need it.
pub fn check_authority_url(url: &str) -> Result<(), TrustError> {
    check_url("url", url, UrlPath::None)
}

/// Checks the URL of a timestamp endpoint as clients and trust documents need it.
pub fn check_timestamp_url(url: &str) -> Result<(), TrustError> {
    check_url("url", url, UrlPath::TimestampEndpoint)
}

/// `http` or `https`, a host, no credentials, query or fragment, no trailing slash.
fn check_url(at: &str, url: &str, path: UrlPath) -> Result<(), TrustError> {
    let refuse = |reason: &str| Err(TrustError::refused(at, format!("{reason}: {url:?}")));
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return refuse("not an http or https URL");
    };
    if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains(['?', '#', '@', '"', '\\']) {
        return refuse("a URL without credentials, query, fragment or spaces is needed");
    }
    let (host, tail) = rest
        .split_once('/')
        .map_or((rest, None), |(host, tail)| (host, Some(tail)));
    if host.is_empty() || host.starts_with(':') {
        return refuse("no host");
    }
    match (path, tail) {
        (UrlPath::None, Some("")) | (UrlPath::Any, Some("")) => {
            refuse("trailing slash, which clients take literally")
        }
        (UrlPath::None, Some(_)) => {
            refuse("clients drop or misread a path prefix; give the service its own host:port")
        }
        (UrlPath::Any, Some(tail)) if tail.ends_with('/') => {
            refuse("trailing slash, which clients take literally")
        }
        (UrlPath::TimestampEndpoint, tail)
            if tail.is_none_or(|t| !t.ends_with("api/v1/timestamp")) =>
        {
            refuse("clients post to this URL as it is: it must end in /api/v1/timestamp")
        }
        _ => Ok(()),
    }
}

/// What may follow host and port.
#[derive(Clone, Copy)]
enum UrlPath {
    None,
    Any,
    TimestampEndpoint,
}

/// Reads a member that may be absent but not `null`, which older protobuf readers refuse.
fn not_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
