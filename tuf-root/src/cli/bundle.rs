//! `bundle …`: across an air gap.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use clock::{Clock as _, SystemClock};
use crypto::PublicKey;
use keys::KeyUri;
use serde_json::json;

use super::{Failure, Location, Signing, print_json, say, tell};
use crate::airgap::{Applied, Bundle, Enclave, MAX_ARCHIVE, Setup};
use crate::client::{Directory, Expiry};
use crate::metadata::{Document, Sha256};
use crate::policy::Period;
use crate::server;

/// `bundle …`
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// At the centre: write what is published to one archive, signed
    ///
    /// The key is any but a key of the repository; its public half goes to the enclave once, on a
    /// way that is trusted. A `file:` key that does not exist is made, and its public half is
    /// written beside it, with the ending .pub.
    Create {
        /// Where the repository is, and the passphrase of the key file
        #[command(flatten)]
        signing: Signing,
        /// The key that signs the archive
        #[arg(long, value_name = "URI")]
        key: KeyUri,
        /// The archive
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// In the enclave, once: make its online key and say which repository it belongs to
    ///
    /// Writes DIR/online-key.json, a claim that the centre has to import into the roles snapshot
    /// and timestamp before the first bundle is made, with `key import`.
    Init {
        /// Where the enclave's files go, and the passphrase of its key file
        #[command(flatten)]
        signing: Signing,
        /// SHA-256 of the repository's first root, told out of band
        #[arg(long, value_name = "SHA256")]
        root_checksum: Sha256,
        /// The enclave's online key; a file that does not exist is made
        #[arg(long, value_name = "URI", default_value = "file:keys/online.pem")]
        key: KeyUri,
        /// Who holds it, as the centre will see it
        #[arg(long, default_value = "enclave")]
        owner: String,
        /// How long a timestamp that is signed here is valid
        #[arg(long, value_name = "PERIOD", default_value = "30d")]
        timestamp_expiry: Period,
        /// How long a snapshot that is signed here is valid
        #[arg(long, value_name = "PERIOD", default_value = "365d")]
        snapshot_expiry: Period,
    },
    /// In the enclave: verify an archive and publish what is in it
    ///
    /// Verifies the signature, the checksums, and the repository as a strict client does that
    /// starts from the first root. Refuses what is older than what was applied before.
    Apply {
        /// Where the enclave's files are, and the passphrase of its key file
        #[command(flatten)]
        signing: Signing,
        /// The archive
        archive: PathBuf,
        /// PEM file with the public key that must have signed it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// How long root and targets must be valid for yet
        #[arg(long, value_name = "PERIOD", default_value = "7d")]
        min_validity: Period,
    },
    /// In the enclave: sign snapshot and timestamp again if they near their expiry
    Refresh(Signing),
    /// In the enclave: serve what is published over HTTP, and refresh it in time
    Serve {
        /// Where the enclave's files are, and the passphrase of its key file
        #[command(flatten)]
        signing: Signing,
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8085")]
        listen: SocketAddr,
    },
}

pub(super) async fn bundle(command: BundleCommand) -> Result<(), Failure> {
    match command {
        BundleCommand::Create { signing, key, out } => create(&signing, &key, &out).await,
        BundleCommand::Init {
            signing,
            root_checksum,
            key,
            owner,
            timestamp_expiry,
            snapshot_expiry,
        } => {
            let setup = Setup {
                first_root: root_checksum,
                key,
                owner,
                timestamp_expiry,
                snapshot_expiry,
            };
            init(&signing, &setup).await
        }
        BundleCommand::Apply {
            signing,
            archive,
            key,
            min_validity,
        } => {
            let bytes = read(&archive, MAX_ARCHIVE)?;
            let pem = String::from_utf8(read(&key, 1 << 16)?).map_err(say)?;
            let key = PublicKey::from_pem(&pem).map_err(say)?;
            let applied = open(&signing)?.apply(&bytes, &key, min_validity).await;
            print_applied(&signing.location, &applied.map_err(say)?);
            Ok(())
        }
        BundleCommand::Refresh(signing) => {
            let applied = open(&signing)?.refresh().await.map_err(say)?;
            print_applied(&signing.location, &applied);
            Ok(())
        }
        BundleCommand::Serve { signing, listen } => serve(&signing, listen).await,
    }
}

