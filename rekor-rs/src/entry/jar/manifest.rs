//! Manifests and signature files: sections of `Name: value` lines, the first for the archive, the
//! others for one file each.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::HashAlgorithm;

/// Most sections.
const MAX_SECTIONS: usize = 20_000;

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ManifestError {
    /// A line without a colon, not text, or a section without end.
    #[error("jar manifest is malformed")]
    Malformed,
    /// A section that is of no file.
    #[error("manifest has section with no \"Name\" attribute")]
    NoName,
    /// Two sections of one file.
    #[error("manifest has two sections for {0:?}")]
    Repeated(String),
    /// Too many sections.
    #[error("manifest has too many sections")]
    TooMany,
    /// No digest of the SHA-2 family.
    #[error("no recognized digests found")]
    NoDigest,
    /// A digest does not match.
    #[error("{0} mismatch")]
    Mismatch(String),
}

/// Attributes by name in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(BTreeMap<String, String>);

/// One section with the bytes that its digest is made over.
pub(super) struct Section<'a> {
    pub(super) attributes: Attributes,
    pub(super) bytes: &'a [u8],
}

/// A parsed manifest.
pub(super) struct Manifest<'a> {
    pub(super) main: Section<'a>,
    pub(super) files: BTreeMap<String, Section<'a>>,
}

impl<'a> Manifest<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ManifestError> {
        let mut rest = bytes;
        let main = section(&mut rest)?.ok_or(ManifestError::Malformed)?;
        let mut files = BTreeMap::new();
        while let Some(section) = section(&mut rest)? {
            let name = section
                .attributes
                .get("name")
                .ok_or(ManifestError::NoName)?
                .to_owned();
            if files.len() == MAX_SECTIONS {
                return Err(ManifestError::TooMany);
            }
            if files.insert(name.clone(), section).is_some() {
                return Err(ManifestError::Repeated(name));
            }
        }
        Ok(Self { main, files })
    }
}

impl Attributes {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The digests named `<algorithm>-digest<suffix>`. Unknown and broken algorithms are left out
    /// unless there is nothing else.
    pub(super) fn digests(
        &self,
        suffix: &str,
    ) -> Result<Vec<(HashAlgorithm, &str)>, ManifestError> {
        let known = [
            ("sha-256", HashAlgorithm::Sha256),
            ("sha-384", HashAlgorithm::Sha384),
            ("sha-512", HashAlgorithm::Sha512),
        ];
        let found: Vec<_> = known
            .into_iter()
            .filter_map(|(name, hash)| Some((hash, self.get(&format!("{name}-digest{suffix}"))?)))
            .collect();
        match found.is_empty() {
            true => Err(ManifestError::NoDigest),
            false => Ok(found),
        }
    }

    /// Compares the digests with those of `bytes`.
    pub(super) fn check(&self, suffix: &str, bytes: &[u8]) -> Result<(), ManifestError> {
        for (hash, stated) in self.digests(suffix)? {
            if stated != STANDARD.encode(hash.digest(bytes).as_bytes()) {
                return Err(ManifestError::Mismatch(format!("{hash:?}-digest{suffix}")));
            }
        }
        Ok(())
    }
}

/// The next section: lines up to and with an empty one.
fn section<'a>(rest: &mut &'a [u8]) -> Result<Option<Section<'a>>, ManifestError> {
    let whole = *rest;
    if whole.is_empty() {
        return Ok(None);
    }
    let mut lines: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let line = next_line(rest)?;
        if line.is_empty() {
            break;
        }
        match (line.strip_prefix(b" "), lines.last_mut()) {
            // Lines are cut at a number of bytes, so that only the whole is text; names of files
            // in other alphabets are put together again below.
            (Some(more), Some(before)) => before.extend(more.iter().map(|byte| char::from(*byte))),
            (Some(_), None) => return Err(ManifestError::Malformed),
            (None, _) => lines.push(line.iter().map(|byte| char::from(*byte)).collect()),
        }
    }
    let bytes = whole
        .get(..whole.len() - rest.len())
        .ok_or(ManifestError::Malformed)?;
    let mut attributes = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(ManifestError::Malformed)?;
        // Each char is one byte of the file.
        let value: Vec<u8> = value
            .chars()
            .filter_map(|c| u8::try_from(u32::from(c)).ok())
            .collect();
        let value = String::from_utf8(value).map_err(|_| ManifestError::Malformed)?;
        attributes.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Section {
        attributes: Attributes(attributes),
        bytes,
    }))
}

/// Takes a line, without its end: CR LF, LF or CR.
fn next_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ManifestError> {
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
        .ok_or(ManifestError::Malformed)?;
    let (line, after) = rest.split_at_checked(end).ok_or(ManifestError::Malformed)?;
    *rest = after
        .strip_prefix(b"\r\n")
        .or_else(|| after.get(1..))
        .unwrap_or_default();
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &[u8] = b"Manifest-Version: 1.0\r\nCreated-By: 17\r\n\r\nName: a/\xc3\r\n \xa9.class\r\nSHA-256-Digest: x\r\n\r\nName: b\r\nSHA1-Digest: y\r\n\r\n";

    #[test]
    fn sections_keep_their_bytes_and_long_lines_are_joined() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        assert_eq!(manifest.main.attributes.get("created-by"), Some("17"));
        let whole: Vec<u8> = [
            &manifest.main,
            &manifest.files["a/\u{e9}.class"],
            &manifest.files["b"],
        ]
        .iter()
        .flat_map(|section| section.bytes.to_vec())
        .collect();
        assert_eq!(whole, MANIFEST);
        assert_eq!(
            manifest.files["b"].attributes.check("", b"").unwrap_err(),
            ManifestError::NoDigest
        );
    }

    #[test]
    fn what_is_not_a_manifest_is_refused() {
        let refused = |bytes: &[u8]| Manifest::parse(bytes).err();
        assert_eq!(refused(b""), Some(ManifestError::Malformed));
        assert_eq!(refused(b" a: b\n\n"), Some(ManifestError::Malformed));
        assert_eq!(refused(b"no colon\n\n"), Some(ManifestError::Malformed));
        assert_eq!(refused(b"a: b\n\nc: d\n\n"), Some(ManifestError::NoName));
        assert_eq!(
            refused(b"a: b\n\nName: d\n\nName: d\n\n"),
            Some(ManifestError::Repeated("d".into()))
        );
    }
}
