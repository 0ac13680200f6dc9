//! Configuration of gitsign, and the variables that cosign 2 and gitsign read trust from.
//!
//! gitsign takes trust from two places: what `gitsign initialize` stored, for verifying commits,
//! and the `SIGSTORE_*` variables, for checking its own certificate when it signs.

use std::path::Path;

use wire::trust::Timestamp;

use super::kubernetes::{chain, chains, in_use, key};
use super::{Export, ExportError, quote};

/// The chain of the timestamp authority among [`Export::pem_files`].
pub(super) const TSA_CHAIN: &str = "tsa_chain.pem";

impl Export {
    /// The keys and certificates as files: names and contents.
    pub fn pem_files(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, ExportError> {
        let root = &self.trusted_root;
        let mut files = vec![
            ("fulcio_chain.pem", chains(&root.certificate_authorities)?),
            ("rekor.pub", self.rekor(now)?.0),
            ("ctfe.pub", key(self.ct_log(now)?)?),
        ];
        if let Ok(authority) = in_use(&root.timestamp_authorities, now) {
            files.push((TSA_CHAIN, chain(authority)?));
        }
        Ok(files)
    }

    /// Shell variables for cosign 2 and gitsign, for [`Self::pem_files`] in `dir`. cosign 3
    /// verifies bundles with the trusted root instead, and fails on them where these are set.
    pub fn legacy_env(&self, dir: &Path, now: Timestamp) -> Result<String, ExportError> {
        let mut out = String::new();
        for (name, _) in self.pem_files(now)? {
            let variable = match name {
                "fulcio_chain.pem" => "SIGSTORE_ROOT_FILE",
                "rekor.pub" => "SIGSTORE_REKOR_PUBLIC_KEY",
                "ctfe.pub" => "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
                _ => "SIGSTORE_TSA_CERTIFICATE_FILE",
            };
            let path = dir.join(name).display().to_string();
            out.push_str(&format!("export {variable}={}\n", quote(&path)));
        }
        Ok(out)
    }

    /// A git configuration file: include it with `git config include.path FILE`. `tsa_chain` is
    /// where the timestamp authority's chain of [`Self::pem_files`] is: gitsign verifies the time of
    /// a commit with that, and takes it from nowhere else.
    #[must_use]
    pub fn gitconfig(&self, tsa_chain: Option<&Path>) -> String {
        let config = &self.signing_config;
        let services = [
            ("fulcio", config.ca_urls.first()),
            ("rekor", config.rekor_tlog_urls.first()),
            ("issuer", config.oidc_urls.first()),
            ("timestampServerURL", config.tsa_urls.first()),
        ];
        let mut out = String::from("[gitsign]\n");
        for (name, service) in services {
            if let Some(service) = service {
                out.push_str(&format!("\t{name} = {}\n", value(&service.url)));
            }
        }
        if !config.tsa_urls.is_empty() {
            out.push_str(&match tsa_chain {
                Some(file) => format!(
                    "\ttimestampCertChain = {}\n",
                    value(&file.display().to_string())
                ),
                None => "\t# Where tsa_chain.pem is, which `export --out` writes:\n\
                         \t# timestampCertChain = /etc/sigstore/tsa_chain.pem\n"
                    .to_owned(),
            });
        }
        out.push_str("[gpg]\n\tformat = x509\n[gpg \"x509\"]\n\tprogram = gitsign\n");
        out.push_str("[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true\n");
        out
    }
}

/// A value as git's configuration files quote it (git-config(1), Syntax).
fn value(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
