//! `key …`: the public keys of the roles.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use keys::{Algorithm, KeyUri};
use serde_json::json;

use super::{Failure, Location, Signing, of_role, print_json, role_name, say, tell};
use crate::ceremony::Claim;
use crate::metadata::{Key, RoleName};
use crate::repository::{NewKey, RepositoryError};

/// `key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// On a keyholder's machine: write the public key with a proof of possession to a file
    Claim {
        /// The key; a file that does not exist is made
        #[arg(long, value_name = "URI")]
        key: KeyUri,
        /// File with the passphrase of the key file
        #[arg(long, value_name = "FILE", env = "TUF_ROOT_PASSPHRASE_FILE")]
        passphrase_file: Option<PathBuf>,
        /// Who holds it
        #[arg(long)]
        owner: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Add the key in a file that `key claim` wrote
    Import {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// The role; may be given twice, for root and targets
        #[arg(long = "role", required = true, value_parser = role_name)]
        roles: Vec<RoleName>,
        /// The file
        file: PathBuf,
    },
    /// Add a key that this machine can use, or a public key from a PEM file
    Add {
        /// Where the repository and its passphrase are
        #[command(flatten)]
        signing: Signing,
        /// The role; may be given twice, for root and targets
        #[arg(long = "role", required = true, value_parser = role_name)]
        roles: Vec<RoleName>,
        /// The key; it proves itself now. A file that does not exist is made
        #[arg(
            long,
            value_name = "URI",
            conflicts_with = "pem",
            required_unless_present = "pem"
        )]
        key: Option<KeyUri>,
        /// A public key in PEM. Nothing proves that anybody holds it until it signs: prefer
        /// `key import`
        #[arg(long, value_name = "FILE", requires = "owner")]
        pem: Option<PathBuf>,
        /// Who holds it
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show the keys that the next root has
    List {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
    },
    /// Leave a key out of the next root
    Remove {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// The role; may be given twice
        #[arg(long = "role", required = true, value_parser = role_name)]
        roles: Vec<RoleName>,
        /// The beginning of its id
        id: String,
    },
    /// Change how many keys must sign from the next root on
    Threshold {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Such as root=2
        #[arg(value_name = "ROLE=K", value_parser = of_role::<NonZeroU32>)]
        threshold: (RoleName, NonZeroU32),
    },
}

pub(super) async fn key(command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Claim {
            key,
            passphrase_file,
            owner,
            out,
        } => claim(&key, passphrase_file.as_deref(), &owner, &out).await,
        KeyCommand::Import {
            location,
            roles,
            file,
        } => {
            let claim = read_claim(&file)?;
            let repository = location.open()?;
            let keyid = repository
                .add_key(&roles, NewKey::Claim(claim))
                .await
                .map_err(say)?;
            let said = format!("Added key {keyid}.");
            changed(&location, &said, json!({ "keyid": keyid })).await
        }
        KeyCommand::Add {
            signing,
            roles,
            key,
            pem,
            owner,
        } => {
            let new = match (key, pem) {
                (Some(uri), _) => NewKey::Here { uri, owner },
                (None, Some(pem)) => NewKey::Public {
                    key: read_pem(&pem)?,
                    owner: owner.unwrap_or_default(),
                },
                (None, None) => return Err("give --key or --pem".into()),
            };
            let keyid = signing.open()?.add_key(&roles, new).await.map_err(say)?;
            let said = format!("Added key {keyid}.");
            changed(&signing.location, &said, json!({ "keyid": keyid })).await
        }
        KeyCommand::List { location } => {
            let keys = location.open()?.keys().map_err(say)?;
            if location.json {
                print_json(&json!({ "keys": keys }));
                return Ok(());
            }
            for key in keys {
                let owner = key.owner.as_deref().unwrap_or("-");
                let uri = key.uri.as_deref().unwrap_or("not on this machine");
                println!("{:<9} {} {owner} ({uri})", key.role.as_str(), key.keyid);
            }
            Ok(())
        }
        KeyCommand::Remove {
            location,
            roles,
            id,
        } => {
            let keyid = location
                .open()?
                .remove_key(&roles, &id)
                .await
                .map_err(say)?;
            let said = format!("Removed key {keyid}.");
            changed(&location, &said, json!({ "keyid": keyid })).await
        }
        KeyCommand::Threshold {
            location,
            threshold: (role, threshold),
        } => {
            location
                .open()?
                .set_threshold(role, threshold.get())
                .await
                .map_err(say)?;
            let said = format!("{role} will need {threshold} signatures.");
            let value = json!({ "role": role, "threshold": threshold });
            changed(&location, &said, value).await
        }
    }
}

async fn claim(
    uri: &KeyUri,
    passphrase_file: Option<&Path>,
    owner: &str,
    out: &Path,
) -> Result<(), Failure> {
    let passphrase = passphrase_file
        .map(keys::Passphrase::from_file)
        .transpose()
        .map_err(say)?;
    let signer = match uri {
        KeyUri::File(path) if !path.exists() && passphrase.is_none() => {
            return Err(say(RepositoryError::Passphrase));
        }
        KeyUri::File(path) if !path.exists() => {
            keys::create(uri, Algorithm::EcdsaP256Sha256, passphrase.as_ref()).await
        }
        _ => keys::open(uri, passphrase.as_ref()).await,
    };
    let claim = Claim::make(signer.map_err(say)?.as_ref(), owner)
        .await
        .map_err(say)?;
    let mut bytes = serde_json::to_vec_pretty(&claim).map_err(say)?;
    bytes.push(b'\n');
    std::fs::write(out, bytes).map_err(|e| format!("{}: {e}", out.display()))?;
    println!(
        "Wrote {}. Read this key id aloud where the key is imported:",
        out.display()
    );
    println!("{}", claim.key().map_err(say)?.id());
    Ok(())
}

/// Reads a file of `key claim`.
pub(super) fn read_claim(file: &Path) -> Result<Claim, Failure> {
    let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Claim::read(&bytes).map_err(|e| say(format_args!("{}: {e}", file.display())))
}

fn read_pem(file: &Path) -> Result<Key, Failure> {
    let fail = |e: &dyn std::fmt::Display| say(format_args!("{}: {e}", file.display()));
    let pem = std::fs::read_to_string(file).map_err(|e| fail(&e))?;
    let public = crypto::PublicKey::from_pem(&pem).map_err(|e| fail(&e))?;
    Key::new(public).map_err(|e| fail(&e))
}

async fn changed(location: &Location, said: &str, value: serde_json::Value) -> Result<(), Failure> {
    if location.json {
        print_json(&value);
        return Ok(());
    }
    println!("{said} Clients know it after: stage root, sign, publish.");
    // What was done is done, even if the state of the rest cannot be read.
    if let Ok(status) = location.open()?.status().await {
        status.pending.iter().for_each(tell);
    }
    Ok(())
}
