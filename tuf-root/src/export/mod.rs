//! Files for people and for clients that take no TUF repository.
//!
//! ```text
//! root.json                   first root that a client is given (cosign initialize --root)
//! root.json.sha256            its SHA-256, to be told out of band (--root-checksum)
//! trusted_root.json           cosign --trusted-root
//! signing_config.v0.2.json    cosign --signing-config
//! signing_config.rekor-v2.json  the same for Rekor v2, if there is one
//! client_trust_config.json    sigstore --trust-config
//! client.env                  variables for cosign (TUF_MIRROR, TUF_ROOT_JSON)
//! fulcio_chain.pem, rekor.pub, ctfe.pub, tsa_chain.pem, legacy.env
//!                             the same trust for cosign 2 and gitsign (SIGSTORE_*)
//! gitsign.gitconfig           gitsign's services, to be included by git
//! trust-root-*.yaml, cluster-image-policy.yaml, kyverno-*.yaml, flux-*.yaml
//!                             manifests for clusters
//! ```
//!
//! The same published tree gives the same bytes.

mod gitsign;
mod kubernetes;
mod yaml;

pub use kubernetes::{Admission, SignatureFormat};

use std::path::Path;

use wire::trust::{ClientTrustConfig, SigningConfig, Timestamp, TrustError, TrustedRoot};

