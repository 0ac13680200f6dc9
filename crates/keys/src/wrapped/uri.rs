//! `wrapped:` URIs.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::KeyUri;
use crate::uri::{ESCAPED, file_path, percent_decoded};

/// What is accepted.
const FORM: &str = "it has the form wrapped:PATH?kek=URI, the URI percent-encoded (: %3A, / %2F, ; %3B, ? %3F, & %26, = %3D)";

/// Longest context, in bytes.
const MAX_CONTEXT: usize = 256;

/// A key file that another key encrypts: `wrapped:keys/ca.json?kek=awskms%3A%2F%2F%2Falias%2Fkek`.
///
/// `kek` is the percent-encoded URI of a symmetric key: in AWS KMS (`SYMMETRIC_DEFAULT`), in a
/// transit engine (`aes256-gcm96`), or on a PKCS#11 token (AES). `context` says what the key is for;
/// a file that was made with another context is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrappedUri {
    /// The file.
    pub path: PathBuf,
    /// The key-encryption key.
    pub kek: KeyUri,
    /// What the key is for.
    pub context: String,
}

impl WrappedUri {
    /// Parses what follows `wrapped:`.
    pub(crate) fn parse(rest: &str) -> Result<Self, String> {
        let (path, query) = rest.split_once('?').ok_or(FORM)?;
        let path = file_path(path)?;
        let (mut kek, mut context) = (None, None);
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').ok_or(FORM)?;
            let value = String::from_utf8(percent_decoded(value)?)
                .map_err(|_| format!("{name} is not UTF-8 after percent-decoding"))?;
            let before = match name {
                "kek" => kek.replace(value),
                "context" => context.replace(value),
                _ => return Err(format!("the parameter {name} is not supported; {FORM}")),
            };
            if before.is_some() {
                return Err(format!("{name} appears twice"));
            }
        }
        let context = context.unwrap_or_default();
        if context.len() > MAX_CONTEXT {
            return Err(format!("context is longer than {MAX_CONTEXT} bytes"));
        }
        let kek: KeyUri = kek
            .ok_or(FORM)?
            .parse()
            .map_err(|error| format!("kek: {error}"))?;
        if matches!(
            kek,
            KeyUri::File(_) | KeyUri::Public(_) | KeyUri::Wrapped(_)
        ) {
            return Err("kek must be in an HSM, a KMS or a transit engine; a file protects nothing beside a file".to_owned());
        }
        Ok(Self { path, kek, context })
    }
}

impl fmt::Display for WrappedUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string_lossy();
        let kek = self.kek.to_string();
        write!(
            f,
            "wrapped:{}?kek={}",
            utf8_percent_encode(&path, ESCAPED),
            utf8_percent_encode(&kek, NON_ALPHANUMERIC)
        )?;
        if !self.context.is_empty() {
            write!(
                f,
                "&context={}",
                utf8_percent_encode(&self.context, NON_ALPHANUMERIC)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_uris_are_refused_with_the_form() {
        for (rest, says) in [
            ("ca.json", "wrapped:PATH?kek="),
            ("ca.json?", "wrapped:PATH?kek="),
            ("ca.json?context=x", "wrapped:PATH?kek="),
            ("?kek=file:x", "path is missing"),
            ("ca.json?kek=file:kek.pem", "a file protects nothing"),
            ("ca.json?kek=kek", "no scheme"),
            ("ca.json?kek=file%zz", "percent"),
            ("ca.json?kek=file:x&kek=file:y", "twice"),
            ("ca.json?kek=file:x&key=y", "key is not supported"),
        ] {
            let error = WrappedUri::parse(rest).unwrap_err();
            assert!(error.contains(says), "{rest}: {error}");
        }
    }

    #[cfg(feature = "vault")]
    #[test]
    fn a_printed_uri_reads_back_as_the_same_key() {
        let rest =
            "keys/c%20a.json?kek=hashivault%3A%2F%2Fkek%3Fmount%3Dpki&context=fulcio%20%26%20co";
        let uri = WrappedUri::parse(rest).unwrap();
        assert_eq!(uri.kek, "hashivault://kek?mount=pki".parse().unwrap());
        assert_eq!(uri.context, "fulcio & co");
        let printed = uri.to_string();
        assert_eq!(
            WrappedUri::parse(printed.strip_prefix("wrapped:").unwrap()).unwrap(),
            uri
        );
    }
}
