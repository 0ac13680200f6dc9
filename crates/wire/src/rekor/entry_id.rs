//! Names of entries: the UUID (leaf hash) and the entry id (tree id and UUID).

use std::fmt;
use std::str::FromStr;

use super::Hex32;

/// A place-independent name of an entry with the tree that holds it; prints as 80 lower-case
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// The shard; positive.
    pub tree: i64,
    /// The RFC 6962 leaf hash.
    pub uuid: [u8; 32],
}

/// What clients write where an entry is meant: either form, digits of either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryRef {
    /// 64 digits: an entry in any shard.
    Uuid([u8; 32]),
    /// 80 digits.
    Id(EntryId),
}

/// Not a name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryIdError {
    /// Neither 64 nor 80 hexadecimal digits.
    #[error("not 64 or 80 hexadecimal digits")]
    Malformed,
    /// 80 digits of which the first 16 are zero.
    #[error("0 is not a valid TreeID")]
    ZeroTree,
    /// 80 digits of which the first 16 do not fit a positive signed number. Carries them.
    #[error("{0} is not a valid TreeID")]
    TreeOverflow(String),
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.tree, Hex32(self.uuid))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntryRef {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let mut uuid = [0; 32];
        let (tree, digits) = match text.len() {
            64 => (None, text),
            80 => text
                .split_at_checked(16)
                .map(|(tree, uuid)| (Some(tree), uuid))
                .ok_or(EntryIdError::Malformed)?,
            _ => return Err(EntryIdError::Malformed),
        };
        hex::decode_to_slice(digits, &mut uuid).map_err(|_| EntryIdError::Malformed)?;
        let Some(tree) = tree else {
            return Ok(Self::Uuid(uuid));
        };
        let mut number = [0; 8];
        hex::decode_to_slice(tree, &mut number).map_err(|_| EntryIdError::Malformed)?;
        match i64::try_from(u64::from_be_bytes(number)) {
            Ok(0) => Err(EntryIdError::ZeroTree),
            Ok(tree) => Ok(Self::Id(EntryId { tree, uuid })),
            Err(_) => Err(EntryIdError::TreeOverflow(tree.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_parse_in_either_case_and_print_in_lower_case() {
        let uuid = "AB".repeat(32);
        assert_eq!(
            uuid.parse::<EntryRef>().unwrap(),
            EntryRef::Uuid([0xab; 32])
        );
        let EntryRef::Id(id) = format!("00000000000000FF{uuid}").parse().unwrap() else {
            panic!("an entry id")
        };
        assert_eq!(id.tree, 255);
        assert_eq!(
            id.to_string(),
            format!("00000000000000ff{}", uuid.to_lowercase())
        );
    }

    #[test]
    fn other_lengths_and_digits_are_refused() {
        for text in [
            "",
            &"a".repeat(63),
            &"a".repeat(79),
            &"g".repeat(64),
            &"é".repeat(32),
            &"é".repeat(40),
        ] {
            assert_eq!(
                text.parse::<EntryRef>(),
                Err(EntryIdError::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn tree_zero_and_trees_above_int64_are_told_apart() {
        let uuid = "ab".repeat(32);
        assert_eq!(
            format!("{}{uuid}", "0".repeat(16)).parse::<EntryRef>(),
            Err(EntryIdError::ZeroTree)
        );
        assert_eq!(
            format!("{}{uuid}", "f".repeat(16)).parse::<EntryRef>(),
            Err(EntryIdError::TreeOverflow("f".repeat(16)))
        );
    }
}
