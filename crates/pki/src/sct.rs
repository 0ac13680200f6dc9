//! Signed certificate timestamps (RFC 6962 section 3).
//!
//! ```text
//! DigitallySigned   u8 hash (4 = SHA-256) | u8 signature (3 = ECDSA) | u16 length | signature
//! SCT               00 | log id[32] | u64 ms | u16 length | extensions | DigitallySigned
//! SCT list          u16 length | (u16 length | SCT)*
//! X.509 extension   OCTET STRING { OCTET STRING { SCT list } }
//! signing input     00 | 00 | u64 ms | u16 entry type | entry | u16 length | extensions
//! entry             u24 length | certificate, or issuer key hash[32] | u24 length | TBSCertificate
//! ```

use crate::certificate::Certificate;
use crate::{oid, tlv};

/// What a log certifies to have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtEntry<'a> {
    /// A DER certificate.
    X509(&'a [u8]),
    /// A precertificate.
    Precert {
        /// SHA-256 of the issuer's DER SPKI.
        issuer_key_hash: [u8; 32],
        /// DER TBSCertificate without the poison.
        tbs: &'a [u8],
    },
}

/// A log's promise, with an ECDSA signature over SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCertificateTimestamp {
    /// SHA-256 of the log's DER SPKI.
    pub log_id: [u8; 32],
    /// In ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// `CtExtensions`, at most 65535 bytes.
    pub extensions: Vec<u8>,
    /// DER ECDSA signature over [`signing_input`].
    pub signature: Vec<u8>,
}

/// Why bytes are not an SCT or cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed SCT: {0}")]
pub struct SctError(pub &'static str);

/// TLS `SignatureAndHashAlgorithm`: SHA-256, ECDSA.
const SHA256_ECDSA: [u8; 2] = [4, 3];

/// A TLS `DigitallySigned` with an ECDSA signature over SHA-256.
pub fn digitally_signed(signature: &[u8]) -> Result<Vec<u8>, SctError> {
    let mut out = SHA256_ECDSA.to_vec();
    put_u16(&mut out, signature)?;
    Ok(out)
}

/// The DER ECDSA signature inside a TLS `DigitallySigned`; refuses other algorithms.
pub fn parse_digitally_signed(bytes: &[u8]) -> Result<&[u8], SctError> {
    let mut input = Input(bytes);
    if input.array()? != SHA256_ECDSA {
        return Err(SctError("signature is not ECDSA with SHA-256"));
    }
    let signature = input.vector()?;
    input.end()?;
    Ok(signature)
}

/// What an SCT signs, which is also, byte for byte, the entry's `MerkleTreeLeaf`.
///
/// Fails for an empty entry, one of 2^24 bytes or more, and extensions of 2^16 bytes or more.
pub fn signing_input(
    entry: CtEntry<'_>,
    timestamp_ms: u64,
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    let (CtEntry::X509(body) | CtEntry::Precert { tbs: body, .. }) = entry;
    let mut out = Vec::with_capacity(2 + 8 + 2 + 32 + 3 + body.len() + 2 + extensions.len());
    out.extend([0, 0]);
    out.extend(timestamp_ms.to_be_bytes());
    match entry {
        CtEntry::X509(_) => out.extend([0, 0]),
        CtEntry::Precert {
            issuer_key_hash, ..
        } => {
            out.extend([0, 1]);
            out.extend(issuer_key_hash);
        }
    }
    put_u24(&mut out, body)?;
    put_u16(&mut out, extensions)?;
    Ok(out)
}

impl SignedCertificateTimestamp {
    /// The TLS encoding.
    pub fn encode(&self) -> Result<Vec<u8>, SctError> {
        let mut out = vec![0];
        out.extend(self.log_id);
        out.extend(self.timestamp_ms.to_be_bytes());
        put_u16(&mut out, &self.extensions)?;
        out.extend(digitally_signed(&self.signature)?);
        Ok(out)
    }

    /// Parses the TLS encoding; no trailing bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SctError> {
        let mut input = Input(bytes);
        if input.array()? != [0] {
            return Err(SctError("unknown version"));
        }
        let log_id = input.array()?;
        let timestamp_ms = u64::from_be_bytes(input.array()?);
        let extensions = input.vector()?.to_vec();
        let signature = parse_digitally_signed(input.0)?.to_vec();
        Ok(Self {
            log_id,
            timestamp_ms,
            extensions,
            signature,
        })
    }

    /// Verifies the signature over `entry` under a log's key, which must be the one that the SCT
    /// names and an ECDSA key.
    pub fn verify(&self, entry: CtEntry<'_>, log_key: &crypto::PublicKey) -> Result<(), SctError> {
        if self.log_id != log_key.key_id() {
            return Err(SctError("it is another log's"));
        }
        if !tlv::is_ecdsa_signature(&self.signature) {
            return Err(SctError("signature is not DER"));
        }
        let message = signing_input(entry, self.timestamp_ms, &self.extensions)?;
        log_key
            .verify(crypto::HashAlgorithm::Sha256, &message, &self.signature)
            .map_err(|_| SctError("the signature does not verify"))
    }
}

