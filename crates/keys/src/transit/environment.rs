//! What a URI leaves out, from the environment that the servers' own tools use.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::client::TransitError;
use super::uri::{TransitServer, TransitUri, is_mount};

/// Longest token that is read, in bytes.
const MAX_TOKEN: u64 = 4096;
/// Longest file of certificates that is read, in bytes.
const MAX_CERTIFICATES: u64 = 1024 * 1024;

/// Everything that is needed to reach one key, complete.
pub(super) struct Location {
    /// The server's URL without a slash at its end.
    pub(super) address: String,
    pub(super) mount: String,
    pub(super) namespace: Option<String>,
    pub(super) token: TokenSource,
    /// PEM certificates to trust instead of the system's.
    pub(super) authorities: Option<String>,
}

/// Where the token is. Files are read again when the server refuses the token: agents renew them.
pub(super) enum TokenSource {
    File(PathBuf),
    Value(SecretString),
}

impl Location {
    /// Completes `uri` with `variable`, which reads environment variables.
    pub(super) fn resolve(
        uri: &TransitUri,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TransitError> {
        let read = |suffix: &str| {
            let of = |prefix: &str| {
                variable(&format!("{prefix}_{suffix}")).filter(|value| !value.is_empty())
            };
            match uri.server {
                TransitServer::OpenBao => of("BAO").or_else(|| of("VAULT")),
                TransitServer::Vault => of("VAULT"),
            }
        };
        let configuration = |reason: String| TransitError::Configuration(reason);
        let address = uri.address.clone().or_else(|| read("ADDR")).ok_or_else(|| {
            configuration("nothing says where the server is; set VAULT_ADDR, or add address=URL to the URI".to_owned())
        })?;
        let mount = match &uri.mount {
            Some(mount) => mount.clone(),
            None => variable("TRANSIT_SECRET_ENGINE_PATH").unwrap_or_else(|| "transit".to_owned()),
        };
        if !is_mount(&mount) {
            return Err(configuration(format!(
                "TRANSIT_SECRET_ENGINE_PATH {mount:?} is no path of an engine"
            )));
        }
        let token = match (&uri.token_file, read("TOKEN")) {
            (Some(path), _) => TokenSource::File(path.clone()),
            (None, Some(token)) => TokenSource::Value(token.into()),
            (None, None) => TokenSource::File(
                variable("HOME")
                    .map(|home| PathBuf::from(home).join(".vault-token"))
                    .filter(|path| path.exists())
                    .ok_or_else(|| {
                        configuration(
                            "there is no token; set VAULT_TOKEN, or add token-file=PATH to the URI"
                                .to_owned(),
                        )
                    })?,
            ),
        };
        let authorities = match uri
            .ca_file
            .clone()
            .or_else(|| read("CACERT").map(PathBuf::from))
        {
            Some(path) => {
                let mut pem = String::new();
                File::open(&path)
                    .and_then(|file| file.take(MAX_CERTIFICATES).read_to_string(&mut pem))
                    .map_err(|error| configuration(format!("{}: {error}", path.display())))?;
                Some(pem)
            }
            None => None,
        };
        Ok(Self {
            address: checked(&address)?,
            mount,
            namespace: uri.namespace.clone().or_else(|| read("NAMESPACE")),
            token,
            authorities,
        })
    }
}

impl TokenSource {
    pub(super) fn read(&self) -> Result<SecretString, TransitError> {
        let path = match self {
            Self::Value(token) => return Ok(token.clone()),
            Self::File(path) => path,
        };
        let refuse = |reason: String| {
            TransitError::Configuration(format!("token file {}: {reason}", path.display()))
        };
        let mut content = Zeroizing::new(String::with_capacity(1024));
        File::open(path)
            .and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut content))
            .map_err(|error| refuse(error.to_string()))?;
        let token = content.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("it holds no token".to_owned()));
        }
        Ok(token.into())
    }
}

