//! Certificates, also called transferable public keys (RFC 9580 section 10.1): a primary key with
//! what it says about itself.
//!
//! Only what the primary key has signed is believed. A certificate with a self-signature that does
//! not hold is refused as a whole, while certifications by others are neither verified nor
//! believed, but printed.

use std::cmp::Reverse;
use std::io::Write;

use pgp::packet::{PublicKey, PublicSubkey, SignatureType};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyId, PublicParams, Tag};

use crate::Error;
use crate::packet::RawPacket;
use crate::signature::{Signature, is_verifiable};

/// Most user ids of one certificate.
const MAX_USERS: usize = 256;
/// Most subkeys of one certificate.
const MAX_SUBKEYS: usize = 128;
/// Most self-signatures that are verified for one key ring; each is a public-key operation.
pub(crate) const MAX_VERIFIED: usize = 256;
/// Bounds of RSA moduli, in bits. Shorter ones can be factored; longer ones take long.
const RSA_BITS: std::ops::RangeInclusive<u16> = 1024..=8192;
/// Bounds of the prime of DSA, in bits (FIPS 186-4 section 4.2, and 4096, which GnuPG makes).
const DSA_BITS: std::ops::RangeInclusive<u16> = 1024..=4096;

/// A primary key and all that is bound to it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    primary: PublicKey,
    packet: RawPacket,
    revocations: Vec<Signature>,
    users: Vec<User>,
    subkeys: Vec<Subkey>,
}

#[derive(Clone, Debug)]
struct User {
    packet: RawPacket,
    certifications: Vec<Certification>,
}

#[derive(Clone, Debug)]
struct Certification {
    signature: Signature,
    /// Made by the primary key, and verified.
    own: bool,
}

#[derive(Clone, Debug)]
struct Subkey {
    key: PublicSubkey,
    packet: RawPacket,
    revocations: Vec<Signature>,
    binding: Signature,
}

/// A key that signatures are verified with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    Primary(&'a PublicKey),
    Sub(&'a PublicSubkey),
}

/// A key that may sign, with what its certificate says of it.
pub(crate) struct Signer<'a> {
    certificate: &'a Certificate,
    pub(crate) key: Key<'a>,
    subkey: Option<&'a Subkey>,
}

/// Bytes as they are.
struct UserId<'a>(&'a [u8]);

impl Serialize for UserId<'_> {
    fn to_writer<W: Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
        Ok(writer.write_all(self.0)?)
    }

    fn write_len(&self) -> usize {
        self.0.len()
    }
}

impl Certificate {
    /// Parses the packets of one certificate. `verifications` is how many more self-signatures may
    /// be verified.
    pub(crate) fn parse(packets: &[RawPacket], verifications: &mut usize) -> Result<Self, Error> {
        let (first, rest) = packets.split_first().ok_or(Error::NoKey)?;
        let primary = primary_key(first)?;
        let mut certificate = Self {
            primary,
            packet: first.clone(),
            revocations: Vec::new(),
            users: Vec::new(),
            subkeys: Vec::new(),
        };
        let mut rest = rest.iter().peekable();
        while let Some(packet) = rest.next() {
            let mut signatures = || {
                std::iter::from_fn(|| rest.next_if(|packet| packet.tag == Tag::Signature))
                    .filter_map(|packet| Signature::parse(packet).transpose())
                    .collect::<Result<Vec<_>, _>>()
            };
            match packet.tag {
                Tag::UserId => certificate.add_user(packet, signatures()?, verifications)?,
                Tag::PublicSubkey => {
                    certificate.add_subkey(packet, signatures()?, verifications)?;
                }
                // A signature over the primary key alone. Direct signatures are not kept.
                Tag::Signature => {
                    let revocation = Signature::parse(packet)?
                        .filter(|signature| signature.kind() == SignatureType::KeyRevocation);
                    if let Some(revocation) = revocation {
                        spend(verifications)?;
                        revocation
                            .verify_primary(&certificate.primary)
                            .map_err(|_| {
                                Error::Certificate("revocation signature signed by alternate key")
                            })?;
                        certificate.revocations.push(revocation);
                    }
                }
                _ => {}
            }
        }
        match certificate.users.is_empty() {
            true => Err(Error::Certificate("entity without any identities")),
            false => Ok(certificate),
        }
    }

