//! `pkcs11:` URIs (RFC 7512).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::PassphraseSource;
use crate::uri::percent_decoded;

/// What stands for itself in a value: RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Most sessions that one key may keep open.
pub(super) const MAX_SESSIONS: u16 = 64;

/// A key on a token: `pkcs11:token=ca;object=intermediate?module-path=/usr/lib/hsm.so&pin-source=file:/run/secrets/pin`.
///
/// The path names the token (`token`, `serial`, `manufacturer`, `model`, `slot-id`) and the key
/// (`object`, which is its label; `id`, in percent-encoded bytes). The query names the module
/// (`module-path`) and where the PIN is (`pin-source`: `file:PATH`, a path, or `env:NAME`; without it
/// the key's passphrase is the PIN). Two attributes are this program's own: `x-sessions`, how many
/// sessions may sign at once, and `x-config`, a JSON file in the form of crypto11
/// (`{"Path":…,"TokenLabel":…,"Pin":…}`) for what the URI leaves out.
///
/// `pin-value` is refused: URIs are logged and shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pkcs11Uri {
    /// The token's label.
    pub token: Option<String>,
    /// The token's serial number.
    pub serial: Option<String>,
    /// The token's manufacturer.
    pub manufacturer: Option<String>,
    /// The token's model.
    pub model: Option<String>,
    /// The slot that the token is in.
    pub slot_id: Option<u64>,
    /// The key's label.
    pub object: Option<String>,
    /// The key's identifier.
    pub id: Option<Vec<u8>>,
    /// The PKCS#11 library.
    pub module_path: Option<PathBuf>,
    /// Where the user PIN is.
    pub pin_source: Option<PassphraseSource>,
    /// A crypto11 configuration file.
    pub config: Option<PathBuf>,
    /// How many sessions may be open at once.
    pub sessions: Option<u16>,
}

impl FromStr for Pkcs11Uri {
    type Err = String;

    /// Parses what follows `pkcs11:`.
    fn from_str(rest: &str) -> Result<Self, String> {
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        if rest.contains('#') || path.starts_with('/') {
            return Err(
                "it has the form pkcs11:token=LABEL;object=LABEL?module-path=FILE".to_owned(),
            );
        }
        let mut uri = Self::default();
        let mut seen = Vec::new();
        let attributes = path.split(';').map(|attribute| (attribute, false));
        let attributes = attributes.chain(
            query
                .into_iter()
                .flat_map(|query| query.split('&'))
                .map(|attribute| (attribute, true)),
        );
        for (attribute, in_query) in attributes.filter(|(attribute, _)| !attribute.is_empty()) {
            let (name, value) = attribute
                .split_once('=')
                .ok_or_else(|| format!("{attribute:?} is not of the form name=value"))?;
            if seen.contains(&name) {
                return Err(format!("{name} appears twice"));
            }
            seen.push(name);
            let value = percent_decoded(value)?;
            if in_query {
                uri.query_attribute(name, value)?;
            } else {
                uri.path_attribute(name, value)?;
            }
        }
        uri.check()?;
        Ok(uri)
    }
}

impl Pkcs11Uri {
    fn path_attribute(&mut self, name: &str, value: Vec<u8>) -> Result<(), String> {
        if name == "id" {
            self.id = Some(value);
            return Ok(());
        }
        let value = text(name, value)?;
        match name {
            "token" => self.token = Some(value),
            "serial" => self.serial = Some(value),
            "manufacturer" => self.manufacturer = Some(value),
            "model" => self.model = Some(value),
            "object" => self.object = Some(value),
            "slot-id" => {
                self.slot_id = Some(
                    value
                        .parse()
                        .map_err(|_| "slot-id is not a number".to_owned())?,
                );
            }
            "type" if value == "private" || value == "secret-key" => {}
            "type" => return Err(format!("type={value} names no private key; leave it out")),
            _ => return Err(format!("the path attribute {name} is not supported")),
        }
        Ok(())
    }

