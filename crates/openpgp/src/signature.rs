//! Signature packets (RFC 9580 section 5.2), and detached signatures made of them.

use std::io::Read;

use pgp::armor::BlockType;
use pgp::packet::{Notation, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{
    EddsaLegacyPublicParams, Fingerprint, KeyDetails, KeyId, PublicParams, Tag, VerifyingKey,
};

use crate::certificate::Key;
use crate::packet::{self, RawPacket};
use crate::{Error, Keyring, armor};

/// Longest detached signature, in bytes. It is kept as it is, so its headers and what surrounds
/// them count.
const MAX_SIGNATURE: usize = 128 * 1024;

/// Most packets in a detached signature.
const MAX_PACKETS: usize = 32;

/// Public-key algorithms of signatures (RFC 9580 section 9.1): RSA, DSA, ECDSA, EdDSA, Ed25519,
/// Ed448. Packets with others are passed over.
const PUBLIC_KEY_ALGORITHMS: [u8; 7] = [1, 3, 17, 19, 22, 27, 28];

/// Hash algorithms (section 9.5): SHA-1, the SHA-2 and the SHA-3 family; not MD5 and RIPEMD-160.
const HASH_ALGORITHMS: [u8; 7] = [2, 8, 9, 10, 11, 12, 14];

/// Subpackets (section 5.2.3.7) that Rekor understands. A signature that marks another one as
/// critical is passed over.
const SUBPACKETS: [u8; 23] = [
    2, 3, 4, 5, 6, 9, 11, 16, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 39,
];

/// A signature packet of a sort that counts.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) packet: RawPacket,
    parsed: pgp::packet::Signature,
    kind: SignatureType,
    created: u32,
}

impl Signature {
    /// Parses the body of a signature packet. `None` if Rekor passes over it, as it does over
    /// version 3, old hash algorithms, unknown critical subpackets, and certifications that are
    /// not for export.
    pub(crate) fn parse(packet: &RawPacket) -> Result<Option<Self>, Error> {
        let [version, _kind, algorithm, hash, ..] = packet.body.as_slice() else {
            return Err(Error::packet("truncated signature"));
        };
        if *version != 4
            || !PUBLIC_KEY_ALGORITHMS.contains(algorithm)
            || !HASH_ALGORITHMS.contains(hash)
        {
            return Ok(None);
        }
        let header = packet.header(Tag::Signature)?;
        let mut body = packet.body.as_slice();
        let parsed =
            pgp::packet::Signature::try_from_reader(header, &mut body).map_err(Error::packet)?;
        if !body.is_empty() {
            return Err(Error::packet("trailing bytes in a signature packet"));
        }
        let (Some(kind), Some(config)) = (parsed.typ(), parsed.config()) else {
            return Ok(None);
        };
        let passed_over = |subpacket: &Subpacket| {
            let unknown = !SUBPACKETS.contains(&subpacket.typ().as_u8(false));
            (subpacket.is_critical && unknown)
                || matches!(
                    subpacket.data,
                    SubpacketData::ExportableCertification(false)
                )
        };
        if config.hashed_subpackets().any(passed_over) {
            return Ok(None);
        }
        let created = parsed
            .created()
            .ok_or_else(|| Error::packet("no creation time in signature"))?
            .as_secs();
        Ok(Some(Self {
            packet: packet.clone(),
            parsed,
            kind,
            created,
        }))
    }

    pub(crate) fn kind(&self) -> SignatureType {
        self.kind
    }

    /// When it was made, in seconds since 1970.
    pub(crate) fn created(&self) -> u32 {
        self.created
    }

    /// Whether it is not in force at `now`: past its lifetime, or not made yet.
    pub(crate) fn expired(&self, now: u32) -> bool {
        let lifetime = self.parsed.signature_expiration_time();
        over(self.created, lifetime.map(|time| time.as_secs()), now)
    }

    /// Whether a key that it binds, created at `created`, is not in force at `now`.
    pub(crate) fn key_expired(&self, created: u32, now: u32) -> bool {
        let lifetime = self.parsed.key_expiration_time();
        over(created, lifetime.map(|time| time.as_secs()), now)
    }

    /// Whether the key that it binds may sign. A binding that does not say, says no.
    pub(crate) fn allows_signing(&self) -> bool {
        self.parsed.key_flags().sign()
    }

    /// Whether it makes a user id the primary one.
    pub(crate) fn is_primary(&self) -> bool {
        self.parsed.is_primary()
    }

    /// Whether it revokes because the key was compromised, and so for all time.
    pub(crate) fn says_compromised(&self) -> bool {
        self.parsed.revocation_reason_code() == Some(&pgp::packet::RevocationCode::KeyCompromised)
    }

