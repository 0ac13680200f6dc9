//! A header of an RPM package: tagged values in one store.
//!
//! ```text
//! 8e ad e8 01, 0 (4), number of entries (4), bytes in store (4)
//! entry: tag (4), type (4), offset into store (4), number of items (4)
//! store
//! ```
//!
//! All numbers are big-endian. Values are looked up and checked when they are asked for: entries
//! may overlap, so that reading all of them could take the square of the header's length. (The
//! crate `rpm` reads all, panics on offsets beyond the store, and allocates what a header states
//! before it looks whether it is there.)

use std::collections::HashMap;

/// Why a header was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The file ends too early.
    #[error("error reading RPM header: unexpected end of file")]
    Truncated,
    /// Another format.
    #[error("bad magic for header")]
    Magic,
    /// A value is not where its entry says, or not of the type that it must have.
    #[error("RPM header: tag {0} is malformed")]
    Malformed(u32),
    /// A value that must be there is not.
    #[error("RPM header: no such tag {0}")]
    Missing(u32),
}

const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
const INTRODUCTION: usize = 16;
const ENTRY: usize = 16;

const INT8: u32 = 2;
const INT16: u32 = 3;
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// A header whose values have not been looked at.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// The header as it is in the file, without padding.
    pub(super) bytes: &'a [u8],
    entries: HashMap<u32, Entry>,
    store: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u32,
    offset: u32,
    items: u32,
}

impl<'a> Header<'a> {
    /// Parses the header that `file` begins with; also returns what follows it. Of several entries
    /// with one tag the last counts.
    pub(super) fn parse(file: &'a [u8]) -> Result<(Self, &'a [u8]), HeaderError> {
        let mut rest = file;
        let mut number = || take_u32(&mut rest).ok_or(HeaderError::Truncated);
        if number()?.to_be_bytes() != MAGIC {
            return Err(HeaderError::Magic);
        }
        let (_reserved, entries, store) = (number()?, length(number()?), length(number()?));
        let index = entries.checked_mul(ENTRY).ok_or(HeaderError::Truncated)?;
        let total = INTRODUCTION
            .checked_add(index)
            .and_then(|total| total.checked_add(store))
            .ok_or(HeaderError::Truncated)?;
        let (bytes, after) = file.split_at_checked(total).ok_or(HeaderError::Truncated)?;
        let (mut index, store) = rest
            .get(..total - INTRODUCTION)
            .and_then(|rest| rest.split_at_checked(index))
            .ok_or(HeaderError::Truncated)?;
        let mut entries = HashMap::new();
        while let Some(tag) = take_u32(&mut index) {
            let mut number = || take_u32(&mut index).ok_or(HeaderError::Truncated);
            let entry = Entry {
                kind: number()?,
                offset: number()?,
                items: number()?,
            };
            entries.insert(tag, entry);
        }
        let header = Self {
            bytes,
            entries,
            store,
        };
        Ok((header, after))
    }

    /// A binary value; `None` if there is none of this tag and type.
    pub(super) fn binary(&self, tag: u32) -> Result<Option<&'a [u8]>, HeaderError> {
        match self.entries.get(&tag).filter(|entry| entry.kind == BINARY) {
            Some(entry) => self.value(tag, entry, 1).map(Some),
            None => Ok(None),
        }
    }

    /// The first of a tag's texts; `None` if there is none of this tag and such types.
    pub(super) fn text(&self, tag: u32) -> Result<Option<&'a str>, HeaderError> {
        let text = |entry: &&Entry| {
            matches!(entry.kind, STRING | STRING_ARRAY | I18N_STRING) && entry.items > 0
        };
        let Some(entry) = self.entries.get(&tag).filter(text) else {
            return Ok(None);
        };
        let malformed = || HeaderError::Malformed(tag);
        let from = self
            .store
            .get(length(entry.offset)..)
            .ok_or_else(malformed)?;
        let end = from.iter().position(|byte| *byte == 0);
        let text = from
            .get(..end.ok_or_else(malformed)?)
            .ok_or_else(malformed)?;
        std::str::from_utf8(text).map(Some).map_err(|_| malformed())
    }

    /// The same, where it must be there.
    pub(super) fn required_text(&self, tag: u32) -> Result<&'a str, HeaderError> {
        self.text(tag)?.ok_or(HeaderError::Missing(tag))
    }

    /// The first of a tag's numbers; `None` if there is none of this tag.
    pub(super) fn number(&self, tag: u32) -> Result<Option<u64>, HeaderError> {
        let Some(entry) = self.entries.get(&tag).filter(|entry| entry.items > 0) else {
            return Ok(None);
        };
        let size = match entry.kind {
            INT8 => 1,
            INT16 => 2,
            INT32 => 4,
            INT64 => 8,
            _ => return Err(HeaderError::Malformed(tag)),
        };
        let value = self.value(tag, entry, size)?;
        let digits = value.get(..size).ok_or(HeaderError::Malformed(tag))?;
        let number = digits
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Some(number))
    }

    /// The bytes of an entry of items that all have one size.
    fn value(&self, tag: u32, entry: &Entry, size: usize) -> Result<&'a [u8], HeaderError> {
        let start = length(entry.offset);
        length(entry.items)
            .checked_mul(size)
            .and_then(|length| start.checked_add(length))
            .and_then(|end| self.store.get(start..end))
            .ok_or(HeaderError::Malformed(tag))
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*number))
}

