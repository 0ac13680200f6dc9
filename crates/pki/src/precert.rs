//! Precertificates (RFC 6962 section 3.1) by splicing DER.

use crate::certificate::{Certificate, Extension};
use crate::oid;
use crate::tlv::{self, Reader};

/// Why a TBSCertificate could not be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PrecertError(pub &'static str);

/// The TBSCertificate of a precertificate without its poison extension. All other bytes stay.
/// Refuses certificates without a poison, or with several, or with a wrong one.
pub fn tbs_without_poison(der: &[u8]) -> Result<Vec<u8>, PrecertError> {
    let certificate = parse(der)?;
    let poison = poison(&certificate)?.ok_or(PrecertError(
        "not a precertificate: it has no poison extension",
    ))?;
    without(&certificate, poison)
}

/// The TBSCertificate of a certificate without its SCT list extension. All other bytes stay.
/// Refuses certificates without one or with several.
pub fn tbs_without_sct_list(der: &[u8]) -> Result<Vec<u8>, PrecertError> {
    let certificate = parse(der)?;
    let list = certificate
        .extension(oid::SCT_LIST)
        .ok_or(PrecertError("the certificate has no SCT list"))?;
    without(&certificate, list)
}

/// Whether a certificate carries a poison extension. Refuses a wrong poison (not critical, not
/// NULL, several).
pub fn is_precertificate(der: &[u8]) -> Result<bool, PrecertError> {
    Ok(poison(&parse(der)?)?.is_some())
}

pub(crate) fn parse(der: &[u8]) -> Result<Certificate<'_>, PrecertError> {
    // Refuses an extension that occurs twice, and so several poisons.
    Certificate::from_der(der).map_err(|error| match error {
        crate::certificate::CertificateError::Malformed(reason) => PrecertError(reason),
        _ => PrecertError("not a certificate"),
    })
}

pub(crate) fn poison<'c, 'a>(
    certificate: &'c Certificate<'a>,
) -> Result<Option<&'c Extension<'a>>, PrecertError> {
    match certificate.extension(oid::POISON) {
        None => Ok(None),
        Some(poison) if poison.critical && poison.value == [tlv::NULL, 0] => Ok(Some(poison)),
        Some(_) => Err(PrecertError(
            "the poison extension is not critical or not NULL",
        )),
    }
}

/// Copies the TBSCertificate but for one extension; only the lengths around it change.
fn without(
    certificate: &Certificate<'_>,
    extension: &Extension<'_>,
) -> Result<Vec<u8>, PrecertError> {
    let extensions = certificate
        .extensions()
        .iter()
        .filter(|other| other.oid != extension.oid);
    let kept: Vec<&[u8]> = extensions.map(|other| other.raw).collect();
    // `Extensions` is SIZE (1..MAX): a TBSCertificate without any has no such field.
    let list = if kept.is_empty() {
        Vec::new()
    } else {
        tlv::encode(tlv::constructed(3), &[&tlv::encode(tlv::SEQUENCE, &kept)])
    };
    let mut fields: Vec<&[u8]> = Vec::new();
    let mut reader = Reader::new(certificate.tbs_content());
    while !reader.is_empty() {
        let field = reader.element().map_err(|error| PrecertError(error.0))?;
        fields.push(if field.tag == tlv::constructed(3) {
            &list
        } else {
            field.raw
        });
    }
    Ok(tlv::encode(tlv::SEQUENCE, &fields))
}