/// `address` without a slash at its end; plain HTTP is for an agent on this machine only, because
/// every request carries the token.
fn checked(address: &str) -> Result<String, TransitError> {
    let refuse =
        |reason: &str| TransitError::Configuration(format!("address {address:?}: {reason}"));
    let url = reqwest::Url::parse(address).map_err(|error| refuse(&error.to_string()))?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        // It may hold a password, and is not repeated.
        return Err(TransitError::Configuration(
            "the server's address must have no user, query or fragment".to_owned(),
        ));
    }
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => {
            return Err(refuse(
                "the token would cross the network in the open; use https",
            ));
        }
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn resolve(
        server: TransitServer,
        rest: &str,
        variables: &[(&str, &str)],
    ) -> Result<Location, TransitError> {
        let uri = TransitUri::parse(server, rest).unwrap();
        Location::resolve(&uri, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn refusal(rest: &str, variables: &[(&str, &str)]) -> String {
        resolve(TransitServer::Vault, rest, variables)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    const ADDRESS: (&str, &str) = ("VAULT_ADDR", "https://vault.example:8200/");
    const TOKEN: (&str, &str) = ("VAULT_TOKEN", "s.token");

    #[test]
    fn the_environment_completes_a_bare_key() {
        let all = [
            ADDRESS,
            TOKEN,
            ("VAULT_NAMESPACE", "team"),
            ("TRANSIT_SECRET_ENGINE_PATH", "pki/transit"),
        ];
        let location = resolve(TransitServer::Vault, "//ca", &all).unwrap();
        assert_eq!(location.address, "https://vault.example:8200");
        assert_eq!(location.mount, "pki/transit");
        assert_eq!(location.namespace.as_deref(), Some("team"));
        assert_eq!(location.token.read().unwrap().expose_secret(), "s.token");
        assert_eq!(
            resolve(TransitServer::Vault, "//ca", &[ADDRESS, TOKEN])
                .unwrap()
                .mount,
            "transit"
        );
    }

    #[test]
    fn openbao_prefers_its_own_variables() {
        let both = [
            ADDRESS,
            TOKEN,
            ("BAO_ADDR", "https://bao.example"),
            ("BAO_TOKEN", ""),
        ];
        let location = resolve(TransitServer::OpenBao, "//ca", &both).unwrap();
        assert_eq!(location.address, "https://bao.example");
        assert_eq!(location.token.read().unwrap().expose_secret(), "s.token");
        assert_eq!(
            resolve(TransitServer::Vault, "//ca", &both)
                .unwrap()
                .address,
            "https://vault.example:8200"
        );
    }

    #[test]
    fn the_uri_wins_and_token_files_are_trimmed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "s.file\n").unwrap();
        let rest = format!(
            "//ca?address=http://127.0.0.1:8100&token-file={}",
            path.display()
        );
        let location = resolve(TransitServer::Vault, &rest, &[ADDRESS, TOKEN]).unwrap();
        assert_eq!(location.address, "http://127.0.0.1:8100");
        assert_eq!(location.token.read().unwrap().expose_secret(), "s.file");
        std::fs::write(&path, "two words\n").unwrap();
        assert!(location.token.read().is_err());
    }

    #[test]
    fn the_token_of_the_home_directory_is_the_last_resort() {
        let home = tempfile::tempdir().unwrap();
        let variables = [ADDRESS, ("HOME", home.path().to_str().unwrap())];
        assert!(refusal("//ca", &variables).contains("VAULT_TOKEN"));
        std::fs::write(home.path().join(".vault-token"), "s.home").unwrap();
        let location = resolve(TransitServer::Vault, "//ca", &variables).unwrap();
        assert_eq!(location.token.read().unwrap().expose_secret(), "s.home");
    }

    #[test]
    fn what_is_missing_or_unsafe_is_refused() {
        assert!(refusal("//ca", &[TOKEN]).contains("VAULT_ADDR"));
        for address in [
            "http://vault.example:8200",
            "ftp://127.0.0.1",
            "vault:8200",
            "https://u:p@vault.example",
            "http://127.0.0.1.example",
        ] {
            refusal("//ca", &[("VAULT_ADDR", address), TOKEN]);
        }
        assert!(
            refusal("//ca", &[("VAULT_ADDR", "http://vault.example"), TOKEN]).contains("https")
        );
        assert!(
            refusal(
                "//ca",
                &[ADDRESS, TOKEN, ("TRANSIT_SECRET_ENGINE_PATH", "../sys")]
            )
            .contains("TRANSIT_SECRET_ENGINE_PATH")
        );
        assert!(refusal("//ca?ca-file=/nowhere.pem", &[ADDRESS, TOKEN]).contains("/nowhere.pem"));
    }
}