/// A stated length as a number of bytes.
fn length(stated: u32) -> usize {
    usize::try_from(stated).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these entries: tag, type, items, and where in `store` they are.
    fn print(entries: &[(u32, u32, u32, u32)], store: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for number in [0, entries.len(), store.len()] {
            out.extend(u32::try_from(number).unwrap().to_be_bytes());
        }
        for (tag, kind, items, offset) in entries {
            for number in [tag, kind, offset, items] {
                out.extend(number.to_be_bytes());
            }
        }
        out.extend(store);
        out
    }

    #[test]
    fn values_are_read_by_tag_and_type() {
        let store = b"name\0more\0\x00\x00\x01\x00";
        let entries = [
            (1, STRING, 1, 0),
            (2, STRING_ARRAY, 2, 5),
            (3, INT32, 1, 10),
            (3, INT16, 1, 12),
            (4, BINARY, 4, 0),
        ];
        let file = [print(&entries, store).as_slice(), b"rest"].concat();
        let (header, rest) = Header::parse(&file).unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!(header.bytes.len() + rest.len(), file.len());
        assert_eq!(header.text(1).unwrap(), Some("name"));
        assert_eq!(header.text(2).unwrap(), Some("more"));
        assert_eq!(header.number(3).unwrap(), Some(256), "the last one counts");
        assert_eq!(header.binary(4).unwrap(), Some(&b"name"[..]));
        assert_eq!(header.text(3).unwrap(), None);
        assert_eq!(header.binary(9).unwrap(), None);
        assert!(matches!(header.number(1), Err(HeaderError::Malformed(1))));
        assert!(matches!(
            header.required_text(9),
            Err(HeaderError::Missing(9))
        ));
    }

    #[test]
    fn offsets_and_counts_beyond_the_store_are_refused() {
        let far = i32::MIN.cast_unsigned();
        for (offset, items) in [(0, 9), (9, 1), (u32::MAX, 1), (far, 1), (1, u32::MAX)] {
            for kind in [INT8, INT64, STRING, BINARY] {
                let file = print(&[(1, kind, items, offset)], b"12345678");
                let (header, _) = Header::parse(&file).unwrap();
                let found = match kind {
                    STRING => header.text(1).map(drop),
                    BINARY => header.binary(1).map(drop),
                    _ => header.number(1).map(drop),
                };
                assert!(found.is_err(), "{kind} {offset} {items}");
            }
        }
    }

    #[test]
    fn a_header_that_states_more_than_there_is_costs_nothing() {
        for (entries, store) in [(u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
            let mut file = MAGIC.to_vec();
            for number in [0, entries, store] {
                file.extend(number.to_be_bytes());
            }
            assert!(matches!(Header::parse(&file), Err(HeaderError::Truncated)));
        }
        assert!(matches!(
            Header::parse(b"\x8e\xad\xe8\x02"),
            Err(HeaderError::Magic)
        ));
        assert!(matches!(Header::parse(b""), Err(HeaderError::Truncated)));
    }
}
