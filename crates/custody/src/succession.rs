//! The successor: made, published, and only then used.

use std::path::Path;
use std::time::Duration;

use clock::SharedClock;
use keys::KeyUri;
use pki::chain::{Chain, certificate_to_pem};
use wire::trust::TrustedRoot;

use crate::directory::{KeyFile, chain_from_pem, json, read, write};
use crate::draft::{Certifier, Draft, subject};
use crate::work::{Work, fingerprint};
use crate::{Directory, Error, Generation, Made, NewKey, trust};

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
    pub(crate) fn keep(
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
                    ..Made::key(number, key)
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
            ..Made::key(number, key)
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
            ..Made::key(number, &generation.key)
        })
    }
}

fn request_to_pem(der: &[u8]) -> String {
    certificate_to_pem(der).replace(" CERTIFICATE-----", " CERTIFICATE REQUEST-----")
}
