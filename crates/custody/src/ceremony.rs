//! Making an authority, its successors, and the switch between them.
//!
//! The order of every command: keys first (they are never overwritten, so that a crash costs a
//! repetition with `existing`), then certificates, then the file that makes the whole visible.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clock::SharedClock;
use keys::{Algorithm, KeyUri, Passphrase, SharedSigner};
use pki::authority::{Issuer, Purpose, Role, Template};
use pki::chain::{Chain, certificate_to_pem};
use pki::name::Subject;
use serde::Serialize;
use wire::trust::{Timestamp, TrustedRoot};

use crate::certify::{issue, request};
use crate::directory::{
    About, Format, KeyFile, chain_from_pem, json, lock, read, role, transcript, write,
};
use crate::{Directory, Error, Generation, trust};

/// Certificates begin this long before they are made, for clients whose clocks are behind.
const BACKDATE: Duration = Duration::from_secs(60);

/// A signing certificate that would end sooner is not worth its publication.
const LEAST_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

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

/// The directory while a command is at work: nobody else is.
struct Work {
    path: PathBuf,
    clock: SharedClock,
    program: String,
    _lock: std::fs::File,
}

impl Work {
    fn begin(path: &Path, clock: &SharedClock, program: &str) -> Result<Self, Error> {
        Ok(Self {
            path: path.to_owned(),
            clock: SharedClock::clone(clock),
            program: program.to_owned(),
            _lock: lock(path)?,
        })
    }

    fn note(&self, event: &str) -> Result<(), Error> {
        Ok(transcript(&self.path).append(self.clock.now_secs(), event)?)
    }

    /// The program and its version begin what each command notes.
    fn note_command(&self, command: &str) -> Result<(), Error> {
        let version = env!("CARGO_PKG_VERSION");
        self.note(&format!("{} {version}: {command}", self.program))
    }

    async fn key(&self, what: &str, new: &NewKey) -> Result<SharedSigner, Error> {
        let uri = &new.uri;
        let signer = match new.existing {
            true => keys::open(uri, new.passphrase.as_ref()).await?,
            false => keys::create(uri, new.algorithm, new.passphrase.as_ref()).await?,
        };
        if signer.algorithm() == Algorithm::Ed25519 {
            return Err(Error::Usage(format!(
                "key {uri}: it is Ed25519, with which several clients verify nothing; use ECDSA P-256 or P-384"
            )));
        }
        let version = signer
            .key_version()
            .map_or_else(String::new, |version| format!(" ({version})"));
        self.note(&format!(
            "{what} key {}: {uri}{version}, {}, public key SHA-256 {}",
            if new.existing { "taken" } else { "made" },
            signer.algorithm(),
            hex::encode(signer.public_key().key_id()),
        ))?;
        Ok(signer)
    }

