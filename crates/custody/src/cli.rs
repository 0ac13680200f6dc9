//! The commands of an authority: `fulcio-rs ca …`, `timestamp-rs chain …`.

mod arguments;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clock::{SharedClock, SystemClock};
use keys::{Algorithm, KeyUri, Passphrase};
use pki::authority::Purpose;
use wire::trust::{Timestamp, TrustedRoot};

pub use arguments::{
    Activate, Command, Import, Init, KeyAlgorithm, Next, Show, SigningKey, Status,
};

use crate::{Begin, Directory, Error, Made, NewKey, Root};

/// A check failed, or something is due.
const FAILED: u8 = 1;
/// Wrong usage or configuration.
const WRONG: u8 = 2;

const DAY: Duration = Duration::from_secs(86_400);

/// Which authority, by which program.
#[derive(Clone, Debug)]
struct Context {
    purpose: Purpose,
    program: &'static str,
    clock: SharedClock,
}

/// What [`SigningKey`] says.
struct Keys {
    key: NewKey,
    root_passphrase: Option<Passphrase>,
    lifetime: Duration,
}

/// Runs a command. `program` is how it was called: it is in the transcript. Exit codes: 0 done, 1 a
/// check failed or something is due, 2 wrong usage.
pub async fn run(command: Command, purpose: Purpose, program: &'static str) -> ExitCode {
    let context = Context {
        purpose,
        program,
        clock: SystemClock::shared(),
    };
    let done = match command {
        Command::Init(arguments) => context.init(*arguments).await,
        Command::Import(arguments) => context.import(&arguments),
        Command::Next(arguments) => context.next(*arguments).await,
        Command::Activate(arguments) => context.activate(&arguments),
        Command::Status(arguments) => context.status(&arguments),
        Command::Transcript(arguments) => context.transcript(&arguments.directory),
    };
    done.unwrap_or_else(|error| {
        show::error(&error);
        ExitCode::from(if error.is_failure() { FAILED } else { WRONG })
    })
}

