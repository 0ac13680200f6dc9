//! Hashes as Rekor writes them.

use std::fmt;

use serde::{Serialize, Serializer};

/// 32 bytes that are written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex32(pub [u8; 32]);

impl Hex32 {
    /// Calls `write` with the digits, which are on the stack: a proof has twenty hashes.
    fn digits<T>(self, write: impl FnOnce(&str) -> T) -> T {
        let mut digits = [0; 64];
        // Fails for a buffer of another length only, and digits are text.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        write(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Display for Hex32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits(|digits| f.write_str(digits))
    }
}

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digits(|digits| serializer.serialize_str(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_lower_case_and_high_half_first() {
        let mut bytes = [0xab; 32];
        bytes[0] = 0x0f;
        let printed = serde_json::to_string(&Hex32(bytes)).unwrap();
        assert_eq!(printed, format!("\"0f{}\"", "ab".repeat(31)));
        assert_eq!(Hex32(bytes).to_string(), printed.trim_matches('"'));
    }
}
