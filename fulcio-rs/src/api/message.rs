//! Requests as protobuf's JSON mapping has them: names in lowerCamelCase or as in the definition,
//! unknown fields ignored, `null` the same as absent, a field that occurs twice refused.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::error::RequestError;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Parses a message from a body. An empty body is an empty message; what follows the message is
/// ignored.
pub(super) fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, RequestError> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    Message::deserialize(&mut deserializer)
        .map(|Message(message)| message)
        .map_err(|error| RequestError::Malformed(format!("the request is not valid: {error}")))
}

/// A message: an object and nothing else (structs alone would also be read from arrays).
#[derive(Debug, Default)]
pub(super) struct Message<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Message<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer
            .deserialize_map(ObjectVisitor(PhantomData))
            .map(Message)
    }
}

/// A field of type bytes: base64, standard or URL-safe, padded or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let engine = if text.contains(['-', '_']) {
            URL_SAFE
        } else {
            STANDARD
        };
        let decoded = if text.contains(['\r', '\n']) {
            engine.decode(text.replace(['\r', '\n'], ""))
        } else {
            engine.decode(&text)
        };
        decoded
            .map(Self)
            .map_err(|_| serde::de::Error::custom("invalid base64"))
    }
}

/// A field of an enumeration type whose value does not matter: any name, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AnyEnum;

impl<'de> Deserialize<'de> for AnyEnum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnumVisitor;

        impl Visitor<'_> for EnumVisitor {
            type Value = AnyEnum;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name or number of an enumeration's value")
            }

            fn visit_str<E>(self, _: &str) -> Result<AnyEnum, E> {
                Ok(AnyEnum)
            }

            fn visit_i64<E>(self, _: i64) -> Result<AnyEnum, E> {
                Ok(AnyEnum)
            }

            fn visit_u64<E>(self, _: u64) -> Result<AnyEnum, E> {
                Ok(AnyEnum)
            }
        }

        deserializer.deserialize_any(EnumVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Default, Debug)]
    struct Inner {
        #[serde(default, alias = "some_bytes", rename = "someBytes")]
        bytes: Option<Base64>,
        #[serde(rename = "algorithm")]
        _algorithm: Option<AnyEnum>,
    }

    #[derive(serde::Deserialize, Default, Debug)]
    struct Outer {
        inner: Option<Message<Inner>>,
    }

    fn read(json: &str) -> Result<Outer, RequestError> {
        parse(json.as_bytes())
    }

    #[test]
    fn only_objects_are_messages() {
        for bad in [
            "[]",
            "null",
            "1",
            "\"x\"",
            "{",
            r#"{"inner":[]}"#,
            r#"{"inner":"x"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for good in [
            "",
            " \n",
            "{}",
            r#"{"inner":null}"#,
            r#"{"inner":{}} trailing"#,
            r#"{"x":[1,{}],"inner":{"y":1}}"#,
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn repeated_fields_are_refused_also_in_two_spellings() {
        assert!(read(r#"{"inner":{},"inner":{}}"#).is_err());
        assert!(read(r#"{"inner":{"someBytes":"","some_bytes":""}}"#).is_err());
    }

    #[test]
    fn base64_of_every_kind() {
        let bytes = |text: &str| {
            read(&format!(r#"{{"inner":{{"someBytes":"{text}"}}}}"#))
                .ok()?
                .inner?
                .0
                .bytes
                .map(|bytes| bytes.0)
        };
        for text in ["+/8=", "+/8", "-_8=", "-_8", "+/\\n8="] {
            assert_eq!(bytes(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(bytes("!!!"), None);
        assert_eq!(bytes("+_8="), None);
    }

    #[test]
    fn enumerations_take_names_and_numbers() {
        for good in ["\"RSA\"", "2", "\"nonsense\"", "null"] {
            assert!(
                read(&format!(r#"{{"inner":{{"algorithm":{good}}}}}"#)).is_ok(),
                "{good}"
            );
        }
        for bad in ["true", "{}", "[]"] {
            assert!(
                read(&format!(r#"{{"inner":{{"algorithm":{bad}}}}}"#)).is_err(),
                "{bad}"
            );
        }
    }
}
