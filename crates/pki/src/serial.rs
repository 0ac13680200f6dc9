//! Certificate serial numbers.

/// A certificate's serial number: 20 random bytes, positive, never zero-padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial([u8; 20]);

/// The system's random number generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no randomness available")]
pub struct NoRandomness;

impl Serial {
    /// A fresh serial number from the cryptographic random number generator.
    pub fn random() -> Result<Self, NoRandomness> {
        unimplemented!()
    }

    /// A given serial number; `None` unless the first byte is `01..=7f`, which makes the number
    /// positive and its DER encoding exactly these 20 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Option<Self> {
        if bytes[0] >= 1 && bytes[0] <= 0x7f { Some(Self(bytes)) } else { None }
    }

    /// The content bytes of the DER INTEGER.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}
