//! The archive: which files sign, and whether the digests hold.
//!
//! ```text
//! META-INF/X.RSA (.EC)   signature over X.SF
//! META-INF/X.SF          digests of the manifest, or of each of its sections
//! META-INF/MANIFEST.MF   digests of the files
//! ```

use std::io::{Cursor, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::HashAlgorithm;
use zip::ZipArchive;

use super::manifest::{Attributes, Manifest, ManifestError};

/// Most files of an archive.
const MAX_FILES: usize = 20_000;

/// Most bytes that all files of an archive unpack to.
const MAX_UNPACKED: u64 = 512 << 20;

/// Start of a record of the central directory.
const CENTRAL_RECORD: &[u8] = b"PK\x01\x02";

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum JarError {
    /// Not a ZIP archive, or one with features that Java does not have.
    #[error("zip: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// A file cannot be unpacked.
    #[error("reading archive: {0}")]
    Read(#[from] std::io::Error),
    /// Too many files.
    #[error("archive has too many files")]
    TooManyFiles,
    /// Metadata are longer than what may be read.
    #[error("uncompressed jar metadata exceeds max allowed size {0}")]
    Metadata(usize),
    /// Files are longer than what may be read.
    #[error("archive unpacks to more than {MAX_UNPACKED} bytes")]
    Unpacked,
    /// No manifest.
    #[error("JAR contains no META-INF/MANIFEST.MF")]
    NoManifest,
    /// Nobody signed.
    #[error("no signatures detected in JAR archive")]
    NotSigned,
    /// More than one signer.
    #[error("multiple signatures detected in JAR; unable to process")]
    ManySigners,
    /// A signature file that nobody signed.
    #[error("JAR contains sigfile META-INF/{0}.SF with no matching signature")]
    NoBlock(String),
    /// A manifest that cannot be read, or does not match.
    #[error("{part}: {source}")]
    Manifest {
        /// Which.
        part: String,
        /// What is wrong.
        source: ManifestError,
    },
    /// A file that should be there.
    #[error("file {0} is in manifest but not JAR")]
    NoFile(String),
    /// A section that should be there.
    #[error("manifest is missing signed section {0:?}")]
    NoSection(String),
}

/// An archive that is being verified.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    manifest: Vec<u8>,
}

/// What the one signer left.
pub(super) struct Signature {
    /// The signature file.
    pub(super) file: Vec<u8>,
    /// DER signed data over it.
    pub(super) block: Vec<u8>,
}

impl<'a> Archive<'a> {
    /// Opens an archive and reads its metadata, of which each file may be `most` bytes long.
    pub(super) fn open(bytes: &'a [u8], most: usize) -> Result<(Self, Signature), JarError> {
        // The reader allocates for each record that it finds, a multiple of the record's length.
        let records = bytes
            .windows(CENTRAL_RECORD.len())
            .filter(|window| *window == CENTRAL_RECORD)
            .take(MAX_FILES + 1)
            .count();
        if records > MAX_FILES {
            return Err(JarError::TooManyFiles);
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes))?;
        let mut manifest = None;
        let mut files = Vec::new();
        let mut blocks = Vec::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index)?;
            let Some(name) = metadata_name(file.name_raw()) else {
                continue;
            };
            let Some((base, extension)) = name.rsplit_once('.') else {
                continue;
            };
            let list = match extension {
                _ if name == "MANIFEST.MF" => None,
                "SF" => Some(&mut files),
                "RSA" | "DSA" | "EC" => Some(&mut blocks),
                _ if name.starts_with("SIG-") => Some(&mut blocks),
                _ => continue,
            };
            if list.as_ref().is_some_and(|list| !list.is_empty()) {
                return Err(JarError::ManySigners);
            }
            let mut content = Vec::new();
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            file.by_ref().take(limit).read_to_end(&mut content)?;
            if content.len() > most {
                return Err(JarError::Metadata(most));
            }
            match list {
                Some(list) => list.push((base.to_owned(), content)),
                None => manifest = Some(content),
            }
        }
        let manifest = manifest.ok_or(JarError::NoManifest)?;
        let (base, file) = files.pop().ok_or(JarError::NotSigned)?;
        let block = blocks
            .pop()
            .filter(|(name, _)| *name == base)
            .map(|(_, block)| block)
            .ok_or(JarError::NoBlock(base))?;
        Ok((Self { zip, manifest }, Signature { file, block }))
    }

    /// Verifies that the signature file has the manifest's digests and the manifest the files'.
    /// To be called once.
    pub(super) fn verify_digests(&mut self, signature_file: &[u8]) -> Result<(), JarError> {
        let parse = |bytes, part: &str| {
            Manifest::parse(bytes).map_err(|source| JarError::Manifest {
                part: part.to_owned(),
                source,
            })
        };
        let bytes = std::mem::take(&mut self.manifest);
        let manifest = parse(&bytes, "MANIFEST.MF")?;
        let signed = parse(signature_file, "signature file")?;
        verify_manifest(&signed, &manifest, &bytes)?;
        let mut unpacked = 0;
        for (name, section) in &manifest.files {
            if section.attributes.get("magic").is_some() {
                continue;
            }
            let wrong = |source| JarError::Manifest {
                part: format!("file {name:?} in MANIFEST.MF"),
                source,
            };
            let digests = section.attributes.digests("").map_err(wrong)?;
            let found = match self.zip.by_name(name) {
                Ok(mut file) => hash(&mut file, &digests, &mut unpacked)?,
                Err(zip::result::ZipError::FileNotFound) => {
                    return Err(JarError::NoFile(name.clone()));
                }
                Err(error) => return Err(error.into()),
            };
            for ((algorithm, stated), computed) in digests.iter().zip(found) {
                if *stated != STANDARD.encode(computed) {
                    return Err(wrong(ManifestError::Mismatch(format!("{algorithm:?}"))));
                }
            }
        }
        Ok(())
    }
}

