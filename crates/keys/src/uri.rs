//! Key URIs: `file:PATH`, and the schemes of remote backends.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{FileKeyError, FileSigner, Passphrase, SharedSigner};

/// Schemes of backends that exist, or are planned, as separate features of the build.
const REMOTE: [(&str, &str); 6] = [
    ("awskms", "AWS KMS"),
    ("pkcs11", "PKCS#11"),
    ("hashivault", "HashiCorp Vault"),
    ("openbao", "OpenBao"),
    ("gcpkms", "Google Cloud KMS"),
    ("azurekms", "Azure Key Vault"),
];

/// What is escaped in the path of a `file:` URI.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// Where a key lives.
///
/// Written and read as a URI: `file:relative/path`, `file:/absolute/path`, `file:///absolute/path`
/// (percent-encoded, RFC 8089).
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum KeyUri {
    /// A PKCS#8 file.
    File(PathBuf),
}

/// Why a key URI was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key URI {uri:?}: {reason}")]
pub struct KeyUriError {
    /// The URI as given.
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
            uri: uri.to_owned(),
            reason,
        };
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(refuse(format!(
                "it has no scheme; for a key file write file:{uri}"
            )));
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            return file_path(rest)
                .map(Self::File)
                .map_err(|reason| refuse(reason.to_owned()));
        }
        Err(refuse(
            match REMOTE.iter().find(|(known, _)| *known == scheme) {
                Some((_, backend)) => {
                    format!(
                        "this build has no {backend} backend; use a file: key, or a build that has it"
                    )
                }
                None => format!("unknown scheme {scheme:?}; this build knows file:"),
            },
        ))
    }
}

/// The path in what follows `file:`.
fn file_path(rest: &str) -> Result<PathBuf, &'static str> {
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

/// Why a key could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key file.
    #[error(transparent)]
    File(#[from] FileKeyError),
    /// The work was cut off because the program is stopping.
    #[error("the key was not opened because the program is stopping")]
    Stopped,
}

/// Opens the key at `uri`; asks its backend for the public key once and pins it.
///
/// `passphrase` is needed for encrypted key files only.
pub async fn open(
    uri: &KeyUri,
    passphrase: Option<&Passphrase>,
) -> Result<SharedSigner, OpenError> {
    match uri {
        KeyUri::File(path) => {
            let (path, passphrase) = (path.clone(), passphrase.cloned());
            // Deriving the key from the passphrase takes tens of milliseconds of CPU.
            let opened = tokio::task::spawn_blocking(move || match passphrase {
                Some(passphrase) => FileSigner::load(&path, &passphrase),
                None => FileSigner::load_unencrypted(&path),
            });
            let signer = opened.await.map_err(|_| OpenError::Stopped)??;
            Ok(Arc::new(signer))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> PathBuf {
        let KeyUri::File(path) = uri.parse().unwrap();
        path
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
    fn remote_schemes_are_recognised_and_refused_honestly() {
        for (uri, backend) in [
            ("awskms:///alias/ca", "AWS KMS"),
            ("pkcs11:token=ca;object=key", "PKCS#11"),
            ("hashivault://ca", "HashiCorp Vault"),
            ("openbao://ca", "OpenBao"),
            (
                "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
                "Google Cloud KMS",
            ),
            ("azurekms://v.vault.azure.net/k", "Azure Key Vault"),
        ] {
            let error = uri.parse::<KeyUri>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("this build has no {backend} backend")),
                "{error}"
            );
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