async fn create(signing: &Signing, key: &KeyUri, out: &Path) -> Result<(), Failure> {
    let passphrase = signing.passphrase()?;
    let signer = match key {
        KeyUri::File(path) if !path.exists() => {
            let algorithm = keys::Algorithm::EcdsaP256Sha256;
            keys::create(key, algorithm, passphrase.as_ref()).await
        }
        key => keys::open(key, passphrase.as_ref()).await,
    }
    .map_err(say)?;
    let dir = &signing.location.dir;
    let first = read(&dir.join("roots").join("1.root.json"), 1 << 20)?;
    let first = Document::parse(&first).map_err(say)?;
    let source = Directory {
        path: dir.join("published"),
    };
    let now = Expiry::At(SystemClock::default().now_secs());
    let bundle = Bundle::read(&source, &first, now).await.map_err(say)?;
    let archive = bundle.pack(signer.as_ref()).await.map_err(say)?;
    let public = match key {
        KeyUri::File(path) => {
            let public = path.with_extension("pub");
            write(&public, signer.public_key().to_pem().as_bytes())?;
            Some(public)
        }
        _ => None,
    };
    write(out, &archive)?;
    if signing.location.json {
        print_json(&json!({ "bundle": out, "public_key": public, "manifest": bundle.manifest }));
        return Ok(());
    }
    println!("Wrote {}:", out.display());
    for (role, facts) in &bundle.manifest.roles {
        println!(
            "  {:<9} version {:<4} expires {}",
            role.as_str(),
            facts.version,
            facts.expires
        );
    }
    tell("Carry it to the enclave, then: `tuf-root bundle apply --key PUBLIC.pem BUNDLE`");
    Ok(())
}

async fn init(signing: &Signing, setup: &Setup) -> Result<(), Failure> {
    let dir = &signing.location.dir;
    let passphrase = signing.passphrase()?;
    let (_, claim) = Enclave::init(dir, setup, passphrase, SystemClock::shared())
        .await
        .map_err(say)?;
    let path = dir.join("online-key.json");
    let mut json = serde_json::to_vec_pretty(&claim).map_err(say)?;
    json.push(b'\n');
    write(&path, &json)?;
    match signing.location.json {
        true => print_json(&json!({ "dir": dir, "claim": path })),
        false => tell(format_args!(
            "Prepared {}. Next, at the centre: `tuf-root key import --role snapshot --role timestamp {}`",
            dir.display(),
            path.display()
        )),
    }
    Ok(())
}

async fn serve(signing: &Signing, listen: SocketAddr) -> Result<(), Failure> {
    serve::logging::init(serve::logging::Format::detect(), "info");
    let enclave = open(signing)?;
    let router = server::router(enclave.published_dir(), SystemClock::shared());
    let stop = serve::stop_on_signals().map_err(say)?;
    let listener = serve::listen(listen).await.map_err(say)?;
    let address = listener.local_addr().map_err(say)?;
    match signing.location.json {
        true => print_json(&json!({ "listening": format!("http://{address}") })),
        false => println!(
            "Serving {} on http://{address}",
            enclave.published_dir().display()
        ),
    }
    let limits = serve::Limits::default();
    let served = serve::serve("tuf", listener, router, None, limits, stop.clone());
    let (served, ()) = tokio::join!(served, enclave.run(stop));
    served.map_err(say)
}

fn open(signing: &Signing) -> Result<Enclave, Failure> {
    let dir = &signing.location.dir;
    Enclave::open(dir, signing.passphrase()?, SystemClock::shared()).map_err(say)
}

fn print_applied(location: &Location, applied: &Applied) {
    if location.json {
        print_json(&json!(applied));
        return;
    }
    for (role, version) in &applied.published {
        println!("{role}: version {version}");
    }
    if applied.published.is_empty() {
        println!("Nothing to do: what is published is current.");
    }
    for warning in &applied.warnings {
        eprintln!("warning: {warning}");
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let fail = |e: std::io::Error| say(format_args!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        true => Ok(bytes),
        false => Err(format!("{}: longer than {limit} bytes", path.display()).into()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| say(format_args!("{}: {e}", path.display())))
}
