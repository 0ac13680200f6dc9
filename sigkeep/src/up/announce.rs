//! Telling people and scripts that everything answers.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::compose::CT_ORIGIN;
use super::files;
use super::layout::{Layout, LayoutError};
use super::ports::{Endpoint, Ports};

/// Base URLs, without trailing slash: `endpoints.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// The certificate authority.
    pub fulcio: String,
    /// The Rekor log.
    pub rekor: String,
    /// The timestamp authority; requests go to `/api/v1/timestamp` under it.
    pub tsa: String,
    /// The CT log; its API is at `/ct/v1` under it.
    pub ct: String,
    /// The development issuer.
    pub oidc: String,
    /// The TUF repository.
    pub tuf: String,
}

impl Endpoints {
    /// The services on these ports.
    #[must_use]
    pub fn on(ports: &Ports) -> Self {
        let rekor = ports.base(Endpoint::Rekor);
        Self {
            fulcio: ports.base(Endpoint::Fulcio),
            ct: format!("{rekor}/{CT_ORIGIN}"),
            rekor,
            tsa: ports.base(Endpoint::Tsa),
            oidc: ports.base(Endpoint::Oidc),
            tuf: ports.base(Endpoint::Tuf),
        }
    }

    /// The timestamp authority's endpoint.
    #[must_use]
    pub fn timestamp(&self) -> String {
        format!("{}/api/v1/timestamp", self.tsa)
    }

    /// Writes `endpoints.json`, in one step.
    pub fn publish(&self, layout: &Layout) -> Result<(), LayoutError> {
        let path = layout.endpoints();
        let mut json = serde_json::to_vec(self).map_err(|error| LayoutError::State {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        json.push(b'\n');
        Ok(files::replace(&path, &json)?)
    }

    /// What a person wants to know when `up` is ready. `directory` as they would type it.
    #[must_use]
    pub fn screen(&self, directory: &Path, ready: Duration) -> String {
        let Self {
            fulcio,
            rekor,
            ct,
            oidc,
            tuf,
            ..
        } = self;
        let timestamp = self.timestamp();
        let seconds = ready.as_secs_f64();
        let directory = shell_word(&directory.to_string_lossy());
        let program = shell_word(
            &std::env::args()
                .next()
                .unwrap_or_else(|| "sigkeep".to_owned()),
        );
        let token =
            format!("\"$({program} token --data-dir {directory} --email dev@corp.example)\"");
        let mut screen = String::new();
        let _ = write!(
            screen,
            "
Sigkeep is ready ({seconds:.2} s). Ctrl-C stops it; everything is kept in {directory}.

  certificates  {fulcio}
  Rekor log     {rekor}
  CT log        {ct}
  timestamps    {timestamp}
  trust root    {tuf}
  identities    {oidc}
                for development: signs in whoever asks, as whoever they say, on this machine only

Sign and verify with cosign 3:

  cosign initialize --mirror {tuf} --root {directory}/trust/root.json
  echo hello > hello.txt
  cosign sign-blob --yes --identity-token {token} \\
    --bundle hello.sigstore.json hello.txt
  cosign verify-blob --bundle hello.sigstore.json --certificate-identity dev@corp.example \\
    --certificate-oidc-issuer {oidc} hello.txt

Without --identity-token, cosign opens a page on which you type an e-mail address.

With sigstore-python:

  sigstore --trust-config {directory}/trust/client_trust_config.json sign \\
    --identity-token {token} hello.txt
  sigstore --trust-config {directory}/trust/client_trust_config.json verify identity \\
    --cert-identity dev@corp.example --cert-oidc-issuer {oidc} hello.txt

For cosign 2 and gitsign, see client.env and gitsign.env in {directory}/trust.
"
        );
        screen
    }
}

/// `text` as one word of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+:@%,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_have_no_trailing_slash() {
        let endpoints = Endpoints::on(&Ports::DEFAULT);
        assert_eq!(
            serde_json::to_value(&endpoints).unwrap(),
            serde_json::json!({
                "fulcio": "http://localhost:5555", "rekor": "http://localhost:3000", "tsa": "http://localhost:3004",
                "ct": "http://localhost:3000/ctlog", "oidc": "http://localhost:8080", "tuf": "http://localhost:8085",
            })
        );
    }

    #[test]
    fn commands_can_be_pasted_whatever_the_directory_is_called() {
        assert_eq!(shell_word("./sigkeep-data"), "./sigkeep-data");
        assert_eq!(shell_word("my data"), "'my data'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