impl Context {
    async fn init(&self, arguments: Init) -> Result<ExitCode, Error> {
        let directory = &arguments.directory;
        let Keys {
            key,
            root_passphrase,
            lifetime,
        } = self.keys(arguments.signing, &directory.join("1"))?;
        let root_key = NewKey {
            uri: match arguments.root_key {
                Some(uri) => key_uri(&uri)?,
                None => absolute(KeyUri::file(directory.join("root-key.pem")))?,
            },
            algorithm: arguments.root_algorithm.into(),
            existing: arguments.use_existing_root_key || arguments.root_certificate.is_some(),
            passphrase: root_passphrase,
        };
        let offline = root_key.uri.clone();
        let root = match (&arguments.root_certificate, arguments.root_elsewhere) {
            (_, true) => Root::Elsewhere,
            (Some(certificate), false) => Root::Existing {
                chain: crate::directory::read(certificate)?,
                key: root_key,
            },
            (None, false) => Root::New {
                key: root_key,
                lifetime: DAY * arguments.root_lifetime,
            },
        };
        let is_new = matches!(root, Root::New { .. });
        let begin = Begin {
            purpose: self.purpose,
            organization: arguments.organization,
            url: arguments.url,
            key,
            root,
            lifetime,
        };
        let made = begin.run(directory, &self.clock, self.program).await?;
        show::made(&made, arguments.json);
        if let KeyUri::File(path) = offline
            && is_new
            && !arguments.json
        {
            show::line(&format!(
                "Take {} offline now: the service does not need it.",
                path.display()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn next(&self, arguments: Next) -> Result<ExitCode, Error> {
        let directory = Directory::open(&arguments.directory, self.purpose)?;
        let folder = directory.folder(directory.newest() + 1);
        let Keys {
            key,
            root_passphrase,
            lifetime,
        } = self.keys(arguments.signing, &folder)?;
        let root = match (&arguments.root_key, &directory.about().root_key) {
            _ if arguments.request => None,
            (Some(uri), _) | (None, Some(uri)) => Some(NewKey {
                uri: key_uri(uri)?,
                algorithm: Algorithm::EcdsaP384Sha384,
                existing: true,
                passphrase: root_passphrase,
            }),
            (None, None) => None,
        };
        let made = directory
            .next(&key, root.as_ref(), lifetime, &self.clock, self.program)
            .await?;
        self.show(&made, arguments.json)
    }

    /// The key that the options name, by default a file in `folder`, which is then made.
    fn keys(&self, options: SigningKey, folder: &Path) -> Result<Keys, Error> {
        let passphrase = passphrase(options.passphrase_file.as_deref())?;
        let root_passphrase = match &options.root_passphrase_file {
            Some(file) => self::passphrase(Some(file))?,
            None => passphrase.clone(),
        };
        let uri = match options.key {
            Some(uri) => key_uri(&uri)?,
            None => {
                std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
                absolute(KeyUri::file(folder.join("key.pem")))?
            }
        };
        Ok(Keys {
            key: NewKey {
                uri,
                algorithm: options.algorithm.into(),
                existing: options.use_existing_key,
                passphrase,
            },
            root_passphrase,
            lifetime: self.lifetime(options.lifetime),
        })
    }

    fn import(&self, arguments: &Import) -> Result<ExitCode, Error> {
        let directory = Directory::open(&arguments.directory, self.purpose)?;
        let made = directory.import(&arguments.chain, &self.clock, self.program)?;
        self.show(&made, arguments.json)
    }

    fn activate(&self, arguments: &Activate) -> Result<ExitCode, Error> {
        let directory = Directory::open(&arguments.directory, self.purpose)?;
        let made = directory.activate(
            &arguments.trusted_root,
            arguments.generation,
            &self.clock,
            self.program,
        )?;
        self.show(&made, arguments.json)
    }

    fn status(&self, arguments: &Status) -> Result<ExitCode, Error> {
        let directory = Directory::open(&arguments.directory, self.purpose)?;
        let trusted_root = match &arguments.trusted_root {
            Some(path) => Some(TrustedRoot::from_json(
                crate::directory::read(path)?.as_bytes(),
            )?),
            None => None,
        };
        let now = Timestamp::from_secs(self.clock.now_secs())
            .map_err(|error| Error::Usage(format!("the clock: {error}")))?;
        let within = DAY * arguments.within;
        let status = crate::Status::of(&directory, trusted_root.as_ref(), within, now)?;
        show::status(&status, arguments.json);
        Ok(ExitCode::from(match status.due.is_empty() {
            true => 0,
            false => FAILED,
        }))
    }

    fn transcript(&self, directory: &Path) -> Result<ExitCode, Error> {
        show::text(
            &Directory::open(directory, self.purpose)?
                .transcript()
                .read()?,
        );
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, made: &Made, json: bool) -> Result<ExitCode, Error> {
        show::made(made, json);
        Ok(ExitCode::SUCCESS)
    }

    /// Three years for what issues; ten for a timestamping certificate, which is as hard to replace as
    /// a root because clients pin it.
    fn lifetime(&self, days: Option<u32>) -> Duration {
        let default = match self.purpose {
            Purpose::CodeSigning => 1095,
            Purpose::TimeStamping => 3650,
        };
        DAY * days.unwrap_or(default)
    }
}

fn passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Error> {
    file.map(Passphrase::from_file)
        .transpose()
        .map_err(|error| Error::Usage(error.to_string()))
}

/// The URI of a key, which the directory keeps: paths become absolute, since a service may run in
/// another folder.
fn key_uri(text: &str) -> Result<KeyUri, Error> {
    text.parse()
        .map_err(|error: keys::KeyUriError| Error::Usage(error.to_string()))
        .and_then(absolute)
}

fn absolute(uri: KeyUri) -> Result<KeyUri, Error> {
    let full = |path: PathBuf| std::path::absolute(&path).map_err(Error::io(&path));
    Ok(match uri {
        KeyUri::File(path) => KeyUri::File(full(path)?),
        KeyUri::Wrapped(mut wrapped) => {
            wrapped.path = full(wrapped.path)?;
            KeyUri::Wrapped(wrapped)
        }
        other => other,
    })
}
