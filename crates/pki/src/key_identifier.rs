//! Key identifiers (RFC 5280 section 4.2.1.2, method 1).

use aws_lc_rs::digest;

use crate::certificate::CertificateError;
use crate::tlv;

/// SHA-1 of the bits of the subject public key. It names a key; nothing relies on its strength.
pub(crate) fn key_identifier(spki_der: &[u8]) -> Result<[u8; 20], CertificateError> {
    let mut fields = tlv::single(spki_der, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
    fields.expect(tlv::SEQUENCE)?;
    let [0, bits @ ..] = fields.expect(tlv::BIT_STRING)?.content else {
        return Err(CertificateError::Malformed("the key is not whole octets"));
    };
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits);
    digest
        .as_ref()
        .try_into()
        .map_err(|_| CertificateError::Malformed("SHA-1 is not 20 bytes"))
}
