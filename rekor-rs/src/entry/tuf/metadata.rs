//! Signed metadata (TUF specification section 4), as far as signatures and expiry go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crypto::{HashAlgorithm, KeyKind, PublicKey};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Longest text of a document, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Most signatures of a document. Each is verified once at most.
const MAX_SIGNATURES: usize = 256;

/// Most keys of a root.
const MAX_KEYS: usize = 1024;

/// Why metadata was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    /// Not metadata.
    #[error("tuf: malformed metadata: {0}")]
    Malformed(String),
    /// Too long, or too many parts.
    #[error("tuf: too many {0}")]
    TooMany(&'static str),
    /// Nobody signed.
    #[error("tuf: data has no signatures")]
    NoSignatures,
    /// The root knows no such role.
    #[error("tuf: unknown role {0:?}")]
    UnknownRole(String),
    /// A root that is not one.
    #[error("tuf: meta file has wrong type")]
    WrongType,
    /// A role that needs nobody's signature.
    #[error("tuf: invalid role threshold")]
    InvalidThreshold,
    /// Fewer good signatures than the role needs.
    #[error("tuf: valid signatures did not meet threshold, found {found} of {needed}")]
    Threshold {
        /// Keys that signed.
        found: usize,
        /// Keys that must.
        needed: u64,
    },
    /// A key that cannot be used.
    #[error("tuf: invalid key {id}: {reason}")]
    Key {
        /// The root's name for it.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// No longer to be relied on.
    #[error("expired at {0}")]
    Expired(String),
}

/// A document with its signatures. They are not verified yet.
#[derive(Debug)]
pub(crate) struct Signed {
    signed: Value,
    signatures: Vec<Signature>,
    role: String,
    version: i64,
    expires: String,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    signed: Value,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    #[serde(default, deserialize_with = "hexadecimal")]
    sig: Vec<u8>,
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    hex::decode(digits).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
struct Common {
    #[serde(rename = "_type")]
    role: String,
    version: i64,
    expires: String,
}

impl Signed {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, MetadataError> {
        if text.len() > MAX_TEXT {
            return Err(MetadataError::TooMany("bytes"));
        }
        let envelope: Envelope = serde_json::from_slice(text).map_err(malformed)?;
        if envelope.signatures.len() > MAX_SIGNATURES {
            return Err(MetadataError::TooMany("signatures"));
        }
        let common = Common::deserialize(&envelope.signed).map_err(malformed)?;
        Ok(Self {
            signed: envelope.signed,
            signatures: envelope.signatures,
            role: common.role,
            version: common.version,
            expires: common.expires,
        })
    }

    /// `_type`.
    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    /// `version`.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    pub(crate) fn check_expiry(&self, now: SystemTime) -> Result<(), MetadataError> {
        let expires = timestamp(&self.expires)
            .ok_or_else(|| MetadataError::Malformed("expires is not a UTC time".into()))?;
        match now < expires {
            true => Ok(()),
            false => Err(MetadataError::Expired(self.expires.clone())),
        }
    }

    /// The document in RFC 8785 form, with nothing but key ids and signatures beside it.
    pub(crate) fn canonical(&self) -> Result<Vec<u8>, MetadataError> {
        let signatures: Vec<Value> = self
            .signatures
            .iter()
            .map(|signature| {
                serde_json::json!({"keyid": signature.keyid, "sig": hex::encode(&signature.sig)})
            })
            .collect();
        let whole = serde_json::json!({"signatures": signatures, "signed": self.signed});
        serde_json_canonicalizer::to_vec(&whole).map_err(malformed)
    }
}

/// A root that is signed by its own keys.
#[derive(Debug)]
pub(crate) struct Root {
    signed: Signed,
    spec_version: String,
    keys: BTreeMap<String, Key>,
    roles: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
struct RootBody {
    #[serde(default)]
    spec_version: String,
    keys: BTreeMap<String, KeyBody>,
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Deserialize)]
struct Role {
    keyids: BTreeSet<String>,
    threshold: i64,
}

#[derive(Deserialize)]
struct KeyBody {
    keytype: String,
    keyval: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    public: String,
}

#[derive(Debug)]
struct Key {
    public: PublicKey,
}

impl Root {
    /// Parses a root and verifies that its own root role signed it. Expiry is not looked at.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, MetadataError> {
        let signed = Signed::parse(text)?;
        let body = RootBody::deserialize(&signed.signed).map_err(malformed)?;
        if body.keys.len() > MAX_KEYS {
            return Err(MetadataError::TooMany("keys"));
        }
        if body.roles.values().any(|role| role.threshold < 1) {
            return Err(MetadataError::InvalidThreshold);
        }
        let keys = body
            .keys
            .into_iter()
            .map(|(id, key)| match Key::parse(&key) {
                Ok(key) => Ok((id, key)),
                Err(reason) => Err(MetadataError::Key { id, reason }),
            })
            .collect::<Result<_, _>>()?;
        let root = Self {
            signed,
            spec_version: body.spec_version,
            keys,
            roles: body.roles,
        };
        if !root.signed.role.eq_ignore_ascii_case("root") {
            return Err(MetadataError::WrongType);
        }
        root.check(&root.signed, "root")?;
        Ok(root)
    }

    /// The root's own document.
    pub(crate) fn signed(&self) -> &Signed {
        &self.signed
    }

    /// `spec_version`.
    pub(crate) fn spec_version(&self) -> &str {
        &self.spec_version
    }

    /// Verifies that enough keys of its role signed a document.
    pub(crate) fn verify(&self, document: &Signed) -> Result<(), MetadataError> {
        self.check(document, &document.role)
    }

    fn check(&self, document: &Signed, role: &str) -> Result<(), MetadataError> {
        if document.signatures.is_empty() {
            return Err(MetadataError::NoSignatures);
        }
        let role = self
            .roles
            .get(role)
            .ok_or_else(|| MetadataError::UnknownRole(role.to_owned()))?;
        let mut message = Vec::new();
        print(&document.signed, &mut message)?;
        // Keys are told apart by what they are, not by what they are called.
        let mut signers = BTreeSet::new();
        for signature in &document.signatures {
            if !role.keyids.contains(&signature.keyid) {
                continue;
            }
            if let Some(key) = self.keys.get(&signature.keyid)
                && key.verifies(&message, &signature.sig)
            {
                signers.insert(key.public.spki_der());
            }
        }
        let needed = u64::try_from(role.threshold).unwrap_or(u64::MAX);
        let found = signers.len();
        match u64::try_from(found).is_ok_and(|found| found >= needed) {
            true => Ok(()),
            false => Err(MetadataError::Threshold { found, needed }),
        }
    }
}

