//! Making an authority: its root, the first key that signs, and that key's certificate.
//!
//! The order of every command: keys first (they are never overwritten, so that a crash costs a
//! repetition with `existing`), then certificates, then the file that makes the whole visible.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::SharedClock;
use keys::{Algorithm, KeyUri, Passphrase};
use pki::authority::{Issuer, Purpose, Role, Template};
use pki::chain::Chain;
use pki::name::Subject;
use serde::Serialize;

use crate::certify::issue;
use crate::directory::{About, Format, chain_from_pem};
use crate::draft::{Certifier, Draft, subject, title};
use crate::work::{BACKDATE, Work};
use crate::{Directory, Error, trust};

/// A key that is made, or taken as it is.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Where.
    pub uri: KeyUri,
    /// Of a key that is made: P-256 or P-384.
    pub algorithm: Algorithm,
    /// Whether it is there already.
    pub existing: bool,
    /// Passphrase of a key file, PIN of a token.
    pub passphrase: Option<Passphrase>,
}

/// Who signs the signing certificate.
#[derive(Clone, Debug)]
pub enum Root {
    /// A root that is made now.
    New {
        /// Its key.
        key: NewKey,
        /// Its validity.
        lifetime: Duration,
    },
    /// A certificate authority whose key can be used from here.
    Existing {
        /// Its key.
        key: NewKey,
        /// PEM: its certificate, those above it, the root last.
        chain: String,
    },
    /// Somebody else, by a certificate signing request.
    Elsewhere,
}

/// What an authority is to be.
#[derive(Clone, Debug)]
pub struct Begin {
    /// What its leaves are for.
    pub purpose: Purpose,
    /// Organisation in the certificates.
    pub organization: String,
    /// Where clients reach the service.
    pub url: String,
    /// The key that the service signs with; a file in the directory if left out.
    pub key: NewKey,
    /// Who certifies it.
    pub root: Root,
    /// Validity of the signing certificate; it ends with its issuer's at the latest.
    pub lifetime: Duration,
}

/// What a command made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// Which generation.
    pub generation: u32,
    /// Its key.
    pub key: String,
    /// Certificate signing request, to be carried to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PathBuf>,
    /// The chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<PathBuf>,
    /// What the trust root has to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_root_entry: Option<PathBuf>,
    /// SHA-256 of the signing certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// SHA-256 of the root certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<String>,
    /// Whether it signs from now on.
    pub active: bool,
}

impl Made {
    /// A generation with its key and nothing more.
    pub(crate) fn key(generation: u32, key: &KeyUri) -> Self {
        Self {
            generation,
            key: key.to_string(),
            request: None,
            chain: None,
            trust_root_entry: None,
            certificate_sha256: None,
            root_sha256: None,
            active: false,
        }
    }
}

impl Begin {
    /// Makes the authority in `path`, which is created if need be, and lets its first generation
    /// sign, or makes its request.
    pub async fn run(
        &self,
        path: &Path,
        clock: &SharedClock,
        program: &str,
    ) -> Result<Made, Error> {
        trust::check_url(self.purpose, &self.url)?;
        std::fs::create_dir_all(path).map_err(Error::io(path))?;
        if path.join("authority.json").exists() {
            return Err(Error::Exists(path.to_owned()));
        }
        let work = Work::begin(path, clock, program)?;
        work.note_command(&format!(
            "authority for {} begun: {}, {}",
            title(self.purpose),
            self.organization,
            self.url
        ))?;
        let certifier = self.certifier(&work).await?;
        let root_key = match &self.root {
            Root::New { key, .. } | Root::Existing { key, .. } => Some(key.uri.to_string()),
            Root::Elsewhere => None,
        };
        let about = About {
            format: Format::V1,
            purpose: self.purpose.into(),
            organization: self.organization.clone(),
            url: self.url.clone(),
            root_key,
        };
        let signer = work.key("signing", &self.key).await?;
        let subject = subject(self.purpose, &self.organization, 1);
        let draft = Draft::of(
            &work,
            self.purpose,
            &subject,
            &signer,
            certifier,
            self.lifetime,
        );
        // Whatever a key's backend refuses is refused by now, and nothing but keys is there.
        let draft = draft.await?;
        Directory::found(path, about)?.keep(&work, 1, &self.key.uri, signer.public_key(), draft)
    }

    async fn certifier(&self, work: &Work) -> Result<Option<Certifier>, Error> {
        match &self.root {
            Root::Elsewhere => Ok(None),
            Root::Existing { key, chain } => {
                let signer = work.key("certifying", key).await?;
                let chain = chain_from_pem(Path::new("the root's certificate"), chain)?;
                Certifier::new(signer, chain).map(Some)
            }
            Root::New { key, lifetime } => {
                let signer = work.key("root", key).await?;
                let template = Template {
                    role: Role::Root,
                    subject: Subject {
                        organization: self.organization.clone(),
                        common_name: format!("{} root", title(self.purpose)),
                    },
                    not_before: work.now() - BACKDATE,
                    not_after: work.now() + *lifetime,
                };
                let public_key = signer.public_key().clone();
                let root = issue(&template, &public_key, Issuer::SelfSigned, &*signer).await?;
                work.note_certificate("root", &root)?;
                let chain = Chain::from_der(vec![root]).map_err(|source| Error::Chain {
                    path: "the new root".into(),
                    source,
                })?;
                Certifier::new(signer, chain).map(Some)
            }
        }
    }
}