    /// Whether the signature of a signing subkey over its primary key is not in force at `now`.
    pub(crate) fn embedded_expired(&self, now: u32) -> bool {
        self.parsed.embedded_signature().is_some_and(|embedded| {
            let created = embedded.created().map_or(0, |time| time.as_secs());
            let lifetime = embedded.signature_expiration_time();
            over(created, lifetime.map(|time| time.as_secs()), now)
        })
    }

    /// Whether a critical notation is in it. None is understood.
    pub(crate) fn has_critical_notation(&self) -> bool {
        let critical = |subpacket: &Subpacket| match (&subpacket.data, subpacket.is_critical) {
            (SubpacketData::Notation(Notation { .. }), critical) => critical,
            _ => false,
        };
        self.parsed
            .config()
            .is_some_and(|config| config.hashed_subpackets().any(critical))
    }

    /// Whether it names this key as the one that made it: by fingerprint, or else by key id.
    pub(crate) fn names(&self, key: &impl KeyDetails) -> bool {
        match self.parsed.issuer_fingerprint().last() {
            Some(fingerprint) => **fingerprint == key.fingerprint(),
            None => self.parsed.issuer_key_id().last() == Some(&&key.legacy_key_id()),
        }
    }

    /// Id of the key that it says made it.
    pub(crate) fn issuer(&self) -> Option<KeyId> {
        if let Some(Fingerprint::V4(fingerprint)) = self.parsed.issuer_fingerprint().last() {
            return fingerprint.last_chunk::<8>().map(|id| KeyId::new(*id));
        }
        self.parsed.issuer_key_id().last().map(|id| **id)
    }

    /// Verifies it over data. Of text signatures the line ends are normalised.
    pub(crate) fn verify(&self, key: &Key<'_>, data: impl Read) -> Result<(), Error> {
        let verified = match key {
            Key::Primary(key) => self.parsed.verify(*key, data),
            Key::Sub(key) => self.parsed.verify(*key, data),
        };
        verified.map_err(Error::signature)
    }

    /// Verifies it as the primary key's over a user id.
    pub(crate) fn verify_user<K>(&self, primary: &K, user: &impl Serialize) -> Result<(), Error>
    where
        K: VerifyingKey + Serialize,
    {
        self.parsed
            .verify_certification(primary, Tag::UserId, user)
            .map_err(Error::signature)
    }

    /// Verifies it as the primary key's over itself.
    pub(crate) fn verify_primary<K>(&self, primary: &K) -> Result<(), Error>
    where
        K: VerifyingKey + Serialize,
    {
        self.parsed.verify_key(primary).map_err(Error::signature)
    }

    /// Verifies it as the primary key's over a subkey, and a signing subkey's over the primary.
    pub(crate) fn verify_subkey<K, S>(&self, primary: &K, subkey: &S) -> Result<(), Error>
    where
        K: VerifyingKey + Serialize,
        S: VerifyingKey + Serialize,
    {
        self.parsed
            .verify_subkey_binding(primary, subkey)
            .map_err(Error::signature)?;
        if !self.allows_signing() {
            return Ok(());
        }
        self.parsed
            .embedded_signature()
            .ok_or(Error::Certificate(
                "signing subkey is missing cross-signature",
            ))?
            .verify_primary_key_binding(subkey, primary)
            .map_err(Error::signature)
    }
}

/// Whether something of `created` with a lifetime (0: without end) is not in force at `now`.
fn over(created: u32, lifetime: Option<u32>, now: u32) -> bool {
    let (created, now) = (u64::from(created), u64::from(now));
    let ended = match lifetime {
        None | Some(0) => false,
        Some(lifetime) => now > created + u64::from(lifetime),
    };
    created > now || ended
}

