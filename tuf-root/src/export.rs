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
//! ```

use std::path::Path;

use wire::trust::{ClientTrustConfig, SigningConfig, TrustError, TrustedRoot};

use crate::client::{self, Directory, Expiry, UpdateError};
use crate::metadata::{Document, DocumentError, NameError, Root, Sha256};
use crate::trust::{SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT};

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
        let root: Document<Root> = Document::parse(&root_json)?;
        let trusted = client::update(&source, &root, None, Expiry::Ignored).await?;
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
        Ok(Self {
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
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
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

    /// Writes all files to `out`; `client.env` only if the mirror's URL is known. Each file
    /// appears whole or not at all. Returns the names.
    pub fn write(
        &self,
        out: &Path,
        mirror: Option<&str>,
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
