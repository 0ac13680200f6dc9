//! Requests (RFC 3161 section 2.4.1).

use crypto::Digest;

use super::identifiers::{self, Policy};
use crate::tlv::{self, DerError, Element};

/// Longest nonce, in octets; clients send 8 to 20.
pub const MAX_NONCE: usize = 64;

/// A request for a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// DER `MessageImprint`, to be repeated in the token as it is.
    imprint: Vec<u8>,
    digest: Digest,
    policy: Option<Policy>,
    /// DER INTEGER, not negative.
    nonce: Option<Vec<u8>>,
    certificates: bool,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a DER `TimeStampReq`.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// A hash that no longer resists collisions.
    #[error("weak hash algorithm")]
    WeakHash,
    /// A hash other than SHA-256, SHA-384 and SHA-512.
    #[error("unsupported hash algorithm")]
    UnsupportedHash,
    /// The digest's length is not its algorithm's.
    #[error("message digest has incorrect length for specified algorithm")]
    DigestLength,
    /// Extensions; none is defined for requests, so all of them are unknown.
    #[error("extensions are not supported")]
    Extension,
    /// A negative nonce, which some verifiers cannot read, or one longer than [`MAX_NONCE`].
    #[error("the nonce is negative or too long")]
    Nonce,
}

impl From<DerError> for RequestError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.0)
    }
}

impl Request {
    /// A request over `digest`. `nonce` is a magnitude in big-endian octets.
    pub fn new(
        digest: Digest,
        policy: Option<Policy>,
        nonce: Option<&[u8]>,
        certificates: bool,
    ) -> Result<Self, RequestError> {
        let hash = tlv::encode(tlv::OID, &[identifiers::of_hash(digest.algorithm())]);
        let imprint = tlv::encode(
            tlv::SEQUENCE,
            &[
                &tlv::encode(tlv::SEQUENCE, &[&hash]),
                &tlv::encode(tlv::OCTET_STRING, &[digest.as_bytes()]),
            ],
        );
        let nonce = nonce.map(unsigned_integer).transpose()?;
        Ok(Self {
            imprint,
            digest,
            policy,
            nonce,
            certificates,
        })
    }

    /// Parses a DER `TimeStampReq` without trailing bytes.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let mut fields = tlv::single(der, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        if fields.expect(tlv::INTEGER)?.content != [1] {
            return Err(RequestError::Malformed("version is not 1"));
        }
        let imprint = fields.expect(tlv::SEQUENCE)?;
        let policy = match fields.optional(tlv::OID)? {
            None => None,
            Some(oid) => Some(Policy::from_octets(oid.content).map_err(|_| {
                RequestError::Malformed("the policy is not an object identifier of usual length")
            })?),
        };
        let nonce = fields
            .optional(tlv::INTEGER)?
            .map(check_nonce)
            .transpose()?;
        let certificates = match fields
            .optional(tlv::BOOLEAN)?
            .map(tlv::boolean)
            .transpose()?
        {
            None => false,
            Some(true) => true,
            Some(false) => {
                return Err(RequestError::Malformed(
                    "DER leaves out a BOOLEAN at its default",
                ));
            }
        };
        if fields.optional(tlv::constructed(0))?.is_some() {
            return Err(RequestError::Extension);
        }
        fields.end()?;
        let digest = parse_imprint(imprint)?;
        Ok(Self {
            imprint: imprint.raw.to_vec(),
            digest,
            policy,
            nonce,
            certificates,
        })
    }

    /// The digest to put a time on.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The policy that the token must be made under.
    #[must_use]
    pub const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// Whether the token is to hold the signer's certificate.
    #[must_use]
    pub const fn wants_certificates(&self) -> bool {
        self.certificates
    }

    pub(super) fn imprint(&self) -> &[u8] {
        &self.imprint
    }

    /// The DER INTEGER to be repeated in the token.
    pub(super) fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }
}

