//! Leaf and node hashes (RFC 6962 section 2.1).

/// A SHA-256 hash of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

/// `SHA-256(00 ‖ data)`.
#[must_use]
pub fn leaf_hash(_data: &[u8]) -> Hash {
    unimplemented!()
}

/// `SHA-256(01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(_left: &Hash, _right: &Hash) -> Hash {
    unimplemented!()
}

/// The root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Hash {
    unimplemented!()
}