impl Key {
    fn parse(body: &KeyBody) -> Result<Self, String> {
        let text = &body.keyval.public;
        let pem = || PublicKey::from_pem(text).map_err(|error| error.to_string());
        let public = match body.keytype.as_str() {
            "ed25519" => {
                let bytes = hex::decode(text)
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or("not 64 hexadecimal digits")?;
                PublicKey::from_ed25519_bytes(&bytes).map_err(|error| error.to_string())?
            }
            "ecdsa" | "ecdsa-sha2-nistp256" => pem()?,
            "rsa" => pem()?,
            other => return Err(format!("unknown type {other:?}")),
        };
        let fits = match body.keytype.as_str() {
            "ed25519" => public.kind() == KeyKind::Ed25519,
            "rsa" => matches!(public.kind(), KeyKind::Rsa { .. }),
            _ => matches!(
                public.kind(),
                KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521
            ),
        };
        match fits {
            true => Ok(Self { public }),
            false => Err("of another type than it says".to_owned()),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let hash = HashAlgorithm::Sha256;
        match self.public.kind() {
            KeyKind::Rsa { .. } => self.public.verify_pss(hash, message, signature).is_ok(),
            _ => self.public.verify(hash, message, signature).is_ok(),
        }
    }
}

/// The canonical form that signatures are made over: members sorted, no space, integers only, and
/// no escapes but those of the quotation mark and the backslash.
fn print(value: &Value, out: &mut Vec<u8>) -> Result<(), MetadataError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(_) => return Err(MetadataError::Malformed("fraction".into())),
        Value::String(text) => print_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                print(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push(b'{');
            for (place, (name, member)) in sorted.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                print_text(name, out);
                out.push(b':');
                print(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn print_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// `2030-01-01T00:00:00Z`, with or without a fraction of a second, which is cut off.
fn timestamp(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let parts = |text: &str, separator| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text
            .split(separator)
            .map(|part| part.parse().ok())
            .collect();
        numbers?.try_into().ok()
    };
    let [year, month, day] = parts(date, '-')?;
    let [hour, minute, second] = parts(time, ':')?;
    let date = der::DateTime::new(
        u16::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
    )
    .ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date.unix_duration().as_secs()))
}

fn malformed(error: impl std::fmt::Display) -> MetadataError {
    MetadataError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_bytes_are_those_of_the_canonical_form() {
        let value = serde_json::json!({"b": [1, true, null], "a": "q\"\\\n\u{e9}/"});
        let mut out = Vec::new();
        print(&value, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":\"q\\\"\\\\\n\u{e9}/\",\"b\":[1,true,null]}"
        );
        assert!(print(&serde_json::json!(1.5), &mut Vec::new()).is_err());
    }

    #[test]
    fn times_are_utc() {
        let at = |text| {
            timestamp(text).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
        };
        assert_eq!(at("2030-01-01T00:00:00Z"), Some(1_893_456_000));
        assert_eq!(at("2030-01-01T00:00:00.5Z"), Some(1_893_456_000));
        for text in [
            "",
            "2030-01-01",
            "2030-13-01T00:00:00Z",
            "2030-01-01T00:00:00+01:00",
            "2030-01-01T00:00Z",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
