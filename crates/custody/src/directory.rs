//! The directory of an authority: what is where, and how it is read.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use keys::{KeyUri, durable};
use pki::authority::{Purpose, Role};
use pki::chain::Chain;
use serde::{Deserialize, Serialize};
use wire::trust::Timestamp;

use crate::{Error, Transcript};

/// Longest file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// Most generations: with one a year, more than anybody will see.
const MAX_GENERATIONS: u32 = 1000;

/// The directory of an authority.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    about: About,
}

/// `authority.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct About {
    pub(crate) format: Format,
    pub(crate) purpose: PurposeName,
    pub(crate) organization: String,
    /// Where clients reach the service.
    pub(crate) url: String,
    /// The key that signs signing certificates, if it is within reach of these commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root_key: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Format {
    #[serde(rename = "sigkeep-authority-v1")]
    V1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PurposeName {
    CodeSigning,
    TimeStamping,
}

impl From<Purpose> for PurposeName {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::CodeSigning => Self::CodeSigning,
            Purpose::TimeStamping => Self::TimeStamping,
        }
    }
}

/// `N/key.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeyFile {
    pub(crate) key: String,
    /// PEM.
    pub(crate) public_key: String,
    pub(crate) made: Timestamp,
}

/// One key of an authority, with its certificates as soon as it has them.
#[derive(Clone, Debug)]
pub struct Generation {
    /// 1 for the first.
    pub number: u32,
    /// Where the key is.
    pub key: KeyUri,
    /// Its public half.
    pub public_key: crypto::PublicKey,
    /// Signing certificate first, root last; none while the request waits.
    pub chain: Option<Chain>,
}

impl Directory {
    /// Opens the authority in `path`, which must be one for `purpose`.
    pub fn open(path: &Path, purpose: Purpose) -> Result<Self, Error> {
        let file = path.join("authority.json");
        let text = match read(&file) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::None(path.to_owned()));
            }
            other => other?,
        };
        let about: About = parse(&file, &text)?;
        if about.purpose != purpose.into() {
            return Err(Error::Malformed {
                path: file,
                reason: format!(
                    "it is an authority for {}",
                    match about.purpose {
                        PurposeName::CodeSigning => "code signing: use fulcio-rs",
                        PurposeName::TimeStamping => "timestamps: use timestamp-rs",
                    }
                ),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            about,
        })
    }

    /// Writes `authority.json`, where none may be.
    pub(crate) fn found(path: &Path, about: About) -> Result<Self, Error> {
        let file = path.join("authority.json");
        write(&file, &json(&about))?;
        Ok(Self {
            path: path.to_owned(),
            about,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match self.about.purpose {
            PurposeName::CodeSigning => Purpose::CodeSigning,
            PurposeName::TimeStamping => Purpose::TimeStamping,
        }
    }

    /// The place of its signing certificates in the hierarchy.
    pub(crate) fn role(&self) -> Role {
        role(self.purpose())
    }

    /// What was done, for the auditor.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        transcript(&self.path)
    }

    /// The folder of a generation.
    pub(crate) fn folder(&self, number: u32) -> PathBuf {
        self.path.join(number.to_string())
    }

    /// The number of the newest generation; 0 without any. They are numbered without gaps.
    pub(crate) fn newest(&self) -> u32 {
        (1..=MAX_GENERATIONS)
            .take_while(|number| self.folder(*number).join("key.json").exists())
            .last()
            .unwrap_or(0)
    }

    /// Reads a generation; its chain is checked for signatures, names and this key.
    pub fn generation(&self, number: u32) -> Result<Generation, Error> {
        let file = self.folder(number).join("key.json");
        let text = read(&file)?;
        let KeyFile {
            key, public_key, ..
        } = parse(&file, &text)?;
        let malformed = |reason: String| Error::Malformed {
            path: file.clone(),
            reason,
        };
        let key = key
            .parse()
            .map_err(|error: keys::KeyUriError| malformed(error.to_string()))?;
        let public_key = crypto::PublicKey::from_pem(&public_key)
            .map_err(|error| malformed(error.to_string()))?;
        let path = self.folder(number).join("chain.pem");
        let chain = match read(&path) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(chain_from_pem(&path, &other?)?),
        };
        if chain
            .as_ref()
            .is_some_and(|chain| chain.public_key().spki_der() != public_key.spki_der())
        {
            return Err(Error::Malformed {
                path,
                reason: "it certifies another key than that of key.json".to_owned(),
            });
        }
        Ok(Generation {
            number,
            key,
            public_key,
            chain,
        })
    }

    /// The number of the generation that signs, if any does.
    pub fn active(&self) -> Result<Option<u32>, Error> {
        let link = self.path.join("active");
        let target = match std::fs::read_link(&link) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(&link))?,
        };
        let number = target
            .to_str()
            .and_then(|name| name.parse().ok())
            .filter(|number| (1..=MAX_GENERATIONS).contains(number));
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Error::Malformed {
                path: link,
                reason: "it must be a symbolic link to a generation's folder, such as 1".to_owned(),
            }),
        }
    }

    /// Lets `number` sign from now on, in one step that services see whole.
    pub(crate) fn point(&self, number: u32) -> Result<(), Error> {
        let (link, new) = (self.path.join("active"), self.path.join(".active.new"));
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(&new)(error));
            }
            // Left behind by a crash, or not there.
            _ => {}
        }
        std::os::unix::fs::symlink(number.to_string(), &new).map_err(Error::io(&new))?;
        std::fs::rename(&new, &link)
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(Error::io(&link))
    }
}

/// Keeps other commands out until it is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(Error::io(&file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(Error::Busy(path.to_owned())),
    }
}

pub(crate) fn transcript(path: &Path) -> Transcript {
    Transcript::at(path.join("transcript.txt"))
}

/// The place of an authority's signing certificates in the hierarchy.
pub(crate) const fn role(purpose: Purpose) -> Role {
    match purpose {
        Purpose::CodeSigning => Role::Intermediate { purpose },
        Purpose::TimeStamping => Role::TimestampLeaf,
    }
}

/// The text of a file of bounded length.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let length = File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(Error::io(path))?;
    if length as u64 > MAX_FILE {
        return Err(Error::Malformed {
            path: path.to_owned(),
            reason: format!("longer than {MAX_FILE} bytes"),
        });
    }
    Ok(text)
}

/// Writes a file that must not exist.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    durable::create_public(path, text.as_bytes()).map_err(Error::io(path))
}

pub(crate) fn json<T: Serialize>(document: &T) -> String {
    // Strings and numbers: there is nothing that serde_json could refuse.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

fn parse<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

pub(crate) fn chain_from_pem(path: &Path, pem: &str) -> Result<Chain, Error> {
    Chain::from_pem(pem).map_err(|source| Error::Chain {
        path: path.to_owned(),
        source,
    })
}