/// The name below `META-INF/`, in upper case; `None` for other files.
fn metadata_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?.to_uppercase();
    let name = name.strip_prefix("META-INF/")?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// The signature file has a digest of the whole manifest, or of each of its sections.
fn verify_manifest(
    signed: &Manifest<'_>,
    manifest: &Manifest<'_>,
    bytes: &[u8],
) -> Result<(), JarError> {
    let wrong = |part: &str, source| JarError::Manifest {
        part: part.to_owned(),
        source,
    };
    let main: &Attributes = &signed.main.attributes;
    match main.check("-manifest", bytes) {
        Ok(()) => return Ok(()),
        Err(ManifestError::NoDigest | ManifestError::Mismatch(_)) => {}
        Err(source) => return Err(wrong("manifest signature", source)),
    }
    main.check("-manifest-main-attributes", manifest.main.bytes)
        .map_err(|source| wrong("manifest main attributes signature", source))?;
    // Files that the signature does not speak of are not signed; every file in the manifest must
    // be, or else one could be added.
    for (name, section) in &manifest.files {
        let signature = signed
            .files
            .get(name)
            .ok_or_else(|| JarError::NoSection(name.clone()))?;
        signature
            .attributes
            .check("", section.bytes)
            .map_err(|source| {
                wrong(&format!("manifest signature over section {name:?}"), source)
            })?;
    }
    match signed
        .files
        .keys()
        .find(|name| !manifest.files.contains_key(*name))
    {
        Some(name) => Err(JarError::NoSection(name.clone())),
        None => Ok(()),
    }
}

/// Digests of a file, unpacked piece by piece.
fn hash(
    file: &mut impl Read,
    digests: &[(HashAlgorithm, &str)],
    unpacked: &mut u64,
) -> Result<Vec<Vec<u8>>, JarError> {
    let mut hashers: Vec<crypto::Hasher> = digests
        .iter()
        .map(|(algorithm, _)| algorithm.hasher())
        .collect();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut piece)?;
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        *unpacked += u64::try_from(read.len()).unwrap_or(u64::MAX);
        if *unpacked > MAX_UNPACKED {
            return Err(JarError::Unpacked);
        }
        hashers.iter_mut().for_each(|hasher| hasher.update(read));
    }
    Ok(hashers
        .into_iter()
        .map(|hasher| hasher.finish().as_bytes().to_vec())
        .collect())
}
