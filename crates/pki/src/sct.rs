//! Signed certificate timestamps (RFC 6962 section 3).

/// What a log certifies to have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtEntry<'a> {
    /// A DER certificate.
    X509(&'a [u8]),
    /// A precertificate.
    Precert {
        /// SHA-256 of the issuer's DER SPKI.
        issuer_key_hash: [u8; 32],
        /// DER TBSCertificate without the poison.
        tbs: &'a [u8],
    },
}

/// A log's promise, with an ECDSA signature over SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCertificateTimestamp {
    /// SHA-256 of the log's DER SPKI.
    pub log_id: [u8; 32],
    /// In ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// `CtExtensions`, at most 65535 bytes.
    pub extensions: Vec<u8>,
    /// DER ECDSA signature over [`signing_input`].
    pub signature: Vec<u8>,
}

/// Why bytes are not an SCT or cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed SCT: {0}")]
pub struct SctError(pub &'static str);

/// A TLS `DigitallySigned` with an ECDSA signature over SHA-256.
pub fn digitally_signed(_signature: &[u8]) -> Result<Vec<u8>, SctError> {
    unimplemented!()
}

/// The DER ECDSA signature inside a TLS `DigitallySigned`; refuses other algorithms.
pub fn parse_digitally_signed(_bytes: &[u8]) -> Result<&[u8], SctError> {
    unimplemented!()
}

/// What an SCT signs, which is also, byte for byte, the entry's `MerkleTreeLeaf`.
pub fn signing_input(_entry: CtEntry<'_>, _timestamp_ms: u64, _extensions: &[u8]) -> Result<Vec<u8>, SctError> {
    unimplemented!()
}

impl SignedCertificateTimestamp {
    /// The TLS encoding.
    pub fn encode(&self) -> Result<Vec<u8>, SctError> {
        unimplemented!()
    }

    /// Parses the TLS encoding; no trailing bytes.
    pub fn decode(_bytes: &[u8]) -> Result<Self, SctError> {
        unimplemented!()
    }
}

/// The TLS `SignedCertificateTimestampList`.
pub fn encode_list(_scts: &[SignedCertificateTimestamp]) -> Result<Vec<u8>, SctError> {
    unimplemented!()
}

/// Parses a `SignedCertificateTimestampList`.
pub fn decode_list(_bytes: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    unimplemented!()
}

/// Content of the extension's `extnValue`: a DER OCTET STRING around the list.
pub fn extension_value(_scts: &[SignedCertificateTimestamp]) -> Result<Vec<u8>, SctError> {
    unimplemented!()
}

/// The inverse of [`extension_value`].
pub fn parse_extension_value(_bytes: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    unimplemented!()
}

/// The SCTs embedded in a certificate; empty if there is no such extension.
pub fn embedded(_certificate_der: &[u8]) -> Result<Vec<SignedCertificateTimestamp>, SctError> {
    unimplemented!()
}
