//! DSSE envelopes: every signature must be matched with a key (DSSE protocol, "Verification").

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use crypto::{HashAlgorithm, KeyKind, PublicKey};

use super::{EntryError, Verifier};

/// Most signatures, and most verifiers, of one envelope. Matching tries every pair: 32 × 32
/// verifications at the slowest curve's 0.5 ms bound one entry to half a second of one thread.
const MAX_SIGNATURES: usize = 32;

/// The other alphabet that DSSE allows.
const URL_SAFE_ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// What an envelope's signatures cover, with the signatures' texts.
pub(super) struct Signed<'a> {
    pub(super) payload: &'a str,
    pub(super) payload_type: &'a str,
    pub(super) signatures: Vec<&'a str>,
}

/// A signature with the key that made it.
pub(super) struct Matched<'a> {
    pub(super) signature: &'a str,
    pub(super) verifier: Verifier,
}

/// A verified envelope.
pub(super) struct VerifiedEnvelope<'a> {
    pub(super) payload: Vec<u8>,
    pub(super) matched: Vec<Matched<'a>>,
}

/// Decodes standard or URL-safe base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    wire::rekor::decode_base64(text).or_else(|| URL_SAFE_ENGINE.decode(text).ok())
}

/// Verifies `signed` with PEM keys, in their order.
///
/// Each key must verify one signature at least, and takes the first that it verifies; once every
/// signature has its key, further keys are not looked at. Equal signatures count as one.
pub(super) fn verify<'a>(
    signed: &Signed<'a>,
    keys: &[Vec<u8>],
) -> Result<VerifiedEnvelope<'a>, EntryError> {
    check_count(keys.len())?;
    let decoded = Decoded::new(signed)?;
    let mut open: Vec<&str> = signed.signatures.clone();
    open.sort_unstable();
    open.dedup();
    let mut matched: Vec<Matched<'a>> = Vec::new();
    for pem in keys {
        if open.is_empty() {
            break;
        }
        let verifier = Verifier::parse(pem).map_err(|error| {
            EntryError::Invalid(format!("could not parse public key as x509: {error}"))
        })?;
        let signature = decoded.signature_of(&verifier)?;
        open.retain(|other| *other != signature);
        // A later key for the same signature replaces the earlier one.
        matched.retain(|other| other.signature != signature);
        matched.push(Matched {
            signature,
            verifier,
        });
    }
    match open.is_empty() {
        true => Ok(VerifiedEnvelope {
            payload: decoded.payload,
            matched,
        }),
        false => Err(EntryError::invalid(
            "all signatures must have a key that verifies it",
        )),
    }
}

/// Verifies that one of the signatures is by `verifier`; returns the payload.
pub(super) fn verify_one(signed: &Signed<'_>, verifier: &Verifier) -> Result<Vec<u8>, EntryError> {
    let decoded = Decoded::new(signed)?;
    decoded.signature_of(verifier)?;
    Ok(decoded.payload)
}

/// Refuses more signatures, or keys, than an envelope may have: parsing a key takes longer than
/// sending one.
pub(super) fn check_count(count: usize) -> Result<(), EntryError> {
    match count {
        0..=MAX_SIGNATURES => Ok(()),
        _ => Err(EntryError::Invalid(format!(
            "more than {MAX_SIGNATURES} signatures or verifiers"
        ))),
    }
}

/// An envelope out of its base64.
struct Decoded<'a> {
    payload: Vec<u8>,
    signatures: Vec<(&'a str, Vec<u8>)>,
    message: Message,
}

impl<'a> Decoded<'a> {
    fn new(signed: &Signed<'a>) -> Result<Self, EntryError> {
        check_count(signed.signatures.len())?;
        let undecodable = || {
            EntryError::invalid(
                "could not verify envelope: unable to base64 decode payload (is payload in the right format?)",
            )
        };
        let payload = decode(signed.payload).ok_or_else(undecodable)?;
        let signatures = signed
            .signatures
            .iter()
            .map(|text| {
                let signature = decode(text).ok_or_else(undecodable)?;
                Ok((*text, signature))
            })
            .collect::<Result<Vec<_>, EntryError>>()?;
        let message = Message::new(signed.payload_type, &payload);
        Ok(Self {
            payload,
            signatures,
            message,
        })
    }

    /// The first signature by a key.
    fn signature_of(&self, verifier: &Verifier) -> Result<&'a str, EntryError> {
        let found = self
            .signatures
            .iter()
            .find(|(_, signature)| self.message.is_signed_by(verifier.key(), signature));
        found.map(|(text, _)| *text).ok_or_else(|| {
            EntryError::invalid(
                "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1",
            )
        })
    }
}

/// The pre-authentication encoding, hashed once for all keys that sign digests.
struct Message {
    encoded: Vec<u8>,
    digest: crypto::Digest,
}

impl Message {
    fn new(payload_type: &str, payload: &[u8]) -> Self {
        let head = format!(
            "DSSEv1 {} {payload_type} {} ",
            payload_type.len(),
            payload.len()
        );
        let mut encoded = Vec::with_capacity(head.len() + payload.len());
        encoded.extend_from_slice(head.as_bytes());
        encoded.extend_from_slice(payload);
        let digest = HashAlgorithm::Sha256.digest(&encoded);
        Self { encoded, digest }
    }

    fn is_signed_by(&self, key: &PublicKey, signature: &[u8]) -> bool {
        match key.kind() {
            KeyKind::Ed25519 => key
                .verify(HashAlgorithm::Sha256, &self.encoded, signature)
                .is_ok(),
            _ => key.verify_digest(&self.digest, signature).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_decode() {
        assert_eq!(decode("+/8=").unwrap(), [0xfb, 0xff]);
        assert_eq!(decode("-_8=").unwrap(), [0xfb, 0xff]);
        assert_eq!(decode("+_8="), None);
    }

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let message = Message::new("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            message.encoded,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
