//! Signed notes (C2SP signed-note).
//!
//! ```text
//! example.com/log
//! 42
//! q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=
//!
//! — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
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

impl Note {
    /// Parses a note (at most 1 MiB, 100 signatures).
    pub fn parse(_note: &str) -> Result<Self, NoteError> {
        unimplemented!()
    }

    /// Prints the note: text, blank line, signature lines.
    #[must_use]
    pub fn print(&self) -> String {
        unimplemented!()
    }
}

/// Key hint of Rekor v1 and of every ECDSA key: the first bytes of SHA-256 of the DER SPKI.
#[must_use]
pub fn spki_key_hint(_spki_der: &[u8]) -> [u8; 4] {
    unimplemented!()
}

/// Full 32-byte key id of an Ed25519 note key: `SHA-256(name ‖ 0A ‖ 01 ‖ key)`.
#[must_use]
pub fn ed25519_key_id(_name: &str, _key: &[u8; 32]) -> [u8; 32] {
    unimplemented!()
}