use crate::airgap::{ArchiveError, Tree};
use crate::client::{self, Directory, Expiry, UpdateError};
use crate::metadata::{Document, DocumentError, NameError, Root, Sha256};
use crate::trust::{SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT};
use gitsign::TSA_CHAIN;

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The published tree cannot be used.
    #[error("{0}; run `tuf-root verify` for the details")]
    Update(#[from] UpdateError),
    /// The first root cannot be read.
    #[error("root.json: {0}")]
    Root(#[from] DocumentError),
    /// Nothing is published yet.
    #[error("nothing has been published yet; run `tuf-root publish` first")]
    NotPublished,
    /// The published trust documents cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A name outside the profile.
    #[error(transparent)]
    Name(#[from] NameError),
    /// policy-controller refuses a whole `TrustRoot` for one such key.
    #[error(
        "policy-controller takes ECDSA log keys only, and the log at {0} has another; use the remote or repository form"
    )]
    LogKey(String),
    /// There is none that is valid now.
    #[error("the trusted root has no {0} that is valid now")]
    Nothing(&'static str),
    /// A certificate could not be written as PEM.
    #[error("a certificate cannot be written as PEM")]
    Pem,
    /// The repository could not be packed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What is published, for export.
#[derive(Clone, Debug)]
pub struct Export {
    /// The newest root, as published.
    pub root_json: Vec<u8>,
    /// What clients verify with.
    pub trusted_root: TrustedRoot,
    /// Where they sign.
    pub signing_config: SigningConfig,
    /// Where they sign if they use Rekor v2.
    pub signing_config_rekor_v2: Option<SigningConfig>,
    /// PEM key of the Rekor v1 log, if it is published for older clients.
    pub rekor_pub: Option<String>,
    /// The published files.
    pub tree: Tree,
}

impl Export {
    /// Reads what is published in a directory, as a client would that accepts what has expired.
    pub async fn read(published: &Path) -> Result<Self, ExportError> {
        let source = Directory {
            path: published.to_owned(),
        };
        let root_json = client::Source::get(&source, "root.json", 1 << 20)
            .await
            .map_err(UpdateError::from)?;
        let root_json = root_json.ok_or(ExportError::NotPublished)?;
        let first = client::Source::get(&source, "1.root.json", 1 << 20)
            .await
            .map_err(UpdateError::from)?;
        let first: Document<Root> = Document::parse(&first.ok_or(ExportError::NotPublished)?)?;
        let (tree, trusted) = Tree::read(&source, &first, Expiry::Ignored).await?;
        let trusted_root = client::target(&source, &trusted, &TRUSTED_ROOT.parse()?).await?;
        let signing_config = client::target(&source, &trusted, &SIGNING_CONFIG.parse()?).await?;
        let rekor_v2 = SIGNING_CONFIG_REKOR_V2.parse()?;
        let signing_config_rekor_v2 = match trusted.targets.signed().targets.contains_key(&rekor_v2)
        {
            true => Some(SigningConfig::from_json(
                &client::target(&source, &trusted, &rekor_v2).await?,
            )?),
            false => None,
        };
        let rekor = "rekor.pub".parse()?;
        let rekor_pub = match trusted.targets.signed().targets.contains_key(&rekor) {
            true => {
                let pem = client::target(&source, &trusted, &rekor).await?;
                Some(String::from_utf8_lossy(&pem).into_owned())
            }
            false => None,
        };
        Ok(Self {
            rekor_pub,
            tree,
            root_json,
            trusted_root: TrustedRoot::from_json(&trusted_root)?,
            signing_config: SigningConfig::from_json(&signing_config)?,
            signing_config_rekor_v2,
        })
    }

    /// Trusted root and signing config in one file.
    #[must_use]
    pub fn client_trust_config(&self) -> ClientTrustConfig {
        ClientTrustConfig::new(self.trusted_root.clone(), self.signing_config.clone())
    }

    /// Shell variables that make cosign use `mirror`, starting from the root at `root_json`.
    #[must_use]
    pub fn client_env(mirror: &str, root_json: &Path) -> String {
        let (mirror, root) = (
            mirror.trim_end_matches('/'),
            root_json.display().to_string(),
        );
        format!(
            "export TUF_MIRROR={}\nexport TUF_ROOT_JSON={}\n",
            quote(mirror),
            quote(&root)
        )
    }

    /// Writes all files to `out`: what needs the mirror's URL only if that is known, policies only
    /// with an `admission`. Each file appears whole or not at all. Returns the names.
    pub fn write(
        &self,
        out: &Path,
        mirror: Option<&str>,
        admission: Option<&Admission>,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, ExportError> {
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| ExportError::Io { path, source }
        };
        std::fs::create_dir_all(out).map_err(io(out))?;
        let out = std::path::absolute(out).map_err(io(out))?;
        let mut files = vec![
            ("root.json", self.root_json.clone()),
            (
                "root.json.sha256",
                format!("{}  root.json\n", Sha256::of(&self.root_json)).into_bytes(),
            ),
            (
                "trusted_root.json",
                self.trusted_root.to_json().into_bytes(),
            ),
            (
                "signing_config.v0.2.json",
                self.signing_config.to_json().into_bytes(),
            ),
            (
                "client_trust_config.json",
                self.client_trust_config().to_json().into_bytes(),
            ),
        ];
        if let Some(config) = &self.signing_config_rekor_v2 {
            files.push((
                "signing_config.rekor-v2.json",
                config.to_json().into_bytes(),
            ));
        }
        if let Some(mirror) = mirror {
            files.push((
                "client.env",
                Self::client_env(mirror, &out.join("root.json")).into_bytes(),
            ));
        }
        let pem = self.pem_files(now)?;
        let tsa_chain = pem.iter().find(|(name, _)| *name == TSA_CHAIN);
        let tsa_chain = tsa_chain.map(|(name, _)| out.join(name));
        files.extend(
            pem.into_iter()
                .map(|(name, text)| (name, text.into_bytes())),
        );
        let mut text = |name, text: String| files.push((name, text.into_bytes()));
        text("legacy.env", self.legacy_env(&out, now)?);
        text("gitsign.gitconfig", self.gitconfig(tsa_chain.as_deref()));
        let name = admission.map_or("sigstore", |a| &a.name);
        let namespace = admission.map_or("flux-system", |a| &a.namespace);
        if let Some(mirror) = mirror {
            text(
                "trust-root-remote.yaml",
                self.trust_root_remote(name, mirror),
            );
        }
        text(
            "trust-root-repository.yaml",
            self.trust_root_repository(name)?,
        );
        match self.trust_root_keys(name) {
            // The other two forms remain.
            Err(ExportError::LogKey(_)) => {}
            keys => text("trust-root-keys.yaml", keys?),
        }
        text("flux-secret.yaml", self.flux_secret(name, namespace));
        if let Some(admission) = admission {
            text(
                "cluster-image-policy.yaml",
                self.cluster_image_policy(admission, now)?,
            );
            text(
                "kyverno-cluster-policy.yaml",
                self.kyverno_cluster_policy(admission, now)?,
            );
            text(
                "kyverno-image-validating-policy.yaml",
                self.kyverno_image_validating_policy(admission),
            );
            text(
                "flux-oci-repository.yaml",
                Self::flux_oci_repository(admission),
            );
        }
        let mut names = Vec::with_capacity(files.len());
        for (name, content) in files {
            let (path, temporary) = (out.join(name), out.join(format!(".tmp-{name}")));
            std::fs::write(&temporary, content).map_err(io(&temporary))?;
            std::fs::rename(&temporary, &path).map_err(io(&path))?;
            names.push(name);
        }
        Ok(names)
    }
}

/// Quotes a word for the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