fn parse_imprint(imprint: Element<'_>) -> Result<Digest, RequestError> {
    let mut fields = imprint.open(tlv::SEQUENCE)?;
    let mut algorithm = fields.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
    let oid = algorithm.expect(tlv::OID)?.content;
    // Parameters of hashes are absent or NULL (RFC 5754 section 2).
    if let Some(null) = algorithm.optional(tlv::NULL)?
        && !null.content.is_empty()
    {
        return Err(RequestError::Malformed("a NULL is not empty"));
    }
    algorithm.end()?;
    let bytes = fields.expect(tlv::OCTET_STRING)?.content;
    fields.end()?;
    if oid == identifiers::SHA1 || oid == identifiers::MD5 {
        return Err(RequestError::WeakHash);
    }
    let hash = identifiers::hash_of(oid).ok_or(RequestError::UnsupportedHash)?;
    // Compared before it is copied: the octets may be as many as the body.
    if bytes.len() != hash.len() {
        return Err(RequestError::DigestLength);
    }
    Digest::new(hash, bytes.to_vec()).ok_or(RequestError::DigestLength)
}

fn check_nonce(integer: Element<'_>) -> Result<Vec<u8>, RequestError> {
    match integer.content {
        [] => Err(RequestError::Malformed("an INTEGER is empty")),
        [0x00, next, ..] if *next < 0x80 => Err(RequestError::Malformed(
            "an INTEGER is not in its shortest form",
        )),
        // One octet more than the magnitude may be the sign's.
        [first, ..] if *first >= 0x80 || integer.content.len() > MAX_NONCE + 1 => {
            Err(RequestError::Nonce)
        }
        _ => Ok(integer.raw.to_vec()),
    }
}

/// DER INTEGER of a magnitude in big-endian octets.
fn unsigned_integer(magnitude: &[u8]) -> Result<Vec<u8>, RequestError> {
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let significant = magnitude.get(zeros..).unwrap_or_default();
    if significant.len() > MAX_NONCE {
        return Err(RequestError::Nonce);
    }
    let sign: &[u8] = if significant.first().is_none_or(|octet| *octet >= 0x80) {
        &[0]
    } else {
        &[]
    };
    Ok(tlv::encode(tlv::INTEGER, &[sign, significant]))
}

#[cfg(test)]
mod tests {
    use crypto::HashAlgorithm;
    use proptest::prelude::*;

    use super::*;

