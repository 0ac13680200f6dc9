//! Which token, module and PIN a URI means, with what a crypto11 configuration file adds.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Pkcs11Error, Pkcs11Uri};
use crate::Passphrase;

/// Longest configuration file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Sessions of a key whose URI does not say how many.
const DEFAULT_SESSIONS: u16 = 4;

/// Everything that is needed to reach one key, complete.
pub(super) struct Location {
    pub(super) module: PathBuf,
    pub(super) token: TokenSelector,
    pub(super) key: KeySelector,
    pub(super) pin: Passphrase,
    pub(super) sessions: u16,
}

/// Which token; what is `None` may be anything.
#[derive(Clone, Debug)]
pub(super) struct TokenSelector {
    pub(super) label: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) slot_id: Option<u64>,
}

/// Which key on the token; at least one of the two.
#[derive(Clone, Debug)]
pub(super) struct KeySelector {
    pub(super) label: Option<String>,
    pub(super) id: Option<Vec<u8>>,
}

impl std::fmt::Display for KeySelector {
    /// As in a URI: `object=ca;id=%01`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(label) = &self.label {
            write!(f, "object={label}")?;
        }
        if let Some(id) = &self.id {
            f.write_str(if self.label.is_some() { ";id=" } else { "id=" })?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02x}"))?;
        }
        Ok(())
    }
}

/// The keys of crypto11's configuration that matter for signing.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", default)]
struct Crypto11 {
    path: Option<PathBuf>,
    token_label: Option<String>,
    token_serial: Option<String>,
    slot_number: Option<u64>,
    pin: Option<SecretString>,
    max_sessions: Option<u16>,
}

impl Location {
    /// Reads the files that `uri` names; `passphrase` is the PIN if nothing else says it.
    pub(super) fn resolve(
        uri: &Pkcs11Uri,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, Pkcs11Error> {
        let config = match &uri.config {
            Some(path) => Crypto11::read(path)?,
            None => Crypto11::default(),
        };
        let incomplete = |reason: &str| Pkcs11Error::Configuration {
            path: uri.config.clone().unwrap_or_default(),
            reason: reason.to_owned(),
        };
        let mut token = TokenSelector {
            label: uri.token.clone(),
            serial: uri.serial.clone(),
            manufacturer: uri.manufacturer.clone(),
            model: uri.model.clone(),
            slot_id: uri.slot_id,
        };
        if !uri.names_a_token() {
            token.label = config.token_label;
            token.serial = config.token_serial;
            token.slot_id = config.slot_number;
            if token.label.is_none() && token.serial.is_none() && token.slot_id.is_none() {
                return Err(incomplete(
                    "it names no token; add TokenLabel, TokenSerial or SlotNumber",
                ));
            }
        }
        let pin = match (&uri.pin_source, config.pin, passphrase) {
            (Some(source), _, _) => source.read()?,
            (None, Some(pin), _) => Passphrase::from(pin),
            (None, None, Some(passphrase)) => passphrase.clone(),
            (None, None, None) => return Err(Pkcs11Error::PinMissing),
        };
        Ok(Self {
            module: uri
                .module_path
                .clone()
                .or(config.path)
                .ok_or_else(|| incomplete("it names no module; add Path"))?,
            token,
            key: KeySelector {
                label: uri.object.clone(),
                id: uri.id.clone(),
            },
            pin,
            sessions: uri
                .sessions
                .or(config.max_sessions)
                .unwrap_or(DEFAULT_SESSIONS)
                .clamp(1, super::uri::MAX_SESSIONS),
        })
    }
}

impl Crypto11 {
    fn read(path: &Path) -> Result<Self, Pkcs11Error> {
        let refuse = |reason: String| Pkcs11Error::Configuration {
            path: path.to_owned(),
            reason,
        };
        let mut json = Zeroizing::new(Vec::with_capacity(4096));
        File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut json))
            .map_err(|error| refuse(error.to_string()))?;
        // serde's message may quote a value, which may be the PIN; its place is enough.
        serde_json::from_slice(&json).map_err(|error| {
            refuse(format!(
                "line {}, column {}: it is not crypto11's JSON with Path, TokenLabel, TokenSerial, SlotNumber, Pin and MaxSessions",
                error.line(),
                error.column()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(json: &str, uri: &str) -> Result<Location, Pkcs11Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crypto11.conf");
        std::fs::write(&path, json).unwrap();
        let uri = format!("{uri}x-config={}", path.display());
        Location::resolve(&uri.parse().unwrap(), None)
    }

    #[test]
    fn a_crypto11_file_gives_what_the_uri_leaves_out() {
        let json = r#"{"Path":"/hsm.so","TokenLabel":"fulcio","Pin":"2324","MaxSessions":500}"#;
        let location = resolve(json, "object=PKCS11CA?").unwrap();
        assert_eq!(location.module, PathBuf::from("/hsm.so"));
        assert_eq!(location.token.label.as_deref(), Some("fulcio"));
        assert_eq!(location.key.label.as_deref(), Some("PKCS11CA"));
        assert_eq!(location.pin.expose(), "2324");
        assert_eq!(location.sessions, 64, "bounded");
    }

    #[test]
    fn the_uri_wins_over_the_file() {
        let json = r#"{"Path":"/hsm.so","TokenSerial":"01","SlotNumber":3}"#;
        let uri = "object=k;token=other?module-path=/mine.so&pin-source=env:PATH&x-sessions=2&";
        let location = resolve(json, uri).unwrap();
        assert_eq!(location.module, PathBuf::from("/mine.so"));
        assert_eq!(location.token.label.as_deref(), Some("other"));
        assert_eq!(
            (location.token.serial, location.token.slot_id),
            (None, None)
        );
        assert_eq!(location.sessions, 2);
    }

    #[test]
    fn an_incomplete_or_unknown_file_is_refused_without_showing_the_pin() {
        for (json, says) in [
            (r#"{"Path":"/hsm.so","Pin":"2324"}"#, "TokenLabel"),
            (r#"{"TokenLabel":"t","Pin":"2324"}"#, "Path"),
            (r#"{"Path":"/hsm.so","TokenLabel":"t"}"#, "pin-source"),
            (
                r#"{"Path":"/hsm.so","TokenLabel":"t","Pin":2324}"#,
                "line 1",
            ),
            (
                r#"{"Path":"/hsm.so","TokenLabel":"t","Pln":"2324"}"#,
                "line 1",
            ),
        ] {
            let error = resolve(json, "object=k?")
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{json}: {error}");
            assert!(!error.contains("2324"), "{error}");
        }
    }
}
