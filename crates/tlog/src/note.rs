//! Signed notes (C2SP signed-note).
//!
//! ```text
//! example.com/log
//! 42
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//!
//! — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```

mod key;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use key::{VerifierKey, VerifierKeyError, ed25519_key_id, rsa_key_id, spki_key_hint};

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signed; see [`is_key_name`].
    pub name: String,
    /// First four bytes of the key's id.
    pub key_hint: [u8; 4],
    /// The signature without the hint.
    pub signature: Vec<u8>,
}

/// A note: text (ends in a newline) and signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is signed, including its last newline.
    pub text: String,
    /// One per line.
    pub signatures: Vec<Signature>,
}

/// Not a signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed note: {0}")]
pub struct NoteError(pub &'static str);

/// A note is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A line claims to be by a known key, and is not. The whole note is worthless.
    #[error("the signature of known key {0} is invalid")]
    Invalid(String),
    /// No line is by a known key.
    #[error("no signature by a known key")]
    Unverified,
}

/// Longest note that is parsed, in bytes.
const MAX_LENGTH: usize = 1 << 20;
/// Most signature lines that are parsed.
const MAX_SIGNATURES: usize = 100;
/// Key hint and at least one byte.
const MIN_SIGNATURE: usize = 5;
/// What signature lines begin with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

impl Note {
    /// Parses a note (at most 1 MiB, 100 signatures).
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_LENGTH {
            return Err(NoteError("too long"));
        }
        if note
            .chars()
            .any(|character| character < ' ' && character != '\n')
        {
            return Err(NoteError("control character"));
        }
        // Both halves keep the newline that ends their last line.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError("no blank line"))?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError("no final newline"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError("too many signatures"));
        }
        let signatures = lines
            .split('\n')
            .map(Signature::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// Prints the note: text, blank line, signature lines.
    #[must_use]
    pub fn print(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            note.push_str(&signature.line());
            note.push('\n');
        }
        note
    }

    /// Verifies the lines of the known keys and returns those keys, each once, in the note's
    /// order.
    ///
    /// Lines of unknown keys are ignored, and so are all but the first line of one key. An
    /// invalid line of a known key makes the note invalid, whatever else there is.
    pub fn verify<'k>(
        &self,
        known: &'k [VerifierKey],
    ) -> Result<Vec<&'k VerifierKey>, VerifyError> {
        let mut verified: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            // Two keys may share a name and a hint; then either of them may have made the line.
            let mut candidates = known
                .iter()
                .filter(|key| key.name() == signature.name && key.hint() == signature.key_hint)
                .peekable();
            if candidates.peek().is_none() || candidates.clone().any(|key| verified.contains(&key))
            {
                continue;
            }
            let key = candidates
                .find(|key| key.verify(&self.text, &signature.signature))
                .ok_or_else(|| VerifyError::Invalid(signature.name.clone()))?;
            verified.push(key);
        }
        if verified.is_empty() {
            Err(VerifyError::Unverified)
        } else {
            Ok(verified)
        }
    }
}

impl Signature {
    /// The line, without a newline: `— <name> <base64 of hint and signature>`.
    #[must_use]
    pub fn line(&self) -> String {
        let signature = STANDARD.encode([&self.key_hint, self.signature.as_slice()].concat());
        format!("{SIGNATURE_PREFIX}{} {signature}", self.name)
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let line = line
            .strip_prefix(SIGNATURE_PREFIX)
            .ok_or(NoteError("not a signature line"))?;
        let (name, signature) = line
            .split_once(' ')
            .ok_or(NoteError("no signature in the line"))?;
        if !is_key_name(name) {
            return Err(NoteError("key name"));
        }
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| NoteError("signature is not base64"))?;
        if signature.len() < MIN_SIGNATURE {
            return Err(NoteError("signature is too short"));
        }
        let (key_hint, signature) = signature
            .split_first_chunk()
            .ok_or(NoteError("signature is too short"))?;
        Ok(Self {
            name: name.to_owned(),
            key_hint: *key_hint,
            signature: signature.to_vec(),
        })
    }
}

/// Whether `name` can name a key: not empty, no Unicode space, no `+`, no control character.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    let is_bad =
        |character: char| character.is_whitespace() || character.is_control() || character == '+';
    !name.is_empty() && !name.contains(is_bad)
}