/// The TLS `SignedCertificateTimestampList`; at least one SCT.
pub fn encode_list(scts: &[SignedCertificateTimestamp]) -> Result<Vec<u8>, SctError> {
    let mut list = Vec::new();
    for sct in scts {
        put_u16(&mut list, &sct.encode()?)?;
    }
    if list.is_empty() {
        return Err(SctError("the list is empty"));
    }
    let mut out = Vec::with_capacity(2 + list.len());
    put_u16(&mut out, &list)?;
    Ok(out)
}

/// Parses a `SignedCertificateTimestampList`; at least one SCT.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    let mut input = Input(bytes);
    let mut list = Input(input.vector()?);
    input.end()?;
    let mut scts = Vec::new();
    while !list.0.is_empty() {
        scts.push(SignedCertificateTimestamp::decode(list.vector()?)?);
    }
    if scts.is_empty() {
        Err(SctError("the list is empty"))
    } else {
        Ok(scts)
    }
}

/// Content of the extension's `extnValue`: a DER OCTET STRING around the list.
pub fn extension_value(scts: &[SignedCertificateTimestamp]) -> Result<Vec<u8>, SctError> {
    Ok(tlv::encode(tlv::OCTET_STRING, &[&encode_list(scts)?]))
}

/// The inverse of [`extension_value`].
pub fn parse_extension_value(bytes: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    let octets = tlv::single(bytes, tlv::OCTET_STRING)
        .map_err(|_| SctError("the extension does not hold one OCTET STRING"))?;
    decode_list(octets.content)
}

/// The SCTs embedded in a certificate; empty if there is no such extension.
pub fn embedded(certificate_der: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    let certificate =
        Certificate::from_der(certificate_der).map_err(|_| SctError("not in a certificate"))?;
    match certificate.extension(oid::SCT_LIST) {
        Some(extension) => parse_extension_value(extension.value),
        None => Ok(Vec::new()),
    }
}

