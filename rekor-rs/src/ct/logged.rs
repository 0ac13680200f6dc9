//! Reading back what a CT log stores of an entry ([`super::Rfc6962`] writes it).

use der::Decode as _;
use x509_cert::Certificate;

use super::input::Input;

/// The part of a leaf that says what was logged, and when (RFC 6962 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampedEntry<'a> {
    /// All of it.
    pub(crate) bytes: &'a [u8],
    /// When it was sequenced.
    pub(crate) timestamp_ms: u64,
    /// Whether a precertificate was submitted.
    pub(crate) is_precertificate: bool,
    /// The certificate, or the precertificate's TBSCertificate.
    pub(crate) certificate: &'a [u8],
}

impl<'a> TimestampedEntry<'a> {
    /// Reads one.
    pub(crate) fn read(input: &mut Input<'a>) -> Result<Self, &'static str> {
        let all = input.0;
        let timestamp_ms = u64::from_be_bytes(input.array()?);
        let is_precertificate = match input.array()? {
            [0, 0] => false,
            [0, 1] => true,
            _ => return Err("entry type"),
        };
        if is_precertificate {
            input.take(32)?;
        }
        let certificate = input.vector24()?;
        input.vector16()?;
        let length = all.len() - input.0.len();
        Ok(Self {
            bytes: all.get(..length).unwrap_or_default(),
            timestamp_ms,
            is_precertificate,
            certificate,
        })
    }
}

/// An entry, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged<'a> {
    /// The leaf without its two first bytes.
    pub(crate) entry: TimestampedEntry<'a>,
    /// What was submitted, DER.
    pub(crate) submitted: &'a [u8],
    /// The certificates after it, up to a root.
    pub(crate) chain: Vec<&'a [u8]>,
}

impl<'a> Logged<'a> {
    /// Takes a `MerkleTreeLeaf` and its `extra_data` apart.
    pub(crate) fn parse(leaf: &'a [u8], extra: &'a [u8]) -> Result<Self, &'static str> {
        let mut input = Input(leaf);
        if input.array()? != [0, 0] {
            return Err("not a version 1 timestamped entry");
        }
        let entry = TimestampedEntry::read(&mut input)?;
        input.end()?;

        let mut input = Input(extra);
        let submitted = match entry.is_precertificate {
            true => input.vector24()?,
            false => entry.certificate,
        };
        Certificate::from_der(submitted).map_err(|_| "what was submitted is not a certificate")?;
        let mut certificates = Input(input.vector24()?);
        input.end()?;
        let mut chain = Vec::new();
        while !certificates.0.is_empty() {
            chain.push(certificates.vector24()?);
        }
        Ok(Self {
            entry,
            submitted,
            chain,
        })
    }

    /// The `MerkleTreeLeaf` of an entry.
    pub(crate) fn leaf(entry: &TimestampedEntry<'_>) -> Vec<u8> {
        [&[0, 0], entry.bytes].concat()
    }
}