    /// Adds a user id, if the primary key certifies it at all.
    fn add_user(
        &mut self,
        packet: &RawPacket,
        signatures: Vec<Signature>,
        verifications: &mut usize,
    ) -> Result<(), Error> {
        let mut user = User {
            packet: packet.clone(),
            certifications: Vec::new(),
        };
        for signature in signatures {
            if !matches!(
                signature.kind(),
                SignatureType::CertGeneric
                    | SignatureType::CertPersona
                    | SignatureType::CertCasual
                    | SignatureType::CertPositive
                    | SignatureType::CertRevocation
            ) {
                return Err(Error::Certificate("user ID signature with wrong type"));
            }
            let own = signature.names(&self.primary);
            if own {
                spend(verifications)?;
                signature
                    .verify_user(&self.primary, &UserId(&packet.body))
                    .map_err(|_| Error::Certificate("user ID self-signature invalid"))?;
            }
            user.certifications.push(Certification { signature, own });
        }
        if user.certifications.iter().any(|one| one.own) {
            let earlier = self
                .users
                .iter_mut()
                .find(|earlier| earlier.packet.body == packet.body);
            match earlier {
                Some(earlier) => *earlier = user,
                None => self.users.push(user),
            }
        }
        match self.users.len() {
            0..=MAX_USERS => Ok(()),
            _ => Err(Error::TooMuch("user ids in a PGP key", MAX_USERS)),
        }
    }

    /// Adds a subkey, unless it is of an unknown algorithm.
    fn add_subkey(
        &mut self,
        packet: &RawPacket,
        signatures: Vec<Signature>,
        verifications: &mut usize,
    ) -> Result<(), Error> {
        let Some(key) = subkey(packet)? else {
            return Ok(());
        };
        let mut revocations = Vec::new();
        let mut binding: Option<Signature> = None;
        for signature in signatures {
            spend(verifications)?;
            match signature.kind() {
                SignatureType::SubkeyRevocation | SignatureType::SubkeyBinding => signature
                    .verify_subkey(&self.primary, &key)
                    .map_err(|error| match error {
                        Error::Certificate(_) => error,
                        _ => Error::Certificate("subkey signature invalid"),
                    })?,
                _ => return Err(Error::Certificate("subkey signature with wrong type")),
            }
            if signature.kind() == SignatureType::SubkeyRevocation {
                revocations.push(signature);
            } else if binding
                .as_ref()
                .is_none_or(|earlier| signature.created() > earlier.created())
            {
                binding = Some(signature);
            }
        }
        let binding = binding.ok_or(Error::Certificate(
            "subkey packet not followed by signature",
        ))?;
        self.subkeys.push(Subkey {
            key,
            packet: packet.clone(),
            revocations,
            binding,
        });
        match self.subkeys.len() {
            0..=MAX_SUBKEYS => Ok(()),
            _ => Err(Error::TooMuch("subkeys in a PGP key", MAX_SUBKEYS)),
        }
    }

    /// Prints the packets that count. User ids stay in their order: Rekor's own changes from run
    /// to run, and begins anywhere in this one.
    pub(crate) fn print(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.packet.print(out)?;
        for revocation in &self.revocations {
            revocation.packet.print(out)?;
        }
        for user in &self.users {
            user.packet.print(out)?;
            for one in &user.certifications {
                one.signature.packet.print(out)?;
            }
        }
        for subkey in &self.subkeys {
            subkey.packet.print(out)?;
            for revocation in &subkey.revocations {
                revocation.packet.print(out)?;
            }
            subkey.binding.packet.print(out)?;
        }
        Ok(())
    }

    /// User ids that the primary key has certified.
    pub(crate) fn user_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.users.iter().map(|user| user.packet.body.as_slice())
    }

    /// Keys with this id that are meant to sign.
    pub(crate) fn signers(&self, id: &KeyId) -> Vec<Signer<'_>> {
        let primary = self
            .primary_binding()
            .filter(|binding| self.primary.legacy_key_id() == *id && binding.allows_signing())
            .map(|_| Signer {
                certificate: self,
                key: Key::Primary(&self.primary),
                subkey: None,
            });
        let subkeys = self
            .subkeys
            .iter()
            .filter(|subkey| subkey.key.legacy_key_id() == *id && subkey.binding.allows_signing())
            .map(|subkey| Signer {
                certificate: self,
                key: Key::Sub(&subkey.key),
                subkey: Some(subkey),
            });
        primary.into_iter().chain(subkeys).collect()
    }

    /// The key that a signature names, meant to sign or not.
    pub(crate) fn named_by(&self, signature: &Signature) -> Option<Key<'_>> {
        if signature.names(&self.primary) {
            return Some(Key::Primary(&self.primary));
        }
        let subkey = self
            .subkeys
            .iter()
            .find(|subkey| signature.names(&subkey.key));
        subkey.map(|subkey| Key::Sub(&subkey.key))
    }

    /// The user id that speaks for the primary key: not revoked before revoked, marked as primary
    /// before others, certified last.
    fn primary_user(&self) -> Option<&User> {
        self.users
            .iter()
            .filter(|user| user.binding().is_some())
            .max_by_key(|user| {
                let binding = user.binding();
                (
                    Reverse(user.revocations().count()),
                    binding.is_some_and(Signature::is_primary),
                    binding.map(Signature::created),
                )
            })
    }

    fn primary_binding(&self) -> Option<&Signature> {
        self.primary_user().and_then(User::binding)
    }
}

