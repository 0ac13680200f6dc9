//! Versions, times, hashes and names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use wire::trust::Timestamp as Time;

/// A version of metadata: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version(u64);

impl Version {
    /// The first version.
    pub const FIRST: Self = Self(1);

    /// The largest version that is accepted: leaves room below 2^53 for every later one.
    pub const MAX: u64 = 1 << 40;

    /// Version `number`; `None` if it is 0 or beyond [`Self::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if 1 <= number && number <= Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next version.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("not a version number"))
    }
}

/// The end of a document's validity, `2026-01-31T12:00:00Z`: whole seconds, nothing else, since
/// half of the clients fail on fractions or offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expires(u64);

impl Expires {
    /// Expiry at `secs` seconds since the Unix epoch; `None` after the year 2999.
    #[must_use]
    pub fn at_secs(secs: u64) -> Option<Self> {
        Time::from_secs(secs).ok().map(|_| Self(secs))
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Whether a client refuses the document at `now`, in seconds since the Unix epoch.
    #[must_use]
    pub const fn is_past(self, now_secs: u64) -> bool {
        self.0 <= now_secs
    }

    /// Seconds left at `now`; 0 if expired.
    #[must_use]
    pub const fn seconds_left(self, now_secs: u64) -> u64 {
        self.0.saturating_sub(now_secs)
    }
}

impl fmt::Display for Expires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Time::from_secs(self.0).map_err(|_| fmt::Error)?.fmt(f)
    }
}

impl Serialize for Expires {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expires {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Time = text.parse().map_err(D::Error::custom)?;
        let expires = Self(time.as_secs());
        match expires.to_string() == text {
            true => Ok(expires),
            false => Err(D::Error::custom("expiry with a fraction of a second")),
        }
    }
}

/// The version of the TUF specification that is written: `1.0.31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    /// 1.0.31.
    #[serde(rename = "1.0.31")]
    V1_0_31,
}

/// A SHA-256 hash, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The hash of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(crypto::sha256(content))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = [0; 32];
        let lower = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
            true => Ok(Self(bytes)),
            false => Err(NameError("not 64 lower-case hexadecimal digits")),
        }
    }
}

/// Identifier of a key: SHA-256 of the canonical JSON of the key object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub Sha256);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// Name of a target file: 1 to 100 of `a-z 0-9 . _ -`, starting with a letter or digit. No
/// folders: clients disagree about where the hash goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

/// Not a hash or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(&'static str);

impl TargetName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TargetName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let valid = text
            .bytes()
            .all(|b| letter(b) || matches!(b, b'.' | b'_' | b'-'))
            && text.bytes().next().is_some_and(letter)
            && text.len() <= 100;
        match valid {
            true => Ok(Self(text.to_owned())),
            false => Err(NameError(
                "a target name has 1 to 100 characters of a-z, 0-9, '.', '_' and '-', and starts with a letter or digit",
            )),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Sha256, KeyId, TargetName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_has_whole_seconds_in_utc_only() {
        let expires: Expires = serde_json::from_str("\"2026-02-28T23:59:59Z\"").unwrap();
        assert_eq!(expires.as_secs(), 1_772_323_199);
        assert_eq!(expires.to_string(), "2026-02-28T23:59:59Z");
        for text in [
            "2026-02-28T23:59:59.000Z",
            "2026-02-28T23:59:59.5Z",
            "2026-02-28T23:59:59+00:00",
            "2026-02-28 23:59:59Z",
            "2026-02-29T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert!(
                serde_json::from_str::<Expires>(&format!("{text:?}")).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_document_is_expired_from_its_expiry_on() {
        let expires = Expires::at_secs(100).unwrap();
        assert!(!expires.is_past(99));
        assert!(expires.is_past(100));
        assert_eq!(expires.seconds_left(90), 10);
        assert_eq!(expires.seconds_left(110), 0);
    }

    #[test]
    fn target_names_are_flat_and_portable() {
        for good in ["trusted_root.json", "fulcio_v1.crt.pem", "rekor.pub", "0"] {
            assert_eq!(good.parse::<TargetName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".hidden",
            "a/b",
            "../x",
            "A.pem",
            "a b",
            "ä",
            &"x".repeat(101),
        ] {
            assert!(bad.parse::<TargetName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hashes_are_lower_case() {
        let hash = Sha256::of(b"");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().to_uppercase().parse::<Sha256>().is_err());
        assert!("00".parse::<Sha256>().is_err());
    }

    #[test]
    fn versions_start_at_one() {
        assert!(serde_json::from_str::<Version>("0").is_err());
        assert!(serde_json::from_str::<Version>("1.0").is_err());
        assert_eq!(
            serde_json::from_str::<Version>("7").unwrap(),
            Version::new(7).unwrap()
        );
    }
}
