//! Key URIs: `file:PATH`, and the schemes of remote backends.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::awskms::AwsKmsUri;
use crate::pkcs11::Pkcs11Uri;
use crate::transit::{TransitServer, TransitUri};
use crate::wrapped::WrappedUri;

/// Schemes of backends that are features of the build, with the feature that adds each.
const REMOTE: [(&str, &str, &str, bool); 4] = [
    ("awskms", "AWS KMS", "kms-aws", cfg!(feature = "kms-aws")),
    (
        "hashivault",
        "HashiCorp Vault",
        "vault",
        cfg!(feature = "vault"),
    ),
    ("openbao", "OpenBao", "vault", cfg!(feature = "vault")),
    ("pkcs11", "PKCS#11", "pkcs11", cfg!(feature = "pkcs11")),
];

/// Schemes of backends that no build has yet.
const PLANNED: [(&str, &str); 2] = [
    ("azurekms", "Azure Key Vault"),
    ("gcpkms", "Google Cloud KMS"),
];

/// What is escaped in the path of a `file:` URI.
pub(crate) const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// Where a key lives.
///
/// Written and read as a URI: `file:relative/path`, `file:/absolute/path`, `file:///absolute/path`
/// (percent-encoded, RFC 8089), or a remote backend's scheme. A scheme is read only by builds that
/// have its backend.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum KeyUri {
    /// A key in AWS KMS.
    AwsKms(AwsKmsUri),
    /// A PKCS#8 file.
    File(PathBuf),
    /// A key on a PKCS#11 token.
    Pkcs11(Box<Pkcs11Uri>),
    /// A PEM file with the public half of a key that is not here ([`crate::PublicHalf`]).
    Public(PathBuf),
    /// A key in the transit engine of Vault or OpenBao.
    Transit(Box<TransitUri>),
    /// A key file that another key encrypts.
    Wrapped(Box<WrappedUri>),
}

/// Why a key URI was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key URI {uri:?}: {reason}")]
pub struct KeyUriError {
    /// The URI as given, without secrets.
    pub uri: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl KeyUri {
    /// The URI of a key file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(
                f,
                "file:{}",
                utf8_percent_encode(&path.to_string_lossy(), ESCAPED)
            ),
            Self::Public(path) => write!(
                f,
                "public:{}",
                utf8_percent_encode(&path.to_string_lossy(), ESCAPED)
            ),
            Self::AwsKms(uri) => uri.fmt(f),
            Self::Pkcs11(uri) => uri.fmt(f),
            Self::Transit(uri) => uri.fmt(f),
            Self::Wrapped(uri) => uri.fmt(f),
        }
    }
}

impl TryFrom<String> for KeyUri {
    type Error = KeyUriError;

    fn try_from(uri: String) -> Result<Self, KeyUriError> {
        uri.parse()
    }
}

impl FromStr for KeyUri {
    type Err = KeyUriError;

    fn from_str(uri: &str) -> Result<Self, KeyUriError> {
        let refuse = |reason: String| KeyUriError {
            uri: without_secrets(uri),
            reason,
        };
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(refuse(format!(
                "it has no scheme; for a key file write file:{uri}"
            )));
        };
        let scheme = scheme.to_ascii_lowercase();
        if let Some((_, backend, feature, false)) = REMOTE.iter().find(|remote| remote.0 == scheme)
        {
            return Err(refuse(format!(
                "this build has no {backend} backend; use a build with the feature {feature} (cargo build --package sigkeep --features {feature})"
            )));
        }
        match scheme.as_str() {
            "file" => file_path(rest).map(Self::File).map_err(str::to_owned),
            "public" => file_path(rest).map(Self::Public).map_err(str::to_owned),
            "awskms" => rest.parse().map(Self::AwsKms),
            "pkcs11" => rest.parse().map(|uri| Self::Pkcs11(Box::new(uri))),
            "hashivault" => TransitUri::parse(TransitServer::Vault, rest)
                .map(|uri| Self::Transit(Box::new(uri))),
            "openbao" => TransitUri::parse(TransitServer::OpenBao, rest)
                .map(|uri| Self::Transit(Box::new(uri))),
            "wrapped" => WrappedUri::parse(rest).map(|uri| Self::Wrapped(Box::new(uri))),
            _ => Err(match PLANNED.iter().find(|(known, _)| *known == scheme) {
                Some((_, backend)) => format!(
                    "there is no {backend} backend yet; this build knows {}; a service that has a PKCS#11 library is reached by pkcs11:",
                    known()
                ),
                None => format!("unknown scheme {scheme:?}; this build knows {}", known()),
            }),
        }
        .map_err(refuse)
    }
}

/// The schemes that this build reads.
fn known() -> String {
    let mut known = "file:".to_owned();
    for (scheme, _, _, built) in REMOTE {
        if built {
            known.push_str(", ");
            known.push_str(scheme);
            known.push(':');
        }
    }
    if cfg!(feature = "remote") {
        known.push_str(", wrapped:");
    }
    known
}

/// `uri` as it may be shown: secrets in URIs are refused, but they are secrets nevertheless.
fn without_secrets(uri: &str) -> String {
    let attribute = match uri.split_once(':') {
        // The key-encryption key's own error shows its URI; here it is percent-encoded.
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wrapped") => {
            let path = rest.split_once('?').map_or(rest, |(path, _)| path);
            return format!("{scheme}:{path}?…");
        }
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("pkcs11") => "pin-value=",
        _ => "token=",
    };
    let mut parts = uri.split(attribute);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(attribute);
        shown.push('…');
        shown.extend(part.find(['&', ';', '?']).and_then(|end| part.get(end..)));
    }
    shown
}