impl User {
    /// The latest certification by the primary key.
    fn binding(&self) -> Option<&Signature> {
        let mut latest: Option<&Signature> = None;
        for one in self.certifications.iter().filter(|one| one.own) {
            if one.signature.kind() != SignatureType::CertRevocation
                && latest.is_none_or(|latest| one.signature.created() > latest.created())
            {
                latest = Some(&one.signature);
            }
        }
        latest
    }

    fn revocations(&self) -> impl Iterator<Item = &Signature> {
        self.certifications
            .iter()
            .filter(|one| one.own && one.signature.kind() == SignatureType::CertRevocation)
            .map(|one| &one.signature)
    }
}

impl Signer<'_> {
    /// Whether key and certificate allowed it to make `signature`, judged at `now`.
    pub(crate) fn check(&self, signature: &Signature, now: u32) -> Result<(), Error> {
        let certificate = self.certificate;
        let user = certificate.primary_user().ok_or(Error::UnknownIssuer)?;
        let binding = user.binding().ok_or(Error::UnknownIssuer)?;
        let mut relied_on = vec![signature, binding];
        relied_on.extend(self.subkey.map(|subkey| &subkey.binding));
        if relied_on.iter().any(|one| one.has_critical_notation()) {
            return Err(Error::signature("unknown critical notation"));
        }
        let of_subkey = self.subkey.map_or(&[][..], |subkey| &subkey.revocations);
        let revoked =
            |revocation: &Signature| revocation.says_compromised() || !revocation.expired(now);
        if certificate.revocations.iter().any(revoked)
            || of_subkey.iter().any(revoked)
            || user.revocations().any(revoked)
        {
            return Err(Error::Revoked);
        }
        let created = certificate.primary.created_at().as_secs();
        let subkey_expired = self.subkey.is_some_and(|subkey| {
            let created = subkey.key.created_at().as_secs();
            subkey.binding.key_expired(created, now)
        });
        if binding.key_expired(created, now) || subkey_expired {
            return Err(Error::KeyExpired);
        }
        let cross_expired = self
            .subkey
            .is_some_and(|subkey| subkey.binding.embedded_expired(now));
        match cross_expired || relied_on.iter().any(|one| one.expired(now)) {
            true => Err(Error::SignatureExpired),
            false => Ok(()),
        }
    }
}

fn spend(verifications: &mut usize) -> Result<(), Error> {
    *verifications = verifications
        .checked_sub(1)
        .ok_or(Error::TooMuch("self-signatures in PGP keys", MAX_VERIFIED))?;
    Ok(())
}

fn primary_key(packet: &RawPacket) -> Result<PublicKey, Error> {
    if let Some(version) = packet.body.first().filter(|version| **version != 4) {
        return Err(Error::Unsupported(format!("public key version {version}")));
    }
    check_size(packet)?;
    let mut body = packet.body.as_slice();
    let key = PublicKey::try_from_reader(packet.header(Tag::PublicKey)?, &mut body)
        .map_err(Error::packet)?;
    if !body.is_empty() {
        return Err(Error::packet("trailing bytes in a key packet"));
    }
    match is_verifiable(key.public_params()) {
        true => Ok(key),
        false => Err(Error::Unsupported(
            "primary key cannot be used for signatures".to_owned(),
        )),
    }
}

/// `None` for subkeys of versions and algorithms that Rekor passes over.
fn subkey(packet: &RawPacket) -> Result<Option<PublicSubkey>, Error> {
    if packet.body.first().is_some_and(|version| *version != 4) {
        return Ok(None);
    }
    check_size(packet)?;
    let mut body = packet.body.as_slice();
    let key = PublicSubkey::try_from_reader(packet.header(Tag::PublicSubkey)?, &mut body)
        .map_err(Error::packet)?;
    if !body.is_empty() {
        return Err(Error::packet("trailing bytes in a key packet"));
    }
    match key.public_params() {
        PublicParams::Unknown { .. } => Ok(None),
        PublicParams::ECDH(curve) if !curve.is_supported() => Ok(None),
        PublicParams::ECDSA(_) | PublicParams::EdDSALegacy(_)
            if !is_verifiable(key.public_params()) =>
        {
            Err(Error::Unsupported(
                "the curve of a signing subkey".to_owned(),
            ))
        }
        _ => Ok(Some(key)),
    }
}

/// Refuses key material that is too weak to mean anything or too long to be computed with, before
/// it is parsed into numbers.
fn check_size(packet: &RawPacket) -> Result<(), Error> {
    // Version, time of creation, algorithm, and the bit length of the first number.
    let [_, _, _, _, _, algorithm, high, low, ..] = packet.body.as_slice() else {
        return Err(Error::packet("truncated key"));
    };
    let bits = u16::from_be_bytes([*high, *low]);
    match algorithm {
        1..=3 if !RSA_BITS.contains(&bits) => {
            Err(Error::Unsupported(format!("RSA key of {bits} bits")))
        }
        17 if !DSA_BITS.contains(&bits) => {
            Err(Error::Unsupported(format!("DSA key of {bits} bits")))
        }
        _ => Ok(()),
    }
}
