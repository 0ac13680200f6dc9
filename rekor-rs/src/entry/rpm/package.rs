//! The file: lead, signature header, header, payload.
//!
//! ```text
//! lead               96 bytes, ed ab ee db …
//! signature header   padded to a multiple of 8 bytes
//! header             SHA-256 or SHA-1 of it is in the signature header
//! payload            its digest is in the header; else MD5 of header and payload in the other
//! ```
//!
//! The payload stays packed: no part of a package is ever decompressed here.

use std::io::Read;

use openpgp::{Keyring, SignaturePacket};

use super::header::{Header, HeaderError};

/// Why a package was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackageError {
    /// Another format, or too short to be told.
    #[error("file is not an RPM")]
    Magic,
    /// A header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header is not the one that the signature header is about.
    #[error("{0} mismatch in signature header")]
    HeaderDigest(&'static str),
    /// The payload is not the one that the header is about.
    #[error("payload digest mismatch")]
    PayloadDigest,
    /// Nothing says what the payload must be.
    #[error("no usable payload digest found")]
    NoPayloadDigest,
    /// Nobody signed, or in a way that is not understood.
    #[error("no supported PGP signature found in RPM")]
    NoSignature,
    /// A signature does not hold.
    #[error(transparent)]
    Signature(#[from] openpgp::Error),
}

const LEAD: usize = 96;
const MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The signature header is padded to a multiple of this.
const ALIGNMENT: usize = 8;

// Tags of the signature header.
const SIGNATURE_DSA: u32 = 267;
const SIGNATURE_RSA: u32 = 268;
const HEADER_SHA1: u32 = 269;
const HEADER_SHA256: u32 = 273;
const SIGNATURE_PGP: u32 = 1002;
const MD5: u32 = 1004;
const SIGNATURE_GPG: u32 = 1005;

// Tags of the header.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCHITECTURE: u32 = 1022;
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;

// Hash algorithms have their numbers of OpenPGP.
const HASH_MD5: u8 = 1;
const HASH_SHA1: u8 = 2;
const HASH_SHA256: u8 = 8;

/// A package whose digests hold.
#[derive(Debug)]
pub(super) struct Package<'a> {
    signatures: Header<'a>,
    header: Header<'a>,
    payload: &'a [u8],
}

/// What a package is called.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) name: &'a str,
    pub(super) epoch: u64,
    pub(super) version: &'a str,
    pub(super) release: &'a str,
    pub(super) architecture: &'a str,
}

impl<'a> Package<'a> {
    /// Parses a package and compares its parts with the digests of them.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, PackageError> {
        let (lead, rest) = file.split_at_checked(LEAD).ok_or(PackageError::Magic)?;
        if !lead.starts_with(&MAGIC) {
            return Err(PackageError::Magic);
        }
        let (signatures, after) = Header::parse(rest)?;
        let length = signatures.bytes.len();
        let padding = length.next_multiple_of(ALIGNMENT) - length;
        let (_, rest) = after
            .split_at_checked(padding)
            .ok_or(HeaderError::Truncated)?;
        let (header, payload) = Header::parse(rest)?;
        let package = Self {
            signatures,
            header,
            payload,
        };
        package.check_header()?;
        package.check_payload()?;
        Ok(package)
    }

    fn check_header(&self) -> Result<(), PackageError> {
        let stated =
            |tag| Ok::<_, HeaderError>(self.signatures.text(tag)?.filter(|t| !t.is_empty()));
        let (name, algorithm, stated) = match (stated(HEADER_SHA256)?, stated(HEADER_SHA1)?) {
            (Some(sha256), _) => ("SHA-256", HASH_SHA256, sha256),
            (None, Some(sha1)) => ("SHA-1", HASH_SHA1, sha1),
            (None, None) => return Ok(()),
        };
        match is_digest(stated, algorithm, &[self.header.bytes]) {
            true => Ok(()),
            false => Err(PackageError::HeaderDigest(name)),
        }
    }

    fn check_payload(&self) -> Result<(), PackageError> {
        let algorithm = self.header.number(PAYLOAD_DIGEST_ALGORITHM)?;
        let algorithm = algorithm.and_then(|number| u8::try_from(number).ok());
        let holds = match (self.header.text(PAYLOAD_DIGEST)?, algorithm, self.md5()) {
            (Some(stated), Some(algorithm), _) => is_digest(stated, algorithm, &[self.payload]),
            (_, _, Some(md5)) => {
                openpgp::digest(HASH_MD5, &[self.header.bytes, self.payload]).as_deref()
                    == Some(md5)
            }
            (_, _, None) => return Err(PackageError::NoPayloadDigest),
        };
        match holds {
            true => Ok(()),
            false => Err(PackageError::PayloadDigest),
        }
    }

    /// Verifies all signatures, of which there must be one at least.
    pub(super) fn verify(&self, keys: &Keyring) -> Result<(), PackageError> {
        let header = [SIGNATURE_RSA, SIGNATURE_DSA].map(|tag| (tag, &[][..]));
        let both = [SIGNATURE_PGP, SIGNATURE_GPG].map(|tag| (tag, self.payload));
        let mut verified = 0;
        for (tag, payload) in header.into_iter().chain(both) {
            let Some(packet) = self.signatures.binary(tag)? else {
                continue;
            };
            SignaturePacket::parse(packet)?
                .verify_validity_unchecked(keys, self.header.bytes.chain(payload))?;
            verified += 1;
        }
        match verified {
            0 => Err(PackageError::NoSignature),
            _ => Ok(()),
        }
    }

    /// The package's name and version.
    pub(super) fn name(&self) -> Result<Name<'a>, PackageError> {
        Ok(Name {
            name: self.header.required_text(NAME)?,
            epoch: self.header.number(EPOCH)?.unwrap_or(0),
            version: self.header.required_text(VERSION)?,
            release: self.header.required_text(RELEASE)?,
            architecture: self.header.required_text(ARCHITECTURE)?,
        })
    }

    /// MD5 of header and payload, as the package states it.
    pub(super) fn md5(&self) -> Option<&'a [u8]> {
        let md5 = self.signatures.binary(MD5).ok().flatten();
        md5.filter(|md5| !md5.is_empty())
    }
}

/// Whether the digest of `parts` is what the hexadecimal digits say.
fn is_digest(stated: &str, algorithm: u8, parts: &[&[u8]]) -> bool {
    openpgp::digest(algorithm, parts).is_some_and(|digest| hex::encode(digest) == stated)
}