    fn query_attribute(&mut self, name: &str, value: Vec<u8>) -> Result<(), String> {
        if name == "pin-value" {
            return Err("pin-value would put the PIN into logs; use pin-source=file:PATH or pin-source=env:NAME".to_owned());
        }
        let value = text(name, value)?;
        match name {
            "module-path" => self.module_path = Some(value.into()),
            "module-name" => {
                return Err(
                    "module-name depends on the system's search path; write module-path=FILE"
                        .to_owned(),
                );
            }
            "pin-source" => self.pin_source = Some(pin_source(&value)?),
            "x-config" => self.config = Some(value.into()),
            "x-sessions" => match value.parse() {
                Ok(sessions @ 1..=MAX_SESSIONS) => self.sessions = Some(sessions),
                _ => return Err(format!("x-sessions is a number from 1 to {MAX_SESSIONS}")),
            },
            _ => return Err(format!("the query attribute {name} is not supported")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.object.is_none() && self.id.is_none() {
            return Err("it names no key; write object=LABEL or id=%01".to_owned());
        }
        if self.config.is_some() {
            return Ok(());
        }
        if !self.names_a_token() {
            return Err(
                "it names no token; write token=LABEL, serial=NUMBER or slot-id=NUMBER".to_owned(),
            );
        }
        if self.module_path.is_none() {
            return Err(
                "it names no module; write ?module-path=FILE, the library that came with the HSM"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether anything says which token is meant.
    pub(super) fn names_a_token(&self) -> bool {
        self.token.is_some() || self.serial.is_some() || self.slot_id.is_some()
    }
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |value: &str| utf8_percent_encode(value, ESCAPED).to_string();
        let text = |value: &Option<String>| value.as_deref().map(escaped);
        let file =
            |path: &Option<PathBuf>| path.as_ref().map(|path| escaped(&path.to_string_lossy()));
        // All bytes are escaped, so that they compare with the hexadecimal of other tools.
        let id = self
            .id
            .as_ref()
            .map(|id| id.iter().map(|byte| format!("%{byte:02X}")).collect());
        let path = [
            ("token", text(&self.token)),
            ("serial", text(&self.serial)),
            ("manufacturer", text(&self.manufacturer)),
            ("model", text(&self.model)),
            ("slot-id", self.slot_id.map(|slot| slot.to_string())),
            ("object", text(&self.object)),
            ("id", id),
        ];
        let query = [
            ("module-path", file(&self.module_path)),
            (
                "pin-source",
                self.pin_source.as_ref().map(|source| match source {
                    PassphraseSource::File(path) => {
                        let host = if path.is_absolute() { "//" } else { "" };
                        format!("file:{host}{}", escaped(&path.to_string_lossy()))
                    }
                    PassphraseSource::Environment(name) => format!("env:{}", escaped(name)),
                }),
            ),
            ("x-config", file(&self.config)),
            (
                "x-sessions",
                self.sessions.map(|sessions| sessions.to_string()),
            ),
        ];
        f.write_str("pkcs11:")?;
        attributes(f, "", ";", path)?;
        attributes(f, "?", "&", query)
    }
}

fn attributes<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    first: &str,
    between: &str,
    attributes: [(&str, Option<String>); N],
) -> fmt::Result {
    let mut separator = first;
    for (name, value) in attributes {
        if let Some(value) = value {
            write!(f, "{separator}{name}={value}")?;
            separator = between;
        }
    }
    Ok(())
}

fn text(name: &str, value: Vec<u8>) -> Result<String, String> {
    match String::from_utf8(value) {
        Ok(value) if value.is_empty() || value.contains('\0') => Err(format!("{name} is empty")),
        Ok(value) => Ok(value),
        Err(_) => Err(format!("{name} is not UTF-8 after percent-decoding")),
    }
}

fn pin_source(value: &str) -> Result<PassphraseSource, String> {
    if let Some(name) = value.strip_prefix("env:") {
        return Ok(PassphraseSource::Environment(name.to_owned()));
    }
    let path = match value.strip_prefix("file:") {
        // A host would be between the second and the third slash (RFC 8089).
        Some(local) if local.starts_with("//") => local
            .strip_prefix("//")
            .filter(|path| path.starts_with('/')),
        Some(path) => Some(path),
        // RFC 7512 also has other schemes, and commands after a bar.
        None if value.starts_with('|') || value.contains(':') => None,
        None => Some(value),
    };
    match path {
        Some(path) if !path.is_empty() => Ok(PassphraseSource::File(path.into())),
        _ => Err("pin-source is file:PATH, a path, or env:NAME".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_read_and_printed() {
        let written = "token=my%20ca;serial=01;manufacturer=ACME;model=x;slot-id=7;object=ca%3b1;id=%01%ab?module-path=/usr/lib/hsm.so&pin-source=file:/run/pin&x-config=/etc/c.json&x-sessions=8";
        let uri: Pkcs11Uri = written.parse().unwrap();
        assert_eq!(uri.token.as_deref(), Some("my ca"));
        assert_eq!(uri.object.as_deref(), Some("ca;1"));
        assert_eq!(uri.id.as_deref(), Some(&[1, 0xab][..]));
        assert_eq!(uri.slot_id, Some(7));
        assert_eq!(
            uri.pin_source,
            Some(PassphraseSource::File("/run/pin".into()))
        );
        assert_eq!(uri.sessions, Some(8));
        let printed = uri.to_string();
        assert_eq!(
            printed
                .strip_prefix("pkcs11:")
                .unwrap()
                .parse::<Pkcs11Uri>()
                .unwrap(),
            uri
        );
        assert!(
            printed.contains("object=ca%3B1;id=%01%AB?module-path=/usr/lib/hsm.so"),
            "{printed}"
        );
    }

    #[test]
    fn the_order_of_attributes_is_free() {
        let uri: Pkcs11Uri = "object=k;type=private;token=t?pin-source=env:PIN&module-path=/m.so"
            .parse()
            .unwrap();
        assert_eq!(
            uri.pin_source,
            Some(PassphraseSource::Environment("PIN".into()))
        );
        assert_eq!(uri.module_path, Some("/m.so".into()));
    }

    #[test]
    fn what_is_missing_or_unsafe_is_refused_with_what_to_write() {
        for (uri, says) in [
            ("token=t?module-path=/m", "names no key"),
            ("object=k?module-path=/m", "names no token"),
            ("token=t;object=k", "module-path="),
            (
                "token=t;object=k?module-path=/m&pin-value=1234",
                "pin-source",
            ),
            ("token=t;object=k?module-name=hsm", "module-path=FILE"),
            ("token=t;token=u;object=k?module-path=/m", "twice"),
            ("token=t;object=k;colour=red?module-path=/m", "colour"),
            ("token=t;object=k?module-path=/m&max=1", "max"),
            ("token=t;object=k;type=cert?module-path=/m", "type=cert"),
            ("token=t;object=%zz?module-path=/m", "percent"),
            ("token=%ff;object=k?module-path=/m", "UTF-8"),
            ("token=;object=k?module-path=/m", "empty"),
            ("token;object=k?module-path=/m", "name=value"),
            ("slot-id=x;object=k?module-path=/m", "number"),
            ("token=t;object=k?module-path=/m&x-sessions=0", "1 to 64"),
            (
                "token=t;object=k?module-path=/m&pin-source=%7Cget-pin",
                "pin-source is",
            ),
            (
                "token=t;object=k?module-path=/m&pin-source=file://host/pin",
                "pin-source is",
            ),
            (
                "token=t;object=k?module-path=/m&pin-source=http://x/pin",
                "pin-source is",
            ),
            ("//token=t", "form"),
        ] {
            let error = uri.parse::<Pkcs11Uri>().unwrap_err();
            assert!(error.contains(says), "{uri}: {error}");
            assert!(!error.contains("1234"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_printed_uri_reads_back_as_the_same_key(
            token in "[^\0]{1,20}",
            object in "[^\0]{1,20}",
            id: Option<Vec<u8>>,
            module in "/[^\0]{1,20}",
            sessions in proptest::option::of(1..=MAX_SESSIONS),
        ) {
            let uri = Pkcs11Uri {
                token: Some(token),
                object: Some(object),
                id,
                module_path: Some(module.clone().into()),
                pin_source: Some(PassphraseSource::File(module.into())),
                sessions,
                ..Pkcs11Uri::default()
            };
            let printed = uri.to_string();
            proptest::prop_assert_eq!(printed.strip_prefix("pkcs11:").unwrap().parse(), Ok(uri));
        }

        #[test]
        fn no_text_makes_the_parser_stop(text in ".{0,80}") {
            let _refused = text.parse::<Pkcs11Uri>();
        }
    }
}
