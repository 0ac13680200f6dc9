//! Standard padded base64 as Rekor reads and writes it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Padding is required; stray bits in the last digit are not an error, because submissions with
/// them exist in public logs.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Encodes with padding.
#[must_use]
pub fn encode_base64(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Decodes; carriage returns and line feeds are skipped. `None` if malformed.
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = match text.contains(['\r', '\n']) {
        true => Cow::Owned(text.replace(['\r', '\n'], "")),
        false => Cow::Borrowed(text),
    };
    ENGINE.decode(text.as_bytes()).ok()
}

/// Bytes that JSON holds as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Base64;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a base64 string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                decode_base64(text)
                    .map(Base64)
                    .ok_or_else(|| E::custom("failed parsing base64 data"))
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_skipped_and_padding_is_required() {
        assert_eq!(decode_base64("aGVs\r\nbG8=\n").unwrap(), b"hello");
        assert_eq!(decode_base64("aGVsbG8"), None);
        assert_eq!(decode_base64("aGVs bG8="), None);
    }

    #[test]
    fn stray_bits_in_the_last_digit_are_tolerated() {
        assert_eq!(decode_base64("aGVsbG9=").unwrap(), b"hello");
    }

    #[test]
    fn a_json_string_decodes_and_a_number_does_not() {
        assert_eq!(serde_json::from_str::<Base64>("\"aGk=\"").unwrap().0, b"hi");
        assert!(serde_json::from_str::<Base64>("7").is_err());
        assert!(serde_json::from_str::<Base64>("\"!\"").is_err());
    }
}
