//! Key rings: what is submitted as *the* public key, often one certificate, possibly several.

use pgp::armor::BlockType;
use pgp::types::{KeyId, Tag};

use crate::certificate::{Certificate, Key, MAX_VERIFIED, Signer};
use crate::packet::{self, RawPacket};
use crate::signature::Signature;
use crate::{Error, armor};

/// Longest key ring, in bytes: it becomes part of a log entry.
const MAX_KEYRING: usize = 512 * 1024;
/// Most blocks of armour, and most certificates.
const MAX_CERTIFICATES: usize = 64;

/// What armour begins and ends with.
const BEGIN: &[u8] = b"-----BEGIN PGP";
const END: &[u8] = b"-----END PGP";

/// Public keys with their owners.
#[derive(Clone, Debug)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    canonical: Vec<u8>,
}

impl Keyring {
    /// Parses public keys: binary, or one or more blocks of armour of which the first begins with
    /// the first byte. Certificates that cannot be used are passed over, if one can.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_KEYRING {
            return Err(Error::TooMuch("bytes of PGP key", MAX_KEYRING));
        }
        let binary = match bytes.starts_with(BEGIN) {
            true => dearmor(bytes)?,
            false => bytes.to_vec(),
        };
        let certificates = certificates(&packet::split(&binary)?)?;
        let mut packets = Vec::new();
        for certificate in &certificates {
            certificate.print(&mut packets)?;
        }
        Ok(Self {
            certificates,
            canonical: armor::encode(BlockType::PublicKey, &packets)?,
        })
    }

    /// The form in bodies, whose digest is a search term: what counts of the packets, armoured.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The e-mail part of each user id, whatever it looks like.
    #[must_use]
    pub fn emails(&self) -> Vec<String> {
        self.certificates
            .iter()
            .flat_map(Certificate::user_ids)
            .filter_map(|id| email(std::str::from_utf8(id).ok()?))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn signers(&self, id: &KeyId) -> Vec<Signer<'_>> {
        self.certificates
            .iter()
            .flat_map(|certificate| certificate.signers(id))
            .collect()
    }

    pub(crate) fn named_by(&self, signature: &Signature) -> Option<Key<'_>> {
        self.certificates
            .iter()
            .find_map(|certificate| certificate.named_by(signature))
    }
}

/// Joins the blocks of an armoured key ring.
fn dearmor(text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut binary = Vec::new();
    let (mut start, mut at, mut blocks) = (0, 0, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if !line.starts_with(END) {
            continue;
        }
        blocks += 1;
        if blocks > MAX_CERTIFICATES {
            return Err(Error::TooMuch("blocks of PGP armor", MAX_CERTIFICATES));
        }
        let block = text.get(start..at).unwrap_or_default();
        match armor::decode(block)? {
            (BlockType::PublicKey, packets) => binary.extend(packets),
            (BlockType::PrivateKey, _) => return Err(Error::Private),
            _ => return Err(Error::Type("PGP PUBLIC KEY BLOCK")),
        }
        start = at;
    }
    match blocks {
        0 => Err(Error::NoKey),
        _ => Ok(binary),
    }
}

/// Each certificate begins with a primary key and goes on to the next.
fn certificates(packets: &[RawPacket]) -> Result<Vec<Certificate>, Error> {
    let packets: Vec<RawPacket> = packets
        .iter()
        .filter(|packet| !matches!(packet.tag, Tag::Trust | Tag::Marker))
        .cloned()
        .collect();
    if packets
        .iter()
        .any(|packet| matches!(packet.tag, Tag::SecretKey | Tag::SecretSubkey))
    {
        return Err(Error::Private);
    }
    let mut found = Vec::new();
    let mut refused = None;
    let mut verifications = MAX_VERIFIED;
    for group in packets.chunk_by(|_, next| next.tag != Tag::PublicKey) {
        if group
            .first()
            .is_none_or(|first| first.tag != Tag::PublicKey)
        {
            refused.get_or_insert(Error::Certificate("first packet was not a public key"));
            continue;
        }
        match Certificate::parse(group, &mut verifications) {
            Ok(certificate) => found.push(certificate),
            Err(error @ Error::TooMuch(..)) => return Err(error),
            Err(error) => refused = Some(error),
        }
        if found.len() > MAX_CERTIFICATES {
            return Err(Error::TooMuch("PGP keys", MAX_CERTIFICATES));
        }
    }
    match found.is_empty() {
        true => Err(refused.unwrap_or(Error::NoKey)),
        false => Ok(found),
    }
}

/// The address in `Name (comment) <address>`, or all of it if it has no such form but an `@`.
fn email(id: &str) -> Option<&str> {
    let name_ends = id.find(['(', '<']).unwrap_or(id.len());
    let (name, rest) = id.split_at_checked(name_ends)?;
    // What follows a comment begins after its end.
    let rest = match rest.strip_prefix('(') {
        Some(comment) => comment.split_once(')').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let address = rest.split_once('<').map_or("", |(_, address)| address);
    let address = address
        .split_once('>')
        .map_or(address, |(address, _)| address);
    match (address.trim(), name.trim()) {
        ("", name) if name.contains('@') => Some(name),
        ("", _) => None,
        (address, _) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_user_ids() {
        for (id, expected) in [
            ("Name <a@b.c>", Some("a@b.c")),
            ("Name (a <note>) <a@b.c>", Some("a@b.c")),
            ("<a@b.c>", Some("a@b.c")),
            ("a@b.c", Some("a@b.c")),
            ("Name <a@b.c", Some("a@b.c")),
            ("Name (a@b.c)", None),
            ("Name", None),
            ("", None),
            ("Name (unclosed <a@b.c>", None),
        ] {
            assert_eq!(email(id), expected, "{id}");
        }
    }
}
