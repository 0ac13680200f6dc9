//! The archive: a POSIX tar file (IEEE Std 1003.1, ustar) with one spelling.
//!
//! Names are sorted; every entry is a regular file of mode 0644, of owner 0, of time 0. The same
//! files always give the same bytes, and only those bytes are read: whatever an unpacker might
//! understand differently (links, extended headers, names twice, anything after the end) is not
//! in that form.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::{Compression, GzBuilder};

use crate::profile::MAX_TARGET_BYTES;

/// Longest archive that is read, in bytes.
pub const MAX_ARCHIVE: u64 = 128 << 20;

/// Most files in an archive.
const MAX_FILES: usize = 4096;

/// Why an archive was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Longer than anything this tool writes.
    #[error("longer than {MAX_ARCHIVE} bytes")]
    TooLong,
    /// Too many files.
    #[error("more than {MAX_FILES} files")]
    TooMany,
    /// A file that is longer than any target may be.
    #[error("{0} is longer than {MAX_TARGET_BYTES} bytes")]
    FileTooLong(String),
    /// Not an archive, or one that was cut.
    #[error("not a whole archive: {0}")]
    Malformed(String),
    /// A link, a device, a directory.
    #[error("{0} is not a regular file")]
    Kind(String),
    /// A name that leads elsewhere or that some file system takes for another.
    #[error("file name {0:?}")]
    Name(String),
    /// The right files in another form.
    #[error("not in the form that `tuf-root bundle create` writes")]
    Form,
}

/// Packs files, by their path.
pub fn pack(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, ArchiveError> {
    let malformed = |e: std::io::Error| ArchiveError::Malformed(e.to_string());
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        check_name(path)?;
        let mut header = tar::Header::new_ustar();
        header.set_path(path).map_err(malformed)?;
        header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        builder
            .append(&header, content.as_slice())
            .map_err(malformed)?;
    }
    builder.into_inner().map_err(malformed)
}

/// Packs files and compresses the archive (RFC 1952, without name and time).
pub fn pack_gzip(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, ArchiveError> {
    let malformed = |e: std::io::Error| ArchiveError::Malformed(e.to_string());
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    gzip.write_all(&pack(files)?).map_err(malformed)?;
    gzip.finish().map_err(malformed)
}

/// Unpacks into memory what [`pack`] gave; nothing else.
pub fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_ARCHIVE) {
        return Err(ArchiveError::TooLong);
    }
    let malformed = |e: std::io::Error| ArchiveError::Malformed(e.to_string());
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(bytes);
    // Raw: long names and sparse files of extended headers are entries of their own, and refused.
    for entry in archive.entries().map_err(malformed)?.raw(true) {
        let mut entry = entry.map_err(malformed)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(ArchiveError::Kind(path));
        }
        check_name(&path)?;
        if files.len() >= MAX_FILES {
            return Err(ArchiveError::TooMany);
        }
        if entry.size() > MAX_TARGET_BYTES {
            return Err(ArchiveError::FileTooLong(path));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(malformed)?;
        if u64::try_from(content.len()) != Ok(entry.size()) {
            return Err(ArchiveError::Malformed(format!("{path} is cut")));
        }
        if files.insert(path, content).is_some() {
            return Err(ArchiveError::Form);
        }
    }
    match pack(&files)? == bytes {
        true => Ok(files),
        false => Err(ArchiveError::Form),
    }
}

/// Relative, without `.` and `..`, in characters that mean themselves everywhere.
fn check_name(path: &str) -> Result<(), ArchiveError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let good = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    match path.split('/').all(good) {
        true => Ok(()),
        false => Err(ArchiveError::Name(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files() -> BTreeMap<String, Vec<u8>> {
        [("a.json", "one"), ("b/c.pem", ""), ("b/d", "three")]
            .map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()))
            .into()
    }

    /// An archive with one entry that `change` made.
    fn with(change: impl Fn(&mut tar::Header), content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path("a.json").unwrap();
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        change(&mut header);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    }

    fn raw_name(header: &mut tar::Header, name: &str) {
        let field = &mut header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name.as_bytes());
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let packed = pack(&files()).unwrap();
        assert_eq!(packed, pack(&files()).unwrap());
        assert_eq!(unpack(&packed).unwrap(), files());
        assert_eq!(pack_gzip(&files()).unwrap(), pack_gzip(&files()).unwrap());
        // The test's own archives are in the form, so what it changes is what is refused.
        assert!(unpack(&with(|_| (), b"content")).is_ok());
    }

    #[test]
    fn links_and_other_things_that_are_not_files_are_refused() {
        for kind in [
            tar::EntryType::Symlink,
            tar::EntryType::Link,
            tar::EntryType::Directory,
            tar::EntryType::Fifo,
            tar::EntryType::Char,
            tar::EntryType::GNULongName,
            tar::EntryType::XHeader,
            tar::EntryType::XGlobalHeader,
        ] {
            let refused = unpack(&with(|h| h.set_entry_type(kind), b""));
            assert_eq!(
                refused,
                Err(ArchiveError::Kind("a.json".into())),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "./a",
            ".hidden",
            "a\\b",
            "a b",
            "",
        ] {
            let refused = unpack(&with(|h| raw_name(h, name), b"x"));
            assert_eq!(refused, Err(ArchiveError::Name(name.into())), "{name}");
        }
    }

    #[test]
    fn other_spellings_of_the_same_files_are_refused() {
        let packed = pack(&files()).unwrap();
        for bad in [
            with(|h| h.set_mtime(1), b"x"),
            with(|h| h.set_mode(0o755), b"x"),
            with(|h| h.set_uid(1), b"x"),
            [packed.clone(), vec![0; 512]].concat(),
            [packed.clone(), b"more".to_vec()].concat(),
            [with(|_| (), b"x"), packed.clone()].concat(),
        ] {
            assert_eq!(unpack(&bad), Err(ArchiveError::Form));
        }
        // The same name twice.
        let once = with(|_| (), b"x");
        let twice = [&once[..1024], &once].concat();
        assert_eq!(unpack(&twice), Err(ArchiveError::Form));
    }

    #[test]
    fn oversize_files_are_refused_by_their_header() {
        let huge = with(|h| h.set_size(MAX_TARGET_BYTES + 1), b"x");
        assert!(matches!(unpack(&huge), Err(ArchiveError::FileTooLong(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_archive_that_is_cut_anywhere_is_refused(cut in 0_usize..4096) {
            let packed = pack(&files()).unwrap();
            let cut = cut.min(packed.len() - 1);
            prop_assert!(unpack(&packed[..cut]).is_err());
        }

        #[test]
        fn a_changed_byte_changes_the_files_or_is_refused(at in 0_usize..4096, bit in 0_u8..8) {
            let mut packed = pack(&files()).unwrap();
            let at = at % packed.len();
            packed[at] ^= 1 << bit;
            prop_assert!(unpack(&packed).map_or(true, |read| read != files()));
        }
    }
}