/// The bytes that a percent-encoded text stands for; an escape that is none is refused.
pub(crate) fn percent_decoded(text: &str) -> Result<Vec<u8>, String> {
    let mut rest = text.split('%');
    rest.next();
    if rest.any(|escape| {
        !escape
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    }) {
        return Err(format!(
            "{text:?} has a percent sign that escapes nothing; write %25"
        ));
    }
    Ok(percent_decode_str(text).collect())
}

/// The path in what follows `file:`.
pub(crate) fn file_path(rest: &str) -> Result<PathBuf, &'static str> {
    if rest.contains(['?', '#']) {
        return Err("a file: URI has no query or fragment; write %3F and %23 for these characters");
    }
    let path = match rest.strip_prefix("//") {
        Some(local) => {
            let path = local.strip_prefix("localhost").unwrap_or(local);
            if !path.starts_with('/') {
                return Err("a file: URI names no other host; write file:PATH or file:///PATH");
            }
            path
        }
        None => rest,
    };
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "the path is not UTF-8 after percent-decoding")?;
    if path.is_empty() || path.contains('\0') {
        return Err("the path is missing; write file:PATH");
    }
    Ok(PathBuf::from(path.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> PathBuf {
        match uri.parse().unwrap() {
            KeyUri::File(path) => path,
            other => panic!("{other} is no file"),
        }
    }

    #[test]
    fn file_uris_are_relative_or_absolute() {
        assert_eq!(path("file:keys/ca.pem"), PathBuf::from("keys/ca.pem"));
        assert_eq!(
            path("file:/etc/keys/ca.pem"),
            PathBuf::from("/etc/keys/ca.pem")
        );
        assert_eq!(
            path("file:///etc/keys/ca.pem"),
            PathBuf::from("/etc/keys/ca.pem")
        );
        assert_eq!(
            path("file://localhost/etc/ca.pem"),
            PathBuf::from("/etc/ca.pem")
        );
        assert_eq!(path("FILE:a%20b%23.pem"), PathBuf::from("a b#.pem"));
    }

    #[test]
    fn malformed_uris_say_what_to_write() {
        for (uri, says) in [
            ("keys/ca.pem", "file:keys/ca.pem"),
            ("file:", "file:PATH"),
            ("file://", "file:///"),
            ("file://server/share/ca.pem", "file:///"),
            ("file://localhostile/ca.pem", "file:///"),
            ("file:a?b", "%3F"),
            ("file:%ff", "UTF-8"),
            ("vault:x", "unknown scheme"),
        ] {
            let error = uri.parse::<KeyUri>().unwrap_err().to_string();
            assert!(error.contains(says), "{uri}: {error}");
        }
    }

    #[test]
    fn a_backend_that_is_not_built_in_is_refused_with_the_build_that_has_it() {
        for (scheme, backend, feature, built) in REMOTE {
            let error = format!("{scheme}://")
                .parse::<KeyUri>()
                .unwrap_err()
                .to_string();
            assert_eq!(
                error.contains(&format!(
                    "this build has no {backend} backend; use a build with the feature {feature} "
                )),
                !built,
                "{error}"
            );
        }
        for (uri, backend) in [
            (
                "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "Google Cloud KMS",
            ),
            ("azurekms://v.vault.azure.net/k", "Azure Key Vault"),
        ] {
            let error = uri.parse::<KeyUri>().unwrap_err().to_string();
            assert!(
                error.contains(&format!(
                    "there is no {backend} backend yet; this build knows file:"
                )),
                "{error}"
            );
        }
    }

    #[test]
    fn a_secret_in_a_uri_is_not_repeated_in_the_error() {
        for uri in [
            "wrapped:ca.json?kek=pkcs11%3Atoken%3Dt%3Bobject%3Dk%3Fpin-value%3D2324",
            "wrapped:ca.json?kek=hashivault%3A%2F%2Fk%3Ftoken%3D2324",
            "hashivault://ca?token=2324&mount=x",
            "openbao://ca?token=2324",
            "pkcs11:token=t;object=k?module-path=/m&pin-value=2324&x=y",
            "pkcs11:token=t;object=k?pin-value=2324",
            "pkcs11:pin-value=2324;token=t?pin-value=2324",
        ] {
            let error = uri.parse::<KeyUri>().unwrap_err().to_string();
            assert!(!error.contains("2324"), "{error}");
        }
    }

    #[test]
    fn a_printed_uri_reads_back_as_the_same_key() {
        for path in ["a.pem", "/abs/a b.pem", "odd%20#?.pem", "ключ.pem"] {
            let uri = KeyUri::file(path);
            assert_eq!(uri.to_string().parse::<KeyUri>().unwrap(), uri);
        }
    }

    #[test]
    fn configuration_reads_uris() {
        let uri: KeyUri = serde_json::from_str(r#""file:ca.pem""#).unwrap();
        assert_eq!(uri, KeyUri::file("ca.pem"));
        assert!(serde_json::from_str::<KeyUri>(r#""ca.pem""#).is_err());
    }
}
