//! Timestamp responses as clients receive them.

use crate::cms::{CmsError, SignedData};
use crate::tlv::{self, DerError, Reader};

/// Why a response was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Not DER, or another structure.
    #[error("malformed timestamp response: {0}")]
    Malformed(&'static str),
    /// The request was not granted.
    #[error("tsr status not granted: {0}")]
    NotGranted(u8),
    /// The token is not signed, or not a timestamp.
    #[error("tsr wrong content type")]
    ContentType,
    /// The token does not verify.
    #[error("tsr verification error: {0}")]
    Token(#[from] CmsError),
}

impl From<DerError> for ResponseError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.0)
    }
}

/// Verifies a DER `TimeStampResp`: granted, and its token signed by a certificate that it carries.
/// Whether that certificate is to be trusted is not looked at.
pub fn verify_response(der: &[u8]) -> Result<(), ResponseError> {
    let mut fields = tlv::single(der, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
    let status = fields.expect(tlv::SEQUENCE)?;
    match Reader::new(status.content).expect(tlv::INTEGER)?.content {
        // granted, grantedWithMods
        [0 | 1] => {}
        [other] => return Err(ResponseError::NotGranted(*other)),
        _ => return Err(ResponseError::Malformed("status")),
    }
    let token = fields.expect(tlv::SEQUENCE)?;
    fields.end()?;
    let mut info = Reader::new(token.content);
    if info.expect(tlv::OID)?.content != super::SIGNED_DATA {
        return Err(ResponseError::ContentType);
    }
    let token = SignedData::from_der(token.raw)?;
    if !token.is_timestamp() {
        return Err(ResponseError::ContentType);
    }
    Ok(token.verify(None)?)
}
