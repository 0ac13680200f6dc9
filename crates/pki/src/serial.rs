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
        let mut bytes = [0; 20];
        loop {
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
            let [first, ..] = &mut bytes;
            *first &= 0x7f;
            // A leading zero octet would not survive DER; one draw in 128 is repeated.
            if let Some(serial) = Self::from_bytes(bytes) {
                return Ok(serial);
            }
        }
    }

    /// A given serial number; `None` unless the first byte is `01..=7f`, which makes the number
    /// positive and its DER encoding exactly these 20 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Option<Self> {
        match bytes {
            [0x01..=0x7f, ..] => Some(Self(bytes)),
            _ => None,
        }
    }

    /// The content bytes of the DER INTEGER.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serials_are_positive_and_distinct() {
        let serials: std::collections::HashSet<_> =
            (0..1000).map(|_| Serial::random().unwrap()).collect();
        assert_eq!(serials.len(), 1000);
        assert!(
            serials
                .iter()
                .all(|serial| (1..=0x7f).contains(&serial.as_bytes()[0]))
        );
    }

    #[test]
    fn serials_that_der_would_change_are_refused() {
        assert_eq!(Serial::from_bytes([0; 20]), None);
        assert_eq!(Serial::from_bytes([0x80; 20]), None);
        assert!(Serial::from_bytes([0x7f; 20]).is_some());
    }
}
