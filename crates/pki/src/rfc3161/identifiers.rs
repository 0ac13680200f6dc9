//! Object identifiers of timestamps.

use std::fmt;
use std::str::FromStr;

use crypto::HashAlgorithm;
use der::asn1::ObjectIdentifier;

/// 1.2.840.113549.1.7.2 (RFC 5652 section 5.1).
pub(crate) const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.3.
pub(crate) const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.2.840.113549.1.9.4.
pub(crate) const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.9.5.
pub(super) const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
/// 1.2.840.113549.1.9.16.1.4 (RFC 3161 section 2.4.2).
pub(crate) const TST_INFO: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
/// 1.2.840.113549.1.9.16.2.47 (RFC 5035 section 3).
pub(super) const SIGNING_CERTIFICATE_V2: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f,
];

/// 2.16.840.1.101.3.4.2.1.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 2.16.840.1.101.3.4.2.2.
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
/// 2.16.840.1.101.3.4.2.3.
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// 1.3.14.3.2.26.
pub(super) const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// 1.2.840.113549.2.5.
pub(super) const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];

/// The content octets of a hash's object identifier.
pub(super) const fn of_hash(hash: HashAlgorithm) -> &'static [u8] {
    match hash {
        HashAlgorithm::Sha256 => SHA256,
        HashAlgorithm::Sha384 => SHA384,
        HashAlgorithm::Sha512 => SHA512,
    }
}

/// The hash with this object identifier, if timestamps may be made over it.
pub(crate) fn hash_of(oid: &[u8]) -> Option<HashAlgorithm> {
    [
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
    ]
    .into_iter()
    .find(|hash| of_hash(*hash) == oid)
}

/// A TSA policy: the object identifier of the rules that a token was made under.
///
/// At most 39 octets encoded, which also bounds the work of parsing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy(ObjectIdentifier);

/// Not an object identifier, or one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier")]
pub struct PolicyError;

impl Policy {
    /// The policy of the public Sigstore's timestamp authority, and the default here.
    pub const SIGSTORE: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2"));

    /// From the content octets of the DER encoding.
    pub(super) fn from_octets(octets: &[u8]) -> Result<Self, PolicyError> {
        ObjectIdentifier::from_bytes(octets)
            .map(Self)
            .map_err(|_| PolicyError)
    }

    /// The content octets of the DER encoding.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    /// From dotted decimals.
    fn from_str(dotted: &str) -> Result<Self, PolicyError> {
        ObjectIdentifier::new(dotted)
            .map(Self)
            .map_err(|_| PolicyError)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_those_of_the_dotted_forms() {
        for (octets, dotted) in [
            (SIGNED_DATA, "1.2.840.113549.1.7.2"),
            (CONTENT_TYPE, "1.2.840.113549.1.9.3"),
            (MESSAGE_DIGEST, "1.2.840.113549.1.9.4"),
            (SIGNING_TIME, "1.2.840.113549.1.9.5"),
            (TST_INFO, "1.2.840.113549.1.9.16.1.4"),
            (SIGNING_CERTIFICATE_V2, "1.2.840.113549.1.9.16.2.47"),
            (SHA256, "2.16.840.1.101.3.4.2.1"),
            (SHA384, "2.16.840.1.101.3.4.2.2"),
            (SHA512, "2.16.840.1.101.3.4.2.3"),
            (SHA1, "1.3.14.3.2.26"),
            (MD5, "1.2.840.113549.2.5"),
        ] {
            assert_eq!(
                ObjectIdentifier::new_unwrap(dotted).as_bytes(),
                octets,
                "{dotted}"
            );
        }
    }

    #[test]
    fn endless_policies_are_refused() {
        assert!("1.3.6.1.4.1.57264.2".parse::<Policy>().is_ok());
        for endless in [
            "1.2".to_owned() + &".1".repeat(100_000),
            ".".repeat(100_000),
            "9".repeat(100_000),
        ] {
            assert_eq!(endless.parse::<Policy>(), Err(PolicyError));
        }
        assert_eq!(Policy::from_octets(&[1; 100_000]), Err(PolicyError));
        assert_eq!(
            Policy::from_octets(&[0x2a, 0x80]),
            Err(PolicyError),
            "an unfinished arc"
        );
    }
}
