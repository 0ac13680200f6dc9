//! `cose`: a `COSE_Sign1` message (RFC 9052 section 4.2), PS256 or ES256.

use coset::{CborSerializable as _, Header, ProtectedHeader, SignatureContext};
use crypto::{HashAlgorithm, KeyKind, VerifyError};
use wire::rekor::Digest;
use wire::rekor::cose::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, statement};

/// Longest headers, in bytes. What is parsed takes many times its encoded length in memory.
const MAX_HEADERS: usize = 64 * 1024;

/// The tag of a `COSE_Sign1`, and the array of four that it must be.
const SIGN1: &[u8] = &[0xd2, 0x84];

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed = from_spec(spec)?;
    let key = proposed
        .public_key
        .filter(|key| !key.0.is_empty())
        .ok_or_else(|| EntryError::missing_member("publicKey"))?;
    let verifier = Verifier::parse(&key.0)?;
    let message = proposed
        .message
        .filter(|message| !message.0.is_empty())
        .ok_or(EntryError::NotInsertable("missing message"))?
        .0;
    let data = proposed
        .data
        .ok_or_else(|| EntryError::invalid("cose object data cannot be nil"))?;
    let sign1 = Sign1::parse(&message)?;
    let payload = sign1.payload;
    let aad = data.aad.unwrap_or_default().0;
    let header = verify_signature(&verifier, &sign1, &aad)?;

    let envelope_hash = hex::encode(crypto::sha256(&message));
    let payload_hash = hex::encode(crypto::sha256(payload));
    let mut terms = Terms::default();
    terms.add_verifier(&verifier);
    terms.add_digest("sha256", &envelope_hash);
    terms.add_digest("sha256", &payload_hash);
    if is_statement(&header) {
        statement::add_digests(payload, &mut terms);
    }
    let sha256 = |value| Digest {
        algorithm: "sha256",
        value,
    };
    let body = body(
        sha256(&envelope_hash),
        sha256(&payload_hash),
        verifier.canonical(),
    );
    let attestation = match message.len() <= limits.attestation {
        true => message,
        false => Vec::new(),
    };
    Ok(Verified::new(KIND, body, attestation, terms))
}

/// The parts of a message. Nothing but the protected headers is taken apart.
struct Sign1<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Sign1<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, EntryError> {
        let malformed = || EntryError::invalid("cbor: not a COSE_Sign1 message");
        let rest = message.strip_prefix(SIGN1).ok_or_else(malformed)?;
        let (protected, rest) = byte_string(rest).ok_or_else(malformed)?;
        let after = skip_item(rest).ok_or_else(malformed)?;
        if protected.len() + rest.len() - after.len() > MAX_HEADERS {
            return Err(EntryError::invalid("cose headers are too long"));
        }
        if after.first() == Some(&0xf6) {
            return Err(EntryError::invalid("cose message without payload"));
        }
        let (payload, rest) = byte_string(after).ok_or_else(malformed)?;
        let (signature, rest) = byte_string(rest).ok_or_else(malformed)?;
        match rest {
            [] => Ok(Self {
                protected,
                payload,
                signature,
            }),
            _ => Err(malformed()),
        }
    }
}

/// The head of an item (RFC 8949 section 3): major type and argument. Indefinite lengths, which
/// COSE messages need not have, are malformed.
fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let more = match first & 0x1f {
        short @ 0..=23 => return Some((first >> 5, u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(more)?;
    let argument = argument
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((first >> 5, argument, rest))
}

fn byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match head(bytes)? {
        (2, length, rest) => rest.split_at_checked(usize::try_from(length).ok()?),
        _ => None,
    }
}

/// What follows one item, however deeply nested it is.
fn skip_item(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    let mut pending = 1u64;
    while let Some(left) = pending.checked_sub(1) {
        let (major, argument, after) = head(rest)?;
        (pending, rest) = match major {
            2 | 3 => (left, after.get(usize::try_from(argument).ok()?..)?),
            4 => (left.checked_add(argument)?, after),
            5 => (left.checked_add(argument.checked_mul(2)?)?, after),
            6 => (left.checked_add(1)?, after),
            _ => (left, after),
        };
    }
    Some(rest)
}

/// Verifies the signature; returns the protected headers.
fn verify_signature(
    verifier: &Verifier,
    sign1: &Sign1<'_>,
    aad: &[u8],
) -> Result<Header, EntryError> {
    use coset::iana::Algorithm::{ES256, PS256};
    let key = verifier.key();
    let expected = match key.kind() {
        KeyKind::Rsa { .. } => PS256,
        KeyKind::EcdsaP256 => ES256,
        KeyKind::EcdsaP384 => return Err(unsupported("elliptic curve P-384")),
        KeyKind::EcdsaP521 => return Err(unsupported("elliptic curve P-521")),
        KeyKind::Ed25519 => return Err(unsupported("algorithm type Ed25519")),
    };
    let header = match sign1.protected {
        [] => Header::default(),
        encoded => Header::from_slice(encoded)
            .map_err(|error| EntryError::Invalid(format!("cbor: protected headers: {error}")))?,
    };
    if header.alg != Some(coset::RegisteredLabelWithPrivate::Assigned(expected)) {
        return Err(EntryError::invalid(
            "algorithm mismatch between message and key",
        ));
    }
    if !header.crit.is_empty() {
        // RFC 9052 section 3.1: who does not understand a critical header must refuse.
        return Err(EntryError::invalid("critical headers are not supported"));
    }
    let protected = ProtectedHeader {
        original_data: Some(sign1.protected.to_vec()),
        header: header.clone(),
    };
    let context = SignatureContext::CoseSign1;
    let message = coset::sig_structure_data(context, protected, None, aad, sign1.payload);
    let signature = sign1.signature;
    let verified = match expected {
        PS256 => key.verify_pss(HashAlgorithm::Sha256, &message, signature),
        // RFC 9053 section 2.1: r and s, of fixed length.
        _ if signature.len() != 64 => Err(VerifyError::Invalid),
        _ => key.verify(HashAlgorithm::Sha256, &message, signature),
    };
    verified.map_err(|_| EntryError::invalid("verification error"))?;
    Ok(header)
}

fn unsupported(what: &str) -> EntryError {
    EntryError::Invalid(format!("unsupported {what}"))
}

fn is_statement(header: &Header) -> bool {
    matches!(
        &header.content_type,
        Some(coset::ContentType::Text(text)) if text == statement::PAYLOAD_TYPE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_skipped_at_any_depth_and_never_past_the_end() {
        assert_eq!(
            skip_item(b"\xa1\x01\x82\x41a\x02\xf6rest"),
            Some(&b"\xf6rest"[..])
        );
        let deep = [vec![0x81; 1 << 20], vec![0x00]].concat();
        assert_eq!(skip_item(&deep), Some(&[][..]));
        for malformed in [
            &b""[..],
            b"\x81",
            b"\x43ab",
            b"\x9f\xff",
            b"\x1c",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(skip_item(malformed), None, "{malformed:02x?}");
        }
    }
}
