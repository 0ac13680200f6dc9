//! `hashivault://` and `openbao://` URIs.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::uri::percent_decoded;

/// What stands for itself in a value: RFC 3986's unreserved characters, and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Longest name of a key or mount.
const MAX_NAME: usize = 256;

/// Whose transit engine; they differ in the names of environment variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransitServer {
    /// OpenBao: `BAO_ADDR`, `BAO_TOKEN`, … before Vault's.
    OpenBao,
    /// HashiCorp Vault: `VAULT_ADDR`, `VAULT_TOKEN`, ….
    Vault,
}

/// A key in a transit engine: `hashivault://KEY`, `openbao://KEY?mount=pki/transit&version=3`.
///
/// What the query leaves out comes from the environment, as for the servers' own tools: `address`
/// (`VAULT_ADDR`), `token-file` (`VAULT_TOKEN`, then `~/.vault-token`), `mount`
/// (`TRANSIT_SECRET_ENGINE_PATH`, then `transit`), `namespace` (`VAULT_NAMESPACE`), `ca-file`
/// (`VAULT_CACERT`). Without `version` the latest version is pinned when the key is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransitUri {
    /// Whose engine.
    pub server: TransitServer,
    /// The key's name.
    pub key: String,
    /// Where the engine is mounted.
    pub mount: Option<String>,
    /// The version of the key.
    pub version: Option<u32>,
    /// The server's URL.
    pub address: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The file with the token.
    pub token_file: Option<PathBuf>,
    /// PEM certificates of the authorities that the server's certificate may come from.
    pub ca_file: Option<PathBuf>,
}

impl TransitUri {
    /// Parses what follows the scheme and its colon.
    pub(crate) fn parse(server: TransitServer, rest: &str) -> Result<Self, String> {
        let form = || format!("it has the form {}://KEY", server.scheme());
        let rest = rest.strip_prefix("//").ok_or_else(form)?;
        let (key, query) = match rest.split_once('?') {
            Some((key, query)) => (key, query),
            None => (rest, ""),
        };
        if !is_name(key) {
            return Err(format!(
                "{}; a key's name has letters, digits, dots, hyphens and underscores only",
                form()
            ));
        }
        let mut uri = Self {
            server,
            key: key.to_owned(),
            mount: None,
            version: None,
            address: None,
            namespace: None,
            token_file: None,
            ca_file: None,
        };
        let mut seen = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter
                .split_once('=')
                .ok_or_else(|| format!("{parameter:?} is not of the form name=value"))?;
            if seen.contains(&name) {
                return Err(format!("{name} appears twice"));
            }
            seen.push(name);
            let value = String::from_utf8(percent_decoded(value)?)
                .map_err(|_| format!("{name} is not UTF-8 after percent-decoding"))?;
            if value.is_empty() {
                return Err(format!("{name} is empty"));
            }
            uri.parameter(name, value)?;
        }
        Ok(uri)
    }

    fn parameter(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "address" => self.address = Some(value),
            "ca-file" => self.ca_file = Some(value.into()),
            "mount" if is_mount(&value) => self.mount = Some(value),
            "mount" => {
                return Err("mount is the path of a transit engine, such as transit".to_owned());
            }
            "namespace" => self.namespace = Some(value),
            "token-file" => self.token_file = Some(value.into()),
            "token" => {
                return Err(
                    "a token in a URI would end in logs; use token-file=PATH or the environment"
                        .to_owned(),
                );
            }
            "version" => match value.parse() {
                Ok(version @ 1..) => self.version = Some(version),
                _ => return Err("version is a number from 1".to_owned()),
            },
            _ => return Err(format!("the parameter {name} is not supported")),
        }
        Ok(())
    }
}

impl TransitServer {
    /// The scheme of its URIs.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::OpenBao => "openbao",
            Self::Vault => "hashivault",
        }
    }
}

impl fmt::Display for TransitUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.server.scheme(), self.key)?;
        let path = |path: &Option<PathBuf>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
        };
        let mut separator = '?';
        for (name, value) in [
            ("mount", self.mount.clone()),
            ("version", self.version.map(|version| version.to_string())),
            ("address", self.address.clone()),
            ("namespace", self.namespace.clone()),
            ("token-file", path(&self.token_file)),
            ("ca-file", path(&self.ca_file)),
        ] {
            if let Some(value) = value {
                write!(
                    f,
                    "{separator}{name}={}",
                    utf8_percent_encode(&value, ESCAPED)
                )?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// Whether `name` can stand in a URL path as it is.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

pub(super) fn is_mount(mount: &str) -> bool {
    mount.len() <= MAX_NAME && mount.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<TransitUri, String> {
        TransitUri::parse(TransitServer::Vault, rest)
    }

    #[test]
    fn every_parameter_is_read_and_printed() {
        let uri = parse("//ca.key_1-x?mount=pki/transit&version=3&address=https%3A%2F%2Fv:8200&namespace=team/a&token-file=/run/t&ca-file=/etc/ca.pem").unwrap();
        assert_eq!(uri.key, "ca.key_1-x");
        assert_eq!(uri.mount.as_deref(), Some("pki/transit"));
        assert_eq!(uri.version, Some(3));
        assert_eq!(uri.address.as_deref(), Some("https://v:8200"));
        let printed = uri.to_string();
        assert_eq!(
            parse(printed.strip_prefix("hashivault:").unwrap()).unwrap(),
            uri
        );
        assert_eq!(parse("//ca").unwrap().to_string(), "hashivault://ca");
    }

    #[test]
    fn other_forms_are_refused_with_what_to_write() {
        for (uri, says) in [
            ("ca", "hashivault://KEY"),
            ("//", "hashivault://KEY"),
            ("//a/b", "hashivault://KEY"),
            ("//..", "hashivault://KEY"),
            ("//a%2fb", "hashivault://KEY"),
            ("//k?mount=../sys", "mount is"),
            ("//k?mount=/transit", "mount is"),
            ("//k?version=0", "from 1"),
            ("//k?version=latest", "from 1"),
            ("//k?token=s.secret", "token-file=PATH"),
            ("//k?mount=a&mount=b", "twice"),
            ("//k?colour=red", "colour"),
            ("//k?mount", "name=value"),
            ("//k?mount=", "empty"),
        ] {
            let error = parse(uri).unwrap_err();
            assert!(error.contains(says), "{uri}: {error}");
            assert!(!error.contains("s.secret"), "{error}");
        }
    }
}
