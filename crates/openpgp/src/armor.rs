//! ASCII armour (RFC 9580 section 6).

use std::io::{Read, Write};

use pgp::armor::{BlockType, Dearmor, DearmorOptions};
use pgp::ser::Serialize;

use crate::Error;

/// What begins the first line of OpenPGP armour.
const BEGIN: &[u8] = b"-----BEGIN PGP";
/// What begins its last line.
const END: &[u8] = b"-----END PGP";
/// Most headers of a block. There are five that have a meaning.
const MAX_HEADERS: usize = 32;

/// Where the first line that begins armour starts.
pub(crate) fn start(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii_start().starts_with(BEGIN) {
            return Some(at + line.len() - line.trim_ascii_start().len());
        }
        at += line.len();
    }
    None
}

/// Decodes the first block. The checksum is not looked at (RFC 9580 section 6.1), and what comes
/// before the block and after it is ignored, as its headers are.
pub(crate) fn decode(text: &[u8]) -> Result<(BlockType, Vec<u8>), Error> {
    let block = start(text)
        .and_then(|at| text.get(at..))
        .ok_or_else(|| Error::armor("no block was found"))?;
    let block = without_headers(block)?;
    let options = DearmorOptions::new().set_limit(block.len().saturating_add(1));
    let mut dearmor = Dearmor::with_options(block.as_slice(), options);
    dearmor.read_header().map_err(Error::armor)?;
    let mut decoded = Vec::new();
    dearmor.read_to_end(&mut decoded).map_err(Error::armor)?;
    let kind = dearmor
        .typ
        .ok_or_else(|| Error::armor("no type was found"))?;
    Ok((kind, decoded))
}

/// A block from its first line to its last, with nothing in it that `pgp` could take for a header:
/// for each header it searches all of the text.
fn without_headers(block: &[u8]) -> Result<Vec<u8>, Error> {
    let mut lines = block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next().unwrap_or_default();
    let mut bare = [first, b"\n\n"].concat();
    let mut headers = 0;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        headers += 1;
        if headers > MAX_HEADERS {
            return Err(Error::TooMuch("headers of PGP armor", MAX_HEADERS));
        }
        if !line.contains(&b':') {
            return Err(Error::armor("an empty line must follow the headers"));
        }
    }
    for line in lines {
        if line.contains(&b':') {
            return Err(Error::armor("a colon is not base64"));
        }
        bare.extend_from_slice(line);
        bare.push(b'\n');
        if line.starts_with(END) {
            return Ok(bare);
        }
    }
    Err(Error::armor("the last line is missing"))
}

/// Armour without headers and without an end of line after the last line: the form in bodies.
pub(crate) fn encode(kind: BlockType, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    struct Bytes<'a>(&'a [u8]);

    impl Serialize for Bytes<'_> {
        fn to_writer<W: Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
            Ok(writer.write_all(self.0)?)
        }

        fn write_len(&self) -> usize {
            self.0.len()
        }
    }

    let mut text = Vec::new();
    pgp::armor::write(&Bytes(bytes), kind, &mut text, None, true).map_err(Error::armor)?;
    text.truncate(text.trim_ascii_end().len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_agree_at_every_length() {
        for length in 1..200 {
            let bytes: Vec<u8> = (0..length).collect();
            let text = encode(BlockType::Signature, &bytes).unwrap();
            let lines: Vec<&str> = std::str::from_utf8(&text).unwrap().lines().collect();
            assert_eq!(lines[0], "-----BEGIN PGP SIGNATURE-----");
            assert_eq!(lines[1], "");
            let (digits, rest) = lines[2..].split_at(lines.len() - 4);
            assert!(rest[0].len() == 5 && rest[0].starts_with('='), "{lines:?}");
            assert_eq!(rest[1..], ["-----END PGP SIGNATURE-----"]);
            let (last, full) = digits.split_last().unwrap();
            assert!(full.iter().all(|line| line.len() == 64));
            assert!((1..=64).contains(&last.len()));
            assert_eq!(decode(&text).unwrap(), (BlockType::Signature, bytes));
        }
    }

    #[test]
    fn what_surrounds_a_block_is_ignored() {
        let text = encode(BlockType::Signature, b"bytes").unwrap();
        let text = String::from_utf8(text).unwrap();
        for around in [
            format!("----- a note\n\n{text}\nmore -----BEGIN PGP"),
            text.replace('\n', "\r\n"),
            text.replacen('\n', "\nVersion: x\nComment: y\n", 1),
        ] {
            assert_eq!(decode(around.as_bytes()).unwrap().1, b"bytes", "{around}");
        }
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        for text in [
            "",
            "-----BEGIN PGP",
            "-----BEGIN PGP SIGNATURE-----",
            "-----BEGIN PGP SIGNATURE-----\n\naGk=\n",
            "-----BEGIN PGP SIGNATURE-----\n\naGk=\n-----END PGP MESSAGE-----\n",
            "-----BEGIN PGP SIGNATURE-----\n\n!!!!\n-----END PGP SIGNATURE-----\n",
        ] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
    }
}