/// Appends a vector with a length of two octets.
fn put_u16(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SctError> {
    let length = u16::try_from(bytes.len()).map_err(|_| SctError("longer than 65535 bytes"))?;
    out.extend(length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a vector with a length of three octets; at least one byte (RFC 6962 section 3.2).
fn put_u24(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), SctError> {
    let [0, length @ ..] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes() else {
        return Err(SctError("longer than 16777215 bytes"));
    };
    if bytes.is_empty() {
        return Err(SctError("empty entry"));
    }
    out.extend(length);
    out.extend_from_slice(bytes);
    Ok(())
}

/// TLS presentation language, read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], SctError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(SctError("truncated"))?;
        self.0 = rest;
        Ok(*array)
    }

    fn vector(&mut self) -> Result<&'a [u8], SctError> {
        let length = u16::from_be_bytes(self.array()?);
        let (vector, rest) = self
            .0
            .split_at_checked(usize::from(length))
            .ok_or(SctError("truncated"))?;
        self.0 = rest;
        Ok(vector)
    }

    fn end(self) -> Result<(), SctError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SctError("trailing bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sct() -> impl Strategy<Value = SignedCertificateTimestamp> {
        let extensions = prop::collection::vec(any::<u8>(), 0..64);
        let signature = prop::collection::vec(any::<u8>(), 0..128);
        (any::<[u8; 32]>(), any::<u64>(), extensions, signature).prop_map(
            |(log_id, timestamp_ms, extensions, signature)| SignedCertificateTimestamp {
                log_id,
                timestamp_ms,
                extensions,
                signature,
            },
        )
    }

    #[test]
    fn the_signing_input_has_the_layout_of_rfc_6962() {
        let x509 = signing_input(CtEntry::X509(b"cert"), 0x0102_0304_0506_0708, b"").unwrap();
        assert_eq!(
            x509,
            b"\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x00\x04cert\x00\x00"
        );
        let entry = CtEntry::Precert {
            issuer_key_hash: [0xaa; 32],
            tbs: b"tbs",
        };
        let precert = signing_input(entry, 1, b"ext").unwrap();
        let expected = [
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1][..],
            &[0xaa; 32],
            b"\0\0\x03tbs",
            b"\0\x03ext",
        ]
        .concat();
        assert_eq!(precert, expected);
    }

    #[test]
    fn the_extension_wraps_the_list_in_one_octet_string() {
        let sct = SignedCertificateTimestamp {
            log_id: [7; 32],
            timestamp_ms: 0x0198_0000_0000,
            extensions: Vec::new(),
            signature: vec![0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01],
        };
        let expected = [
            &[0x04, 0x3b, 0x00, 0x39, 0x00, 0x37, 0x00][..],
            &[7; 32],
            &[0, 0, 0x01, 0x98, 0, 0, 0, 0, 0, 0, 4, 3, 0, 8],
            &sct.signature,
        ]
        .concat();
        assert_eq!(
            extension_value(std::slice::from_ref(&sct)).unwrap(),
            expected
        );
        // The list without its inner OCTET STRING is the classic mistake.
        assert!(parse_extension_value(&expected[2..]).is_err());
        assert_eq!(parse_extension_value(&expected).unwrap(), [sct]);
    }

    #[test]
    fn other_algorithms_versions_and_lengths_are_refused() {
        assert!(parse_digitally_signed(&[4, 1, 0, 0]).is_err(), "RSA");
        assert!(parse_digitally_signed(&[5, 3, 0, 0]).is_err(), "SHA-384");
        assert!(parse_digitally_signed(&[4, 3, 0, 1]).is_err(), "truncated");
        assert!(
            parse_digitally_signed(&[4, 3, 0, 0, 0]).is_err(),
            "trailing"
        );
        assert!(decode_list(&[0, 0]).is_err(), "empty");
        assert!(encode_list(&[]).is_err(), "empty");
        assert!(
            signing_input(CtEntry::X509(b""), 0, b"").is_err(),
            "empty entry"
        );
        assert!(
            signing_input(CtEntry::X509(&vec![0; 1 << 24]), 0, b"").is_err(),
            "long entry"
        );
        assert!(
            signing_input(CtEntry::X509(b"a"), 0, &vec![0; 1 << 16]).is_err(),
            "long extensions"
        );
    }

    proptest! {
        #[test]
        fn lists_survive_a_round_trip(scts in prop::collection::vec(sct(), 1..5)) {
            prop_assert_eq!(parse_extension_value(&extension_value(&scts).unwrap()).unwrap(), scts);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..96), sct in sct()) {
            if let Ok(list) = decode_list(&bytes) {
                prop_assert_eq!(encode_list(&list).unwrap(), bytes.clone());
            }
            // Damage anywhere is refused or decodes to something that encodes to the same bytes.
            let mut encoded = sct.encode().unwrap();
            let at = bytes.pop().map_or(0, usize::from) % encoded.len();
            encoded[at] ^= 1 | bytes.pop().unwrap_or(0);
            if let Ok(decoded) = SignedCertificateTimestamp::decode(&encoded) {
                prop_assert_eq!(decoded.encode().unwrap(), encoded);
            }
        }
    }
}
