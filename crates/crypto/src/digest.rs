//! Message digests.

/// A digest algorithm of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

#[expect(clippy::len_without_is_empty, reason = "no digest is empty")]
impl HashAlgorithm {
    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `data`.
    #[must_use]
    pub fn digest(self, data: &[u8]) -> Digest {
        Digest {
            algorithm: self,
            bytes: aws_lc_rs::digest::digest(self.implementation(), data)
                .as_ref()
                .to_vec(),
        }
    }

    /// Starts a digest that is fed in pieces.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        Hasher {
            algorithm: self,
            context: aws_lc_rs::digest::Context::new(self.implementation()),
        }
    }

    pub(crate) const fn implementation(self) -> &'static aws_lc_rs::digest::Algorithm {
        use aws_lc_rs::digest;
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest with the algorithm that made it; its length always matches the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// A digest computed elsewhere; `None` if its length does not match the algorithm.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.len()).then_some(Self { algorithm, bytes })
    }

    /// The algorithm that made this digest.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The raw digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A digest in the making.
pub struct Hasher {
    algorithm: HashAlgorithm,
    context: aws_lc_rs::digest::Context,
}

impl Hasher {
    /// Feeds a piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest {
            algorithm: self.algorithm,
            bytes: self.context.finish().as_ref().to_vec(),
        }
    }
}

/// SHA-256 of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data).as_ref());
    out
}

/// SHA-256 of the parts, one after the other.
#[must_use]
pub fn sha256_concat(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
