//! The file: three gzip members, each a part of a tar archive.
//!
//! ```text
//! signature.tar.gz  .SIGN.RSA.<key>.rsa.pub: signature over the bytes of control.tar.gz
//! control.tar.gz    .PKGINFO: …, datahash = SHA-256 of the bytes of data.tar.gz
//! data.tar.gz
//! ```

use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::GzDecoder;

use super::pkginfo;
use crate::pem;

/// Most files in the signature and control members.
const MAX_FILES: usize = 256;

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApkError {
    /// A member is not gzip.
    #[error("reading {member}: {source}")]
    Gzip {
        /// Which.
        member: &'static str,
        /// What is wrong.
        source: std::io::Error,
    },
    /// A member unpacks to more than what may be read.
    #[error("decompressed size of {member} exceeds max allowed size {most}")]
    TooLong {
        /// Which.
        member: &'static str,
        /// The bound, in bytes.
        most: usize,
    },
    /// A member is not a tar archive.
    #[error("getting next entry in tar archive: {0}")]
    Tar(std::io::Error),
    /// Far more files than packages have here.
    #[error("too many files in package metadata")]
    TooManyFiles,
    /// Nobody signed.
    #[error("no signature detected in alpine package")]
    NoSignature,
    /// No description.
    #[error(".PKGINFO file was not located")]
    NoPkginfo,
    /// The description cannot be read.
    #[error("parsing .PKGINFO: {0}")]
    Pkginfo(#[from] pkginfo::PkginfoError),
    /// `datahash` is absent or malformed.
    #[error("parsing datahash")]
    Datahash,
    /// Other data than the description says.
    #[error("checksum for data.tar.gz ({computed}) does not match value from .PKGINFO ({stated})")]
    Checksum {
        /// Of the data.
        computed: String,
        /// In the description.
        stated: String,
    },
}

/// What there is to verify.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// Over [`Self::control`].
    pub(super) signature: Vec<u8>,
    /// The control member, compressed as it is.
    pub(super) control: &'a [u8],
    /// The description.
    pub(super) pkginfo: BTreeMap<String, String>,
}

impl<'a> Package<'a> {
    /// Parses a package and compares its data with the description. Of signature and control
    /// member at most `most` bytes each are unpacked; the data stays packed.
    pub(super) fn parse(file: &'a [u8], most: usize) -> Result<Self, ApkError> {
        let (signature_tar, rest) = unpack(file, "signature.tar.gz", most)?;
        let (control_tar, data) = unpack(rest, "control.tar.gz", most)?;
        let control = rest.get(..rest.len() - data.len()).unwrap_or_default();
        let signature = find(&signature_tar, |name| name.starts_with(b".SIGN"), false)?
            .ok_or(ApkError::NoSignature)?;
        let signature = match pem::first_block(&pem::text(&signature)) {
            Some((block, _)) => block.der,
            None => signature,
        };
        let pkginfo =
            find(&control_tar, |name| name == b".PKGINFO", true)?.ok_or(ApkError::NoPkginfo)?;
        let pkginfo = pkginfo::parse(&pkginfo)?;
        let stated = pkginfo
            .get("datahash")
            .and_then(|digits| hex::decode(digits).ok())
            .ok_or(ApkError::Datahash)?;
        let computed = crypto::sha256(data);
        if stated != computed {
            return Err(ApkError::Checksum {
                computed: hex::encode(computed),
                stated: hex::encode(stated),
            });
        }
        Ok(Self {
            signature,
            control,
            pkginfo,
        })
    }
}

/// Unpacks the first member; also returns what follows it.
fn unpack<'a>(
    file: &'a [u8],
    member: &'static str,
    most: usize,
) -> Result<(Vec<u8>, &'a [u8]), ApkError> {
    let mut decoder = GzDecoder::new(file);
    let mut unpacked = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .by_ref()
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|source| ApkError::Gzip { member, source })?;
    match unpacked.len() > most {
        true => Err(ApkError::TooLong { member, most }),
        false => Ok((unpacked, decoder.into_inner())),
    }
}

/// The first or the last file with such a name.
fn find(
    archive: &[u8],
    wanted: impl Fn(&[u8]) -> bool,
    last: bool,
) -> Result<Option<Vec<u8>>, ApkError> {
    let mut found = None;
    // The members are cut out of one archive, so that the end marks are missing; the reader takes
    // the end of the bytes for the end.
    let mut archive = tar::Archive::new(archive);
    for (count, entry) in archive.entries().map_err(ApkError::Tar)?.enumerate() {
        if count == MAX_FILES {
            return Err(ApkError::TooManyFiles);
        }
        let mut entry = entry.map_err(ApkError::Tar)?;
        if wanted(&entry.path_bytes()) && (last || found.is_none()) {
            // No longer than the archive, which is unpacked already.
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(ApkError::Tar)?;
            found = Some(content);
        }
    }
    Ok(found)
}