    fn now(&self) -> SystemTime {
        // Certificates hold whole seconds.
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now_secs())
    }

    fn timestamp(&self) -> Result<Timestamp, Error> {
        Timestamp::from_secs(self.clock.now_secs())
            .map_err(|error| Error::Usage(format!("the clock: {error}")))
    }

    fn note_certificate(&self, what: &str, der: &[u8]) -> Result<(), Error> {
        let certificate = pki::certificate::Certificate::from_der(der).map_err(|error| {
            Error::Usage(format!(
                "a certificate that was made cannot be read: {error}"
            ))
        })?;
        let time = |at: SystemTime| {
            Timestamp::try_from(at).map_or_else(|_| "?".to_owned(), |at| at.to_string())
        };
        self.note(&format!(
            "{what} certificate: serial {}, valid {} to {}, SHA-256 {}",
            hex::encode(certificate.serial()),
            time(certificate.not_before()),
            time(certificate.not_after()),
            fingerprint(der),
        ))
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

/// A key that certifies, with its own chain.
struct Certifier {
    signer: SharedSigner,
    chain: Chain,
}

impl Certifier {
    fn new(signer: SharedSigner, chain: Chain) -> Result<Self, Error> {
        if signer.public_key().spki_der() != chain.public_key().spki_der() {
            return Err(Error::Usage(
                "the root's key is not that of its certificate: name the key and the certificate of the same authority"
                    .to_owned(),
            ));
        }
        Ok(Self { signer, chain })
    }
}

/// What a generation is before it is written down.
enum Draft {
    Certified(Chain),
    /// A DER certificate signing request.
    Requested(Vec<u8>),
}

impl Draft {
    async fn of(
        work: &Work,
        purpose: Purpose,
        subject: &Subject,
        signer: &SharedSigner,
        certifier: Option<Certifier>,
        lifetime: Duration,
    ) -> Result<Self, Error> {
        let role = role(purpose);
        let Some(Certifier {
            signer: certifier,
            chain: above,
        }) = certifier
        else {
            return Ok(Self::Requested(request(role, subject, &**signer).await?));
        };
        let (from, until) = above.validity();
        let template = Template {
            role,
            subject: subject.clone(),
            not_before: (work.now() - BACKDATE).max(from),
            not_after: (work.now() + lifetime).min(until),
        };
        if template.not_after < work.now() + LEAST_LIFETIME {
            return Err(Error::Usage(
                "the signing certificate would end within a week, as the root does or --lifetime says: give it longer, or begin a new authority with a new root"
                    .to_owned(),
            ));
        }
        let issuer = Issuer::Certificate(above.first());
        let certificate = issue(&template, signer.public_key(), issuer, &*certifier).await?;
        let above = above.certificates().map(<[u8]>::to_vec);
        Chain::from_der(std::iter::once(certificate).chain(above).collect())
            .map(Self::Certified)
            .map_err(|source| Error::Chain {
                path: "the new chain".into(),
                source,
            })
    }
}

impl Directory {
    /// Makes the key of the next generation and certifies it, or makes its request. It does not sign
    /// before [`Self::activate`].
    ///
    /// `root` is the key that certifies; without one, a request is made.
    pub async fn next(
        &self,
        key: &NewKey,
        root: Option<&NewKey>,
        lifetime: Duration,
        clock: &SharedClock,
        program: &str,
    ) -> Result<Made, Error> {
        let work = Work::begin(self.path(), clock, program)?;
        let newest = self.newest();
        let latest = self.generation(newest)?;
        let Some(chain) = latest.chain else {
            return Err(Error::Usage(format!(
                "generation {newest} still waits for its chain: `import` it before making another"
            )));
        };
        work.note_command(&format!("generation {} begun", newest + 1))?;
        let certifier = match root {
            None => None,
            Some(root) => {
                let above = chain.certificates().skip(1).map(<[u8]>::to_vec).collect();
                let above = Chain::from_der(above).map_err(|source| Error::Chain {
                    path: self.folder(newest).join("chain.pem"),
                    source,
                })?;
                let signer = work.key("certifying", root).await?;
                Some(Certifier::new(signer, above)?)
            }
        };
        let signer = work.key("signing", key).await?;
        if signer.public_key().spki_der() == latest.public_key.spki_der() {
            return Err(Error::Usage(format!(
                "{} is the key of generation {newest}: a successor needs a key of its own",
                key.uri
            )));
        }
        let number = newest + 1;
        let subject = subject(self.purpose(), &self.about().organization, number);
        let draft = Draft::of(
            &work,
            self.purpose(),
            &subject,
            &signer,
            certifier,
            lifetime,
        )
        .await?;
        self.keep(&work, number, &key.uri, signer.public_key(), draft)
    }

    /// Writes a generation down.
    fn keep(
        &self,
        work: &Work,
        number: u32,
        key: &KeyUri,
        public_key: &crypto::PublicKey,
        draft: Draft,
    ) -> Result<Made, Error> {
        let folder = self.folder(number);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let key_file = KeyFile {
            key: key.to_string(),
            public_key: public_key.to_pem(),
            made: work.timestamp()?,
        };
        write(&folder.join("key.json"), &json(&key_file))?;
        match draft {
            Draft::Certified(chain) => {
                work.note_certificate(&format!("signing, generation {number},"), chain.first())?;
                self.certified(work, number, key, public_key, &chain)
            }
            Draft::Requested(der) => {
                let path = folder.join("request.pem");
                write(&path, &request_to_pem(&der))?;
                work.note(&format!("request {number}: SHA-256 {}", fingerprint(&der)))?;
                Ok(Made {
                    request: Some(path),
                    ..made(number, key)
                })
            }
        }
    }

    /// Takes back the chain of the generation whose request waits; it is held to the profile that was
    /// asked for.
    pub fn import(&self, file: &Path, clock: &SharedClock, program: &str) -> Result<Made, Error> {
        let work = Work::begin(self.path(), clock, program)?;
        let newest = self.newest();
        let Generation {
            key,
            public_key,
            chain: None,
            ..
        } = self.generation(newest)?
        else {
            return Err(Error::Usage(
                "no request waits for a chain: `next` makes one".to_owned(),
            ));
        };
        let chain = chain_from_pem(file, &read(file)?)?;
        chain
            .check_certified(self.role(), &public_key, work.now())
            .map_err(|source| Error::Chain {
                path: file.to_owned(),
                source,
            })?;
        work.note_command(&format!("chain of generation {newest} imported"))?;
        work.note_certificate(&format!("signing, generation {newest},"), chain.first())?;
        work.note_certificate("root", chain.root())?;
        self.certified(&work, newest, &key, &public_key, &chain)
    }

    /// Keeps the chain and its entry for the trust root. The first generation signs at once: before it
    /// there is nothing that a trust root could list.
    fn certified(
        &self,
        work: &Work,
        number: u32,
        key: &KeyUri,
        public_key: &crypto::PublicKey,
        chain: &Chain,
    ) -> Result<Made, Error> {
        let folder = self.folder(number);
        let path = folder.join("chain.pem");
        chain
            .check_certified(self.role(), public_key, work.now())
            .map_err(|source| Error::Chain {
                path: path.clone(),
                source,
            })?;
        let entry = trust::entry(self.purpose(), &self.about().url, chain)?;
        let entry_path = folder.join("trust-root-entry.json");
        write(&entry_path, &json(&entry))?;
        write(&path, &chain.to_pem().concat())?;
        let first = number == 1;
        if first {
            self.point(number)?;
            work.note("generation 1 active: it is the first")?;
        }
        Ok(Made {
            chain: Some(path),
            trust_root_entry: Some(entry_path),
            certificate_sha256: Some(fingerprint(chain.first())),
            root_sha256: Some(fingerprint(chain.root())),
            active: first,
            ..made(number, key)
        })
    }

    /// Lets the newest generation that is certified (or `number`) sign, if the published trust root
    /// lists it; otherwise every client would refuse what it signs.
    pub fn activate(
        &self,
        trusted_root: &Path,
        number: Option<u32>,
        clock: &SharedClock,
        program: &str,
    ) -> Result<Made, Error> {
        let work = Work::begin(self.path(), clock, program)?;
        let newest = self.newest();
        let number = number.unwrap_or(newest);
        if !(1..=newest).contains(&number) {
            return Err(Error::Usage(format!(
                "there is no generation {number}; the newest is {newest}"
            )));
        }
        let generation = self.generation(number)?;
        let chain = generation.chain.ok_or_else(|| {
            Error::Usage(format!(
                "generation {number} still waits for its chain: `import` it"
            ))
        })?;
        let folder = self.folder(number);
        chain
            .check_certified(self.role(), &generation.public_key, work.now())
            .map_err(|source| Error::Chain {
                path: folder.join("chain.pem"),
                source,
            })?;
        let text = read(trusted_root)?;
        let root = TrustedRoot::from_json(text.as_bytes())?;
        trust::check_listed(self.purpose(), &root, &chain, work.timestamp()?).map_err(|reason| {
            Error::Unpublished(format!(
                "generation {number} cannot sign yet: {reason}, so every client would refuse what it signs. Publish {} first and wait until clients have it",
                folder.join("trust-root-entry.json").display()
            ))
        })?;
        let before = self.active()?;
        self.point(number)?;
        work.note_command(&format!(
            "generation {number} active, after {}; listed in the trust root with SHA-256 {}",
            before.map_or_else(|| "none".to_owned(), |before| before.to_string()),
            fingerprint(text.as_bytes()),
        ))?;
        Ok(Made {
            chain: Some(folder.join("chain.pem")),
            trust_root_entry: Some(folder.join("trust-root-entry.json")),
            certificate_sha256: Some(fingerprint(chain.first())),
            root_sha256: Some(fingerprint(chain.root())),
            active: true,
            ..made(number, &generation.key)
        })
    }
}

fn made(generation: u32, key: &KeyUri) -> Made {
    Made {
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

pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(crypto::sha256(bytes))
}

const fn title(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::CodeSigning => "code signing",
        Purpose::TimeStamping => "timestamping",
    }
}

/// Names tell the generations apart: some clients look for an issuer by its name.
fn subject(purpose: Purpose, organization: &str, number: u32) -> Subject {
    let name = match role(purpose) {
        Role::TimestampLeaf => title(purpose).to_owned(),
        _ => format!("{} intermediate", title(purpose)),
    };
    Subject {
        organization: organization.to_owned(),
        common_name: match number {
            1 => name,
            number => format!("{name} {number}"),
        },
    }
}

fn request_to_pem(der: &[u8]) -> String {
    certificate_to_pem(der).replace(" CERTIFICATE-----", " CERTIFICATE REQUEST-----")
}
