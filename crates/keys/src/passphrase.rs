//! Passphrases of encrypted key files, and where they come from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize, Zeroizing};

/// Longest passphrase file that is read, in bytes.
const MAX_FILE: u64 = 4096;

/// The passphrase of an encrypted key file.
///
/// Its memory is overwritten when it is dropped, and `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

/// Where a passphrase is read from; in configuration `file: PATH` or `environment: NAME`.
///
/// There is deliberately no form that holds the secret itself: configuration files are shared.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassphraseSource {
    /// A file; one newline at its end is not part of the passphrase.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

/// Why there is no passphrase. Never shows any part of it.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file could not be read or written.
    #[error("passphrase file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "passphrase file {path}: it must hold one passphrase of 1 to {MAX_FILE} bytes in UTF-8"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The environment variable does not exist, is empty, or is not UTF-8.
    #[error(
        "environment variable {0} is not set to a passphrase; set it, or name a passphrase file instead"
    )]
    Environment(String),
    /// The system has no randomness to make a passphrase from.
    #[error("the system's random number generator failed")]
    Randomness,
}

impl PassphraseSource {
    /// Reads the passphrase.
    pub fn read(&self) -> Result<Passphrase, PassphraseError> {
        match self {
            Self::File(path) => Passphrase::from_file(path),
            Self::Environment(name) => Passphrase::from_environment(name),
        }
    }
}

impl Passphrase {
    /// A passphrase in memory.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(SecretString::from(secret.into()))
    }

    /// Reads a passphrase from a file; one newline (`\n` or `\r\n`) at the end is not part of it.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        let io = |source| PassphraseError::Io {
            path: path.to_owned(),
            source,
        };
        let malformed = || PassphraseError::Malformed {
            path: path.to_owned(),
        };
        let mut content = Zeroizing::new(Vec::with_capacity(1024));
        File::open(path)
            .map_err(io)?
            .take(MAX_FILE + 1)
            .read_to_end(&mut content)
            .map_err(io)?;
        if content.len() as u64 > MAX_FILE {
            return Err(malformed());
        }
        let line = content.strip_suffix(b"\n").unwrap_or(&content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| malformed())?;
        if text.is_empty() {
            return Err(malformed());
        }
        Ok(Self::new(text))
    }

    /// Reads a passphrase from the environment variable `name`, as it is.
    pub fn from_environment(name: &str) -> Result<Self, PassphraseError> {
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(Self::new(value)),
            Ok(_) | Err(_) => Err(PassphraseError::Environment(name.to_owned())),
        }
    }

    /// Makes a random passphrase (256 bits, hexadecimal) and writes it to `path`, which must not
    /// exist (mode 0600, file and directory fsynced).
    pub fn create_file(path: &Path) -> Result<Self, PassphraseError> {
        let mut random = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(random.as_mut()).map_err(|_| PassphraseError::Randomness)?;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in random.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        let passphrase = Self::new(text.as_str());
        text.push('\n');
        crate::durable::create_private(path, text.as_bytes()).map_err(|source| {
            PassphraseError::Io {
                path: path.to_owned(),
                source,
            }
        })?;
        text.zeroize();
        Ok(passphrase)
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(feature = "pkcs11")]
impl From<SecretString> for Passphrase {
    fn from(secret: SecretString) -> Self {
        Self(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_newline_is_trimmed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        for (content, expected) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            (" two words \n\n", " two words \n"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Passphrase::from_file(&path).unwrap().expose(), expected);
        }
    }

    #[test]
    fn an_empty_oversized_or_binary_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        for content in [
            b"".to_vec(),
            b"\n".to_vec(),
            vec![b'a'; 5000],
            vec![0xff, 0xfe],
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(
                Passphrase::from_file(&path),
                Err(PassphraseError::Malformed { .. })
            ));
        }
    }

    #[test]
    fn a_missing_variable_is_named_in_the_error() {
        let error = Passphrase::from_environment("KEYS_TEST_NO_SUCH_VARIABLE").unwrap_err();
        assert!(
            error.to_string().contains("KEYS_TEST_NO_SUCH_VARIABLE"),
            "{error}"
        );
    }

    #[test]
    fn debug_does_not_show_the_passphrase() {
        assert!(!format!("{:?}", Passphrase::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_created_passphrase_is_the_one_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        let created = Passphrase::create_file(&path).unwrap();
        assert_eq!(created.expose().len(), 64);
        assert_eq!(
            Passphrase::from_file(&path).unwrap().expose(),
            created.expose()
        );
        assert!(
            Passphrase::create_file(&path).is_err(),
            "an existing file must stay"
        );
    }

    #[test]
    fn sources_are_read_from_configuration() {
        let file: PassphraseSource =
            serde_json::from_str(r#"{"file":"/run/secrets/key"}"#).unwrap();
        assert_eq!(file, PassphraseSource::File("/run/secrets/key".into()));
        let variable: PassphraseSource =
            serde_json::from_str(r#"{"environment":"KEY_PASSPHRASE"}"#).unwrap();
        assert_eq!(
            variable,
            PassphraseSource::Environment("KEY_PASSPHRASE".into())
        );
    }
}
