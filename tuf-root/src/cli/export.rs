//! `export`: files for clients.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Location, Message, print_json, say};
use crate::export::Export;

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
    /// URL that clients will find the repository under; needed for the environment
    #[arg(long, value_name = "URL", required_if_eq("what", "env"))]
    pub mirror: Option<String>,
}

/// What to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExportKind {
    /// ClientTrustConfig, for `sigstore --trust-config`.
    ClientTrustConfig,
    /// trusted_root.json, for `cosign --trusted-root`.
    TrustedRoot,
    /// Signing config, for `cosign --signing-config`.
    SigningConfig,
    /// Shell variables for cosign.
    Env,
}

pub(super) async fn export(args: ExportArgs) -> Result<(), Message> {
    let published = args.location.dir.join("published");
    let export = Export::read(&published).await.map_err(say)?;
    match args.what {
        Some(ExportKind::ClientTrustConfig) => print!("{}", export.client_trust_config().to_json()),
        Some(ExportKind::TrustedRoot) => print!("{}", export.trusted_root.to_json()),
        Some(ExportKind::SigningConfig) => print!("{}", export.signing_config.to_json()),
        Some(ExportKind::Env) => {
            let root = std::path::absolute(published.join("root.json")).map_err(say)?;
            print!(
                "{}",
                Export::client_env(args.mirror.as_deref().unwrap_or_default(), &root)
            );
        }
        None => {
            let out = args.out.as_deref().unwrap_or(Path::new("."));
            let names = export.write(out, args.mirror.as_deref()).map_err(say)?;
            match args.location.json {
                true => print_json(&json!({ "dir": out, "files": names })),
                false => names
                    .iter()
                    .for_each(|name| println!("{}", out.join(name).display())),
            }
        }
    }
    Ok(())
}
