//! The JSON form of requests: `{"artifactHash":…,"hashAlgorithm":…,"certificates":…,"nonce":…,
//! "tsaPolicyOID":…}`, with the artifact's digest in base64. Names in any case; others are ignored.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Digest, HashAlgorithm};
use pki::rfc3161::{MAX_NONCE, Policy, Request, RequestError};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::Error;

/// Longest JSON request, in bytes.
const MAX_JSON: usize = 1024;

/// Most decimal digits of a nonce: as many as fill [`MAX_NONCE`].
const MAX_NONCE_DIGITS: usize = 155;

pub(crate) fn parse(body: &[u8]) -> Result<Request, Error> {
    if body.len() > MAX_JSON {
        return Err(Error::TooLarge);
    }
    let written: HashMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|_| Error::Json("not an object"))?;
    let mut fields = HashMap::with_capacity(written.len());
    for (name, value) in written {
        // Two spellings of one name: which is meant would depend on the reader.
        if fields.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(Error::Json("a name occurs twice"));
        }
    }
    let hash: Option<String> = field(&fields, "hashalgorithm", "hashAlgorithm is not a string")?;
    let hash = match hash.map(|name| name.to_ascii_lowercase()).as_deref() {
        Some("sha256") => HashAlgorithm::Sha256,
        Some("sha384") => HashAlgorithm::Sha384,
        Some("sha512") => HashAlgorithm::Sha512,
        Some("sha1") => return Err(RequestError::WeakHash.into()),
        Some(_) | None => return Err(RequestError::UnsupportedHash.into()),
    };
    let digest: Option<String> = field(&fields, "artifacthash", "artifactHash is not a string")?;
    let digest = STANDARD
        .decode(digest.unwrap_or_default())
        .map_err(|_| Error::Json("artifactHash is not base64"))?;
    let digest = Digest::new(hash, digest).ok_or(RequestError::DigestLength)?;
    let certificates =
        field(&fields, "certificates", "certificates is not true or false")?.unwrap_or(false);
    let policy: Option<String> = field(&fields, "tsapolicyoid", "tsaPolicyOID is not a string")?;
    let policy = policy
        .map(|dotted| dotted.parse::<Policy>())
        .transpose()
        .map_err(|_| Error::Json("tsaPolicyOID is not an object identifier"))?;
    let nonce = fields
        .get("nonce")
        .filter(|value| value.get() != "null")
        .map(|value| nonce(value.get()))
        .transpose()?;
    Ok(Request::new(
        digest,
        policy,
        nonce.as_deref(),
        certificates,
    )?)
}

/// The field of this name in lower case; `null` is the same as left out.
fn field<T: DeserializeOwned>(
    fields: &HashMap<String, &RawValue>,
    name: &str,
    wrong: &'static str,
) -> Result<Option<T>, Error> {
    match fields.get(name) {
        None => Ok(None),
        Some(value) => serde_json::from_str(value.get()).map_err(|_| Error::Json(wrong)),
    }
}

/// A natural number of any size, in big-endian octets.
fn nonce(number: &str) -> Result<Vec<u8>, Error> {
    if number.len() > MAX_NONCE_DIGITS || number.starts_with('-') {
        return Err(RequestError::Nonce.into());
    }
    let mut octets = [0u8; MAX_NONCE + 1];
    for character in number.chars() {
        let digit = character
            .to_digit(10)
            .ok_or(Error::Json("nonce is not a whole number"))?;
        let mut carry = digit;
        for octet in octets.iter_mut().rev() {
            let sum = u32::from(*octet) * 10 + carry;
            // The low eight bits stay, the others carry.
            [_, _, _, *octet] = sum.to_be_bytes();
            carry = sum >> 8;
        }
    }
    Ok(octets.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> Result<Request, Error> {
        let digest = STANDARD.encode([7; 32]);
        parse(
            format!(r#"{{"artifactHash":"{digest}","hashAlgorithm":"sha256"{fields}}}"#).as_bytes(),
        )
    }

    fn made(policy: Option<&str>, nonce: Option<&[u8]>, certificates: bool) -> Request {
        let digest = Digest::new(HashAlgorithm::Sha256, vec![7; 32]).unwrap();
        Request::new(
            digest,
            policy.map(|dotted| dotted.parse().unwrap()),
            nonce,
            certificates,
        )
        .unwrap()
    }

    #[test]
    fn every_field_is_read() {
        assert_eq!(with("").unwrap(), made(None, None, false));
        let full =
            with(r#","certificates":true,"nonce":258,"tsaPolicyOID":"1.2.3","other":[1]"#).unwrap();
        assert_eq!(full, made(Some("1.2.3"), Some(&[1, 2]), true));
        assert_eq!(
            with(r#","certificates":null,"nonce":null,"tsaPolicyOID":null"#).unwrap(),
            made(None, None, false)
        );
    }

    #[test]
    fn names_and_hashes_are_read_in_any_case() {
        let digest = STANDARD.encode([7; 32]);
        let body = format!(r#"{{"ARTIFACTHASH":"{digest}","hashalgorithm":"SHA256"}}"#);
        assert_eq!(parse(body.as_bytes()).unwrap(), made(None, None, false));
        assert!(matches!(
            with(r#","HASHALGORITHM":"sha512""#),
            Err(Error::Json(_))
        ));
    }

    #[test]
    fn nonces_are_natural_numbers_up_to_512_bits() {
        let largest = "13407807929942597099574024998205846127479365820592393377723561443721764030073546976801874298166903427690031858186486050853753882811946569946433649006084095";
        assert_eq!(
            with(&format!(r#","nonce":{largest}"#)).unwrap(),
            made(None, Some(&[0xff; 64]), false)
        );
        let next = largest.replace("4095", "4096");
        for refused in [
            "-1",
            "1.5",
            "1e3",
            r#""7""#,
            "true",
            &next,
            &"1".repeat(200),
        ] {
            assert!(
                with(&format!(r#","nonce":{refused}"#)).is_err(),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_not_such_an_object_is_refused() {
        assert!(matches!(
            with(r#","certificates":"yes""#),
            Err(Error::Json(_))
        ));
        assert!(matches!(
            with(r#","tsaPolicyOID":"x""#),
            Err(Error::Json(_))
        ));
        for body in [
            "",
            "[]",
            "{",
            "{} {}",
            "null",
            r#"{"hashAlgorithm":"sha256","artifactHash":"?"}"#,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(matches!(
            with(&format!(r#","pad":"{}""#, "x".repeat(MAX_JSON))),
            Err(Error::TooLarge)
        ));
    }
}
