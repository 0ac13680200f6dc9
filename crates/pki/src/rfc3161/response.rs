//! Timestamp responses as clients receive them.

use std::time::SystemTime;

use crypto::HashAlgorithm;
use der::Decode as _;
use der::asn1::GeneralizedTime;

use crate::certificate::Certificate;
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
    /// The token is about something else.
    #[error("the timestamp is over other data")]
    Imprint,
}

impl From<DerError> for ResponseError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.0)
    }
}

/// Verifies a DER `TimeStampResp`: granted, and its token signed by a certificate that it carries.
/// Whether that certificate is to be trusted is not looked at.
pub fn verify_response(der: &[u8]) -> Result<(), ResponseError> {
    Ok(token(der)?.verify(None)?)
}

/// A timestamp that was granted, with what it says. Who says it is for [`Self::verify`].
#[derive(Clone, Debug)]
pub struct Timestamp<'a> {
    token: SignedData<'a>,
    hash: HashAlgorithm,
    imprint: &'a [u8],
    time: SystemTime,
}

impl<'a> Timestamp<'a> {
    /// Parses a DER `TimeStampResp`.
    pub fn from_response(der: &'a [u8]) -> Result<Self, ResponseError> {
        let token = token(der)?;
        let info = token.content().ok_or(CmsError::NoContent)?;
        let mut info = tlv::single(info, tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        info.expect(tlv::INTEGER)?;
        info.expect(tlv::OID)?;
        let mut message = info.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let mut algorithm = message.expect(tlv::SEQUENCE)?.open(tlv::SEQUENCE)?;
        let hash = algorithm.expect(tlv::OID)?.content;
        let hash = super::hash_of(hash).ok_or(CmsError::Hash)?;
        let imprint = message.expect(tlv::OCTET_STRING)?.content;
        message.end()?;
        info.expect(tlv::INTEGER)?;
        let time = time(info.expect(tlv::GENERALIZED_TIME)?.content)?;
        Ok(Self {
            token,
            hash,
            imprint,
            time,
        })
    }

    /// The time, in whole seconds.
    #[must_use]
    pub const fn time(&self) -> SystemTime {
        self.time
    }

    /// Checks that this is about `data`, and signed by `signer`. Whether that certificate may sign
    /// timestamps, and could at that time, is the caller's to check.
    pub fn verify(&self, data: &[u8], signer: &Certificate<'_>) -> Result<(), ResponseError> {
        if self.hash.digest(data).as_bytes() != self.imprint {
            return Err(ResponseError::Imprint);
        }
        Ok(self.token.verify_by(signer)?)
    }
}

fn token(der: &[u8]) -> Result<SignedData<'_>, ResponseError> {
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
    Ok(token)
}

/// `genTime`, which unlike other times may have a fraction of a second (RFC 3161 section 2.4.2).
fn time(content: &[u8]) -> Result<SystemTime, ResponseError> {
    let whole = match content.iter().position(|octet| *octet == b'.') {
        Some(dot) => {
            let (whole, fraction) = content.split_at(dot);
            let digits = fraction.get(1..).and_then(|rest| rest.strip_suffix(b"Z"));
            let fits = |digits: &&[u8]| {
                (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
            };
            digits
                .filter(fits)
                .ok_or(ResponseError::Malformed("time"))?;
            [whole, b"Z"].concat()
        }
        None => content.to_vec(),
    };
    GeneralizedTime::from_der(&tlv::encode(tlv::GENERALIZED_TIME, &[&whole]))
        .map(|time| time.to_system_time())
        .map_err(|_| ResponseError::Malformed("time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_have_a_fraction() {
        let whole = time(b"20260131120000Z").unwrap();
        assert_eq!(time(b"20260131120000.5Z").unwrap(), whole);
        assert_eq!(time(b"20260131120000.123456789Z").unwrap(), whole);
        for bad in [
            &b"20260131120000.Z"[..],
            b"20260131120000.5",
            b"20260131120000.1234567890Z",
            b"20260131120000.x5Z",
            b"2026.Z",
            b"",
        ] {
            assert!(time(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
