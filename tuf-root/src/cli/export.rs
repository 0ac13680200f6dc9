//! `export`: files for clients.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clock::{Clock as _, SystemClock};
use serde_json::json;
use wire::trust::Timestamp;

use super::{Failure, Location, print_json, say};
use crate::export::{Admission, Export, SignatureFormat};

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where the repository is
    #[command(flatten)]
    pub location: Location,
    /// What to print; without it all files are written to --out
    #[arg(value_enum)]
    pub what: Option<ExportKind>,
    /// Directory for the files
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "what",
        required_unless_present = "what"
    )]
    pub out: Option<PathBuf>,
    /// URL that clients will find the repository under; needed for what names it
    #[arg(long, value_name = "URL", required_if_eq_any([("what", "env"), ("what", "trust-root-remote")]))]
    pub mirror: Option<String>,
    /// Whose signatures a cluster is to admit
    #[command(flatten)]
    pub admission: AdmissionArgs,
}

/// Whose signatures a cluster is to admit.
#[derive(Debug, Args)]
pub struct AdmissionArgs {
    /// Name of the objects in a cluster
    #[arg(long, default_value = "sigstore")]
    pub name: String,
    /// Namespace of those that have one
    #[arg(long, default_value = "flux-system")]
    pub namespace: String,
    /// Images that a policy is for, such as registry.corp.example/**
    #[arg(long, value_name = "PATTERN", requires_all = ["issuer", "subject"])]
    pub images: Option<String>,
    /// Issuer that their signers must have
    #[arg(long, value_name = "URL", requires = "images")]
    pub issuer: Option<String>,
    /// Subject that their signers must have
    #[arg(long, requires = "images")]
    pub subject: Option<String>,
    /// Form of the signatures: bundle (cosign 3) or legacy (cosign 2)
    #[arg(long, value_enum, default_value = "bundle")]
    pub signature_format: SignatureFormat,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportKind {
    /// ClientTrustConfig, for `sigstore --trust-config`.
    ClientTrustConfig,
    /// trusted_root.json, for `cosign --trusted-root`.
    TrustedRoot,
    /// Signing config, for `cosign --signing-config`.
    SigningConfig,
    /// Shell variables for cosign.
    Env,
    /// Git configuration for gitsign.
    Gitsign,
    /// policy-controller TrustRoot that follows the mirror.
    TrustRootRemote,
    /// policy-controller TrustRoot with the whole repository inside.
    TrustRootRepository,
    /// policy-controller TrustRoot with keys and certificates inside.
    TrustRootKeys,
    /// policy-controller ClusterImagePolicy.
    ClusterImagePolicy,
    /// Kyverno ClusterPolicy.
    KyvernoClusterPolicy,
    /// Kyverno ImageValidatingPolicy.
    KyvernoImageValidatingPolicy,
    /// Secret that Flux verifies with.
    FluxSecret,
    /// Flux OCIRepository that uses that Secret.
    FluxOciRepository,
}

impl AdmissionArgs {
    fn admission(&self) -> Option<Admission> {
        Some(Admission {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            images: self.images.clone()?,
            issuer: self.issuer.clone()?,
            subject: self.subject.clone()?,
            format: self.signature_format,
        })
    }
}

pub(super) async fn export(args: ExportArgs) -> Result<(), Failure> {
    let published = args.location.dir.join("published");
    let export = Export::read(&published).await.map_err(say)?;
    let now = Timestamp::from_secs(SystemClock::default().now_secs()).map_err(say)?;
    let admission = args.admission.admission();
    let Some(what) = args.what else {
        let out = args.out.as_deref().unwrap_or(Path::new("."));
        let names = export
            .write(out, args.mirror.as_deref(), admission.as_ref(), now)
            .map_err(say)?;
        match args.location.json {
            true => print_json(&json!({ "dir": out, "files": names })),
            false => names
                .iter()
                .for_each(|name| println!("{}", out.join(name).display())),
        }
        return Ok(());
    };
    let mirror = args.mirror.as_deref().unwrap_or_default();
    let (name, namespace) = (&args.admission.name, &args.admission.namespace);
    let policy = || {
        admission
            .as_ref()
            .ok_or_else(|| Failure::from("a policy needs --images, --issuer and --subject"))
    };
    let text = match what {
        ExportKind::ClientTrustConfig => export.client_trust_config().to_json(),
        ExportKind::TrustedRoot => export.trusted_root.to_json(),
        ExportKind::SigningConfig => export.signing_config.to_json(),
        ExportKind::Env => {
            let root = std::path::absolute(published.join("root.json")).map_err(say)?;
            Export::client_env(mirror, &root)
        }
        ExportKind::Gitsign => export.gitconfig(None),
        ExportKind::TrustRootRemote => export.trust_root_remote(name, mirror),
        ExportKind::TrustRootRepository => export.trust_root_repository(name).map_err(say)?,
        ExportKind::TrustRootKeys => export.trust_root_keys(name).map_err(say)?,
        ExportKind::ClusterImagePolicy => {
            export.cluster_image_policy(policy()?, now).map_err(say)?
        }
        ExportKind::KyvernoClusterPolicy => {
            export.kyverno_cluster_policy(policy()?, now).map_err(say)?
        }
        ExportKind::KyvernoImageValidatingPolicy => {
            export.kyverno_image_validating_policy(policy()?)
        }
        ExportKind::FluxSecret => export.flux_secret(name, namespace),
        ExportKind::FluxOciRepository => Export::flux_oci_repository(policy()?),
    };
    print!("{text}");
    Ok(())
}
