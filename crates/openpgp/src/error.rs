/// Why a key or signature was refused. Texts are answers to clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More of something than is looked at.
    #[error("too many or too long {0}: at most {1} are read")]
    TooMuch(&'static str, usize),
    /// Text that is not ASCII armour.
    #[error("invalid PGP armor: {0}")]
    Armor(String),
    /// Armour of something else.
    #[error("invalid PGP type detected: expected {0}")]
    Type(&'static str),
    /// Bytes that are not OpenPGP packets.
    #[error("openpgp: invalid data: {0}")]
    Packet(String),
    /// Something that is not verified here.
    #[error("openpgp: unsupported feature: {0}")]
    Unsupported(String),
    /// A private key, which nobody should publish.
    #[error(
        "no PGP public keys could be read: this is a private key; export the public key instead (gpg --export)"
    )]
    Private,
    /// Nothing usable.
    #[error("no PGP public keys could be read")]
    NoKey,
    /// A certificate whose parts do not belong together.
    #[error("openpgp: invalid data: {0}")]
    Certificate(&'static str),
    /// The input has no signature where one belongs.
    #[error("valid PGP signature was not detected")]
    NoSignature,
    /// More bytes after the only signature.
    #[error("trailing garbage after PGP signature packet")]
    Trailing,
    /// The signature does not say who made it.
    #[error("openpgp: invalid data: signature doesn't have an issuer")]
    NoIssuer,
    /// No key that may sign has the issuer's id.
    #[error(
        "openpgp: signature made by unknown entity: the key that made it is not in the key ring, or may not sign"
    )]
    UnknownIssuer,
    /// The signature does not hold.
    #[error("openpgp: invalid signature: {0}")]
    BadSignature(String),
    /// The key had been revoked when the signature was made.
    #[error("openpgp: signature made by revoked key")]
    Revoked,
    /// The key was not valid when the signature was made.
    #[error("openpgp: key expired")]
    KeyExpired,
    /// The signature, or a binding it relies on, had expired.
    #[error("openpgp: signature expired")]
    SignatureExpired,
    /// Not a cleartext signed message.
    #[error("unable to decode cleartext signed message: {0}")]
    Cleartext(&'static str),
}

impl Error {
    /// What `pgp` says of armour.
    pub(crate) fn armor(error: impl std::fmt::Display) -> Self {
        Self::Armor(detail(error))
    }

    /// What `pgp` says of a packet.
    pub(crate) fn packet(error: impl std::fmt::Display) -> Self {
        Self::Packet(detail(error))
    }

    /// What `pgp` says of a signature.
    pub(crate) fn signature(error: impl std::fmt::Display) -> Self {
        Self::BadSignature(detail(error))
    }
}

/// Longest text of `pgp` that is passed on, in bytes. Some of its errors print all of the input.
const MAX_DETAIL: usize = 160;

fn detail(error: impl std::fmt::Display) -> String {
    /// Takes the beginning of what is written to it, and stops the writer there.
    struct Beginning(String);

    impl std::fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let room = MAX_DETAIL.saturating_sub(self.0.len());
            self.0.extend(text.chars().take(room));
            match text.len() > room {
                true => Err(std::fmt::Error),
                false => Ok(()),
            }
        }
    }

    let mut beginning = Beginning(String::new());
    let _cut_short = std::fmt::write(&mut beginning, format_args!("{error}"));
    beginning.0
}
