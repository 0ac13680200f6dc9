//! Cleartext signed messages (RFC 9580 section 7): text that can be read as it is, and a signature
//! over it.
//!
//! ```text
//! -----BEGIN PGP SIGNED MESSAGE-----
//! Hash: SHA512
//!
//! text; a line that begins with a dash is written as "- " and the line
//! -----BEGIN PGP SIGNATURE-----
//! …
//! -----END PGP SIGNATURE-----
//! ```
//!
//! (`pgp` has a parser of these, whose time grows with the square of the text.)

use crate::{DetachedSignature, Error, Keyring};

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// A message with its signature.
#[derive(Clone, Debug)]
pub struct Cleartext {
    /// Lines without trailing blanks, joined by line feeds.
    text: Vec<u8>,
    signature: DetachedSignature,
}

impl Cleartext {
    /// Parses the first message in `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::TooMuch(
                "bytes of cleartext signed message",
                MAX_MESSAGE,
            ));
        }
        let mut rest = bytes;
        let mut next_line = || {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = match end {
                Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
                None if rest.is_empty() => return None,
                None => (rest, &[][..]),
            };
            let from = rest;
            rest = after;
            Some((line.strip_suffix(b"\r").unwrap_or(line), from))
        };
        while next_line()
            .ok_or(Error::Cleartext("no message was found"))?
            .0
            != BEGIN
        {}
        loop {
            let (line, _) = next_line().ok_or(Error::Cleartext("it ends within its headers"))?;
            let line = line.trim_ascii();
            if line.is_empty() {
                break;
            }
            if !line.starts_with(b"Hash:") {
                return Err(Error::Cleartext("a header other than Hash"));
            }
        }
        let mut text = Vec::new();
        let mut lines = 0;
        let signature = loop {
            let (line, from) = next_line().ok_or(Error::Cleartext("its signature is missing"))?;
            if line == SIGNATURE {
                break from;
            }
            if lines > 0 {
                text.push(b'\n');
            }
            lines += 1;
            let line = line.strip_prefix(b"- ").unwrap_or(line);
            let blanks = line.iter().rev();
            let blanks = blanks.take_while(|byte| matches!(byte, b' ' | b'\t'));
            let length = line.len() - blanks.count();
            text.extend_from_slice(line.get(..length).unwrap_or_default());
        };
        Ok(Self {
            text,
            signature: DetachedSignature::parse_part(signature)?,
        })
    }

    /// The message, without the end of its last line.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The signature, whose canonical form is armoured anew.
    #[must_use]
    pub fn signature(&self) -> &DetachedSignature {
        &self.signature
    }

    /// Verifies the signature over the message, as [`DetachedSignature::verify`].
    pub fn verify(&self, keys: &Keyring) -> Result<(), Error> {
        // What is signed has line ends of two characters.
        let lines: Vec<&[u8]> = self.text.split(|byte| *byte == b'\n').collect();
        self.signature.verify(keys, &lines.join(&b"\r\n"[..]))
    }
}