    const SHA256_IDENTIFIER: &[u8] = &[0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    const SHA256_WITH_NULL: &[u8] = &[
        0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0,
    ];

    fn imprint(algorithm: &[u8], length: usize) -> Vec<u8> {
        tlv::encode(0x30, &[algorithm, &tlv::encode(4, &[&vec![7; length]])])
    }

    fn request(fields: &[&[u8]]) -> Result<Request, RequestError> {
        let imprint = imprint(SHA256_IDENTIFIER, 32);
        let mut parts: Vec<&[u8]> = vec![&[2, 1, 1], &imprint];
        parts.extend(fields);
        Request::from_der(&tlv::encode(0x30, &parts))
    }

    fn with_imprint(imprint: &[u8]) -> Result<Request, RequestError> {
        Request::from_der(&tlv::encode(0x30, &[&[2, 1, 1], imprint]))
    }

    #[test]
    fn every_optional_field_is_read() {
        let plain = request(&[]).unwrap();
        assert_eq!(
            plain.digest(),
            &Digest::new(HashAlgorithm::Sha256, vec![7; 32]).unwrap()
        );
        assert_eq!(
            (plain.policy(), plain.nonce(), plain.wants_certificates()),
            (None, None, false)
        );
        let policy = tlv::encode(6, &[Policy::SIGSTORE.as_octets()]);
        let full = request(&[&policy, &[2, 2, 0, 0x80], &[1, 1, 0xff]]).unwrap();
        assert_eq!(full.policy(), Some(&Policy::SIGSTORE));
        assert_eq!(
            (full.nonce(), full.wants_certificates()),
            (Some(&[2, 2, 0, 0x80][..]), true)
        );
    }

    #[test]
    fn the_imprint_is_kept_with_the_parameters_of_its_algorithm() {
        for algorithm in [SHA256_IDENTIFIER, SHA256_WITH_NULL] {
            let imprint = imprint(algorithm, 32);
            assert_eq!(with_imprint(&imprint).unwrap().imprint(), imprint);
        }
    }

    #[test]
    fn weak_unknown_and_mismatched_hashes_are_told_apart() {
        let sha1 = tlv::encode(0x30, &[&tlv::encode(6, &[identifiers::SHA1])]);
        assert_eq!(
            with_imprint(&imprint(&sha1, 20)),
            Err(RequestError::WeakHash)
        );
        let sha224 = [0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4];
        assert_eq!(
            with_imprint(&imprint(&sha224, 28)),
            Err(RequestError::UnsupportedHash)
        );
        let sha3 = [0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8];
        assert_eq!(
            with_imprint(&imprint(&sha3, 32)),
            Err(RequestError::UnsupportedHash)
        );
        let sha512 = [0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
        assert_eq!(
            with_imprint(&imprint(&sha512, 32)),
            Err(RequestError::DigestLength)
        );
        assert_eq!(
            with_imprint(&imprint(SHA256_IDENTIFIER, 1_000_000)),
            Err(RequestError::DigestLength)
        );
    }

    #[test]
    fn nonces_are_positive_shortest_and_bounded() {
        for good in [&[2, 1, 0][..], &[2, 1, 0x7f], &[2, 2, 0, 0x80]] {
            assert_eq!(request(&[good]).unwrap().nonce(), Some(good));
        }
        assert_eq!(request(&[&[2, 1, 0x80]]), Err(RequestError::Nonce));
        assert_eq!(
            request(&[&tlv::encode(2, &[&[0x7f; 66]])]),
            Err(RequestError::Nonce)
        );
        assert!(matches!(
            request(&[&[2, 0]]),
            Err(RequestError::Malformed(_))
        ));
        assert!(matches!(
            request(&[&[2, 2, 0, 0x7f]]),
            Err(RequestError::Malformed(_))
        ));
    }

    #[test]
    fn a_made_request_has_the_nonce_in_der() {
        let digest = || Digest::new(HashAlgorithm::Sha256, vec![7; 32]).unwrap();
        for (magnitude, encoded) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0, 0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
        ] {
            assert_eq!(
                Request::new(digest(), None, Some(magnitude), false)
                    .unwrap()
                    .nonce(),
                Some(encoded)
            );
        }
        assert_eq!(
            Request::new(digest(), None, Some(&[1; 65]), false),
            Err(RequestError::Nonce)
        );
    }

    #[test]
    fn what_is_not_der_or_not_a_request_is_refused() {
        let imprint = imprint(SHA256_IDENTIFIER, 32);
        let good = tlv::encode(0x30, &[&[2, 1, 1], &imprint]);
        assert!(Request::from_der(&good).is_ok());
        let trailing = [&good[..], &[0]].concat();
        let version = tlv::encode(0x30, &[&[2, 1, 2], &imprint]);
        let indefinite = [&[0x30, 0x80][..], &good[2..], &[0, 0]].concat();
        for bad in [
            &b""[..],
            b"garbage",
            &trailing,
            &version,
            &indefinite,
            &good[..good.len() - 1],
        ] {
            assert!(
                matches!(Request::from_der(bad), Err(RequestError::Malformed(_))),
                "{bad:02x?}"
            );
        }
        for field in [&[1, 1, 0][..], &[1, 1, 1], &[0x81, 0], &[5, 0]] {
            assert!(
                matches!(request(&[field]), Err(RequestError::Malformed(_))),
                "{field:02x?}"
            );
        }
        assert_eq!(request(&[&[0xa0, 0]]), Err(RequestError::Extension));
        let policy = tlv::encode(6, &[&[1; 100_000]]);
        assert!(matches!(
            request(&[&policy]),
            Err(RequestError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_accepts_only_what_it_would_write(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::from_der(&bytes);
        }

        #[test]
        fn a_changed_octet_is_refused_or_seen(position in 0usize..57, change in 1u8..) {
            let original = tlv::encode(0x30, &[&[2, 1, 1], &imprint(SHA256_IDENTIFIER, 32), &[2, 1, 5], &[1, 1, 0xff]]);
            let mut changed = original.clone();
            if let Some(octet) = changed.get_mut(position) {
                *octet ^= change;
                prop_assert_ne!(Request::from_der(&changed), Request::from_der(&original));
            }
        }
    }
}
