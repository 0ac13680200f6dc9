//! `payload`, `sign`, `signature`: signatures that are made elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use clock::{Clock as _, SystemClock};
use keys::KeyUri;
use serde_json::json;

use super::stage::{StagedRole, show};
use super::{Failure, Location, print_json, say, tell};
use crate::ceremony::{Answer, Limits, Record, Request};
use crate::metadata::Key;
use crate::policy::Period;

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// `payload …`
#[derive(Debug, Subcommand)]
pub enum PayloadCommand {
    /// Write what is staged, with all that is needed to judge it, to a file
    Export {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Which document
        #[arg(value_enum)]
        role: StagedRole,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// `signature …`
#[derive(Debug, Subcommand)]
pub enum SignatureCommand {
    /// Verify signatures and add them to what is staged
    Import {
        /// Where the repository is
        #[command(flatten)]
        location: Location,
        /// Files that `sign` wrote
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Options of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// Files that `payload export` wrote
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The key to sign with
    #[arg(long, value_name = "URI")]
    pub key: KeyUri,
    /// File with the passphrase of the key file
    #[arg(long, value_name = "FILE", env = "TUF_ROOT_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Directory for the signatures
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// What this machine has signed; by default signed.json in ~/.local/state/tuf-root
    #[arg(long, value_name = "FILE", env = "TUF_ROOT_RECORD")]
    pub record: Option<PathBuf>,
    /// Longest validity to sign
    #[arg(long, value_name = "PERIOD", default_value = "400d")]
    pub max_expiry: Period,
    /// Sign although this key signed another document of this version, which was abandoned
    #[arg(long)]
    pub replace: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Print JSON instead of text
    #[arg(long, requires = "yes")]
    pub json: bool,
}

pub(super) async fn payload(command: PayloadCommand) -> Result<(), Failure> {
    let PayloadCommand::Export {
        location,
        role,
        out,
    } = command;
    let request = location.open()?.request(role.into()).await.map_err(say)?;
    write(&out, &request.to_json().map_err(say)?)?;
    match location.json {
        true => print_json(&json!({ "file": out, "sha256": request.sha256 })),
        false => {
            show(&request);
            tell(format_args!(
                "Wrote {0}. Next, where a key is: `tuf-root sign {0} --key URI`",
                out.display()
            ));
        }
    }
    Ok(())
}

pub(super) async fn sign(args: Sign) -> Result<(), Failure> {
    let passphrase = args.passphrase_file.as_deref();
    let passphrase = passphrase.map(keys::Passphrase::from_file).transpose();
    let passphrase = passphrase.map_err(say)?;
    if let KeyUri::File(path) = &args.key
        && !path.exists()
    {
        let path = path.display();
        return Err(say(format_args!(
            "there is no key file {path}: name the one that the claim was made with"
        )));
    }
    let signer = keys::open(&args.key, passphrase.as_ref()).await;
    let signer = signer.map_err(|error| match passphrase {
        None if matches!(args.key, KeyUri::File(_)) => say(format_args!(
            "{error}. A key file is opened with the passphrase in the file that --passphrase-file names"
        )),
        _ => say(error),
    })?;
    let key = Key::new(signer.public_key().clone()).map_err(say)?;
    let path = match (&args.record, std::env::var_os("HOME")) {
        (Some(path), _) => path.clone(),
        (None, Some(home)) => Path::new(&home).join(".local/state/tuf-root/signed.json"),
        (None, None) => return Err("say with --record where to note what is signed".into()),
    };
    let mut record = Record::open(&path).map_err(say)?;
    let limits = Limits {
        now_secs: SystemClock::default().now_secs(),
        max_expiry: args.max_expiry,
        replace: args.replace,
    };
    let made = std::fs::create_dir_all(&args.out);
    made.map_err(|e| say(format_args!("{}: {e}", args.out.display())))?;
    let mut written = Vec::new();
    for file in &args.files {
        let name = |e: &dyn std::fmt::Display| say(format_args!("{}: {e}", file.display()));
        let (request, proposal) = Request::read(&read(file)?).map_err(|e| name(&e))?;
        let reviewed = record.review(&request, &proposal, &key, limits);
        reviewed.map_err(|e| name(&e))?;
        if !args.json {
            show(&request);
        }
        if !args.yes && !confirmed()? {
            let done = written.len();
            return Err(name(&format_args!(
                "not signed, nor what comes after it; {done} signatures were written"
            )));
        }
        // Noted first: what left the machine is never forgotten.
        record.note(&request, key.id()).map_err(say)?;
        let signature = signer.sign(request.payload()).await.map_err(say)?;
        if !key.verifies(request.payload(), &signature) {
            return Err(say(keys::SignError::BadSignature));
        }
        let short: String = key.id().to_string().chars().take(8).collect();
        let out = format!(
            "{}-{}.{short}.signature.json",
            request.role, request.version
        );
        let out = args.out.join(out);
        let answer = Answer::to(&request, key.id(), signature);
        write(&out, &answer.to_json().map_err(say)?)?;
        if !args.json {
            tell(format_args!(
                "Wrote {0}. Next, at the repository: `tuf-root signature import {0}`",
                out.display()
            ));
        }
        written.push(out);
    }
    if args.json {
        print_json(&json!({ "files": written, "keyid": key.id() }));
    }
    Ok(())
}

pub(super) async fn signature(command: SignatureCommand) -> Result<(), Failure> {
    let SignatureCommand::Import { location, files } = command;
    let repository = location.open()?;
    let mut progress = Vec::new();
    for file in &files {
        let name = |e: &dyn std::fmt::Display| say(format_args!("{}: {e}", file.display()));
        let answer = Answer::read(&read(file)?).map_err(|e| name(&e))?;
        let imported = repository.import_signature(&answer).await;
        progress.push(imported.map_err(|e| name(&e))?);
    }
    if location.json {
        print_json(&json!({ "staged": progress }));
        return Ok(());
    }
    for p in progress {
        for q in &p.quorums {
            println!(
                "{} version {}: {} of {}",
                p.role,
                p.version,
                q.signed.len(),
                q.threshold
            );
        }
        if p.complete {
            tell(format_args!(
                "{} has its signatures. Next: `tuf-root publish --dir {}`",
                p.role,
                location.dir.display()
            ));
        }
    }
    Ok(())
}

/// Asks at the terminal.
fn confirmed() -> Result<bool, Failure> {
    print!("Sign this? Write yes: ");
    std::io::stdout().flush().map_err(say)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(say)?;
    Ok(answer.trim() == "yes")
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |e: &dyn std::fmt::Display| say(format_args!("{}: {e}", file.display()));
    let length = std::fs::metadata(file).map_err(|e| fail(&e))?.len();
    match length <= MAX_FILE {
        true => std::fs::read(file).map_err(|e| fail(&e)),
        false => Err(fail(&"longer than 16 MiB")),
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    crate::repository::put_file(file, bytes)
        .map_err(|e| say(format_args!("{}: {e}", file.display())))
}