/// Whether a key's parameters are of a sort that this crate verifies with.
pub(crate) fn is_verifiable(parameters: &PublicParams) -> bool {
    match parameters {
        PublicParams::RSA(_)
        | PublicParams::DSA(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => true,
        PublicParams::ECDSA(curve) => curve.is_supported(),
        PublicParams::EdDSALegacy(curve) => {
            matches!(curve, EddsaLegacyPublicParams::Ed25519 { .. })
        }
        _ => false,
    }
}

/// A detached signature: one packet or several, of which the first that was made by a known key
/// counts.
#[derive(Clone, Debug)]
pub struct DetachedSignature {
    signatures: Vec<Signature>,
    canonical: Vec<u8>,
}

impl DetachedSignature {
    /// Parses a signature, armoured or binary.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_SIGNATURE {
            return Err(Error::TooMuch("bytes of PGP signature", MAX_SIGNATURE));
        }
        match armor::start(bytes) {
            Some(_) => Self::from_packets(&armored(bytes)?, bytes.to_vec()),
            None => Self::from_packets(bytes, armor::encode(BlockType::Signature, bytes)?),
        }
    }

    /// The same for the armoured part of another text: its canonical form is armoured anew.
    pub(crate) fn parse_part(text: &[u8]) -> Result<Self, Error> {
        if text.len() > MAX_SIGNATURE {
            return Err(Error::TooMuch("bytes of PGP signature", MAX_SIGNATURE));
        }
        Self::parse(&armored(text)?)
    }

    fn from_packets(bytes: &[u8], canonical: Vec<u8>) -> Result<Self, Error> {
        let packets = packet::split(bytes)?;
        if packets.len() > MAX_PACKETS {
            return Err(Error::TooMuch("PGP signatures", MAX_PACKETS));
        }
        if packets.iter().any(|packet| packet.tag != Tag::Signature) {
            return Err(Error::NoSignature);
        }
        let first = packets.first().ok_or(Error::NoSignature)?;
        if Signature::parse(first)?.is_none() {
            return Err(unsupported(first));
        }
        let signatures = packets
            .iter()
            .filter_map(|packet| Signature::parse(packet).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            signatures,
            canonical,
        })
    }

    /// The form in bodies: armour as it was submitted, or what armours binary packets.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Verifies the first signature that a key of `keys` made, with what holds of the key at the
    /// time when the signature was made.
    pub fn verify(&self, keys: &Keyring, data: &[u8]) -> Result<(), Error> {
        let now = self.signatures.first().map_or(0, Signature::created);
        for signature in &self.signatures {
            let issuer = signature.issuer().ok_or(Error::NoIssuer)?;
            let signers = keys.signers(&issuer);
            if signers.is_empty() {
                continue;
            }
            if !matches!(
                signature.kind(),
                SignatureType::Binary | SignatureType::Text
            ) {
                return Err(Error::Unsupported(
                    "a signature that is not over a document".to_owned(),
                ));
            }
            let mut refused = Error::UnknownIssuer;
            for signer in signers {
                match signature.verify(&signer.key, data) {
                    Ok(()) => return signer.check(signature, now),
                    Err(error) => refused = error,
                }
            }
            return Err(refused);
        }
        Err(Error::UnknownIssuer)
    }
}

fn armored(text: &[u8]) -> Result<Vec<u8>, Error> {
    match armor::decode(text)? {
        (BlockType::Signature, packets) => Ok(packets),
        _ => Err(Error::Type("PGP SIGNATURE")),
    }
}

fn unsupported(packet: &RawPacket) -> Error {
    match packet.body.as_slice() {
        [version, ..] if *version != 4 => {
            Error::Unsupported(format!("signature packet version {version}"))
        }
        [_, _, algorithm, ..] if !PUBLIC_KEY_ALGORITHMS.contains(algorithm) => {
            Error::Unsupported(format!("public key algorithm {algorithm}"))
        }
        [_, _, _, hash, ..] if !HASH_ALGORITHMS.contains(hash) => {
            Error::Unsupported(format!("hash function {hash}"))
        }
        _ => Error::Unsupported("a critical subpacket of the signature".to_owned()),
    }
}

/// One signature packet, as packages hold it.
#[derive(Clone, Debug)]
pub struct SignaturePacket(Signature);

impl SignaturePacket {
    /// Parses exactly one binary packet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_SIGNATURE {
            return Err(Error::TooMuch("bytes of PGP signature", MAX_SIGNATURE));
        }
        match packet::split(bytes)?.as_slice() {
            [packet] if packet.tag == Tag::Signature => match Signature::parse(packet)? {
                Some(signature) if signature.issuer().is_none() => Err(Error::NoIssuer),
                Some(signature) => Ok(Self(signature)),
                None => Err(unsupported(packet)),
            },
            [] | [_] => Err(Error::NoSignature),
            _ => Err(Error::Trailing),
        }
    }

    /// Verifies that a key of `keys` made it over `data`. Whether the key was valid then, and
    /// meant to sign, is not looked at: this is what package managers of RPM do, and Rekor.
    pub fn verify_validity_unchecked(&self, keys: &Keyring, data: impl Read) -> Result<(), Error> {
        let Self(signature) = self;
        if signature.kind() != SignatureType::Binary {
            return Err(Error::Unsupported(
                "a signature that is not over binary data".to_owned(),
            ));
        }
        let key = keys.named_by(signature).ok_or(Error::UnknownIssuer)?;
        signature.verify(&key, data)
    }
}
