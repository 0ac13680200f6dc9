//! Certificates of the hierarchy, signed by keys wherever they are.

use keys::Signer;
use pki::authority::{AuthorityError, Issuer, Role, Template, prepare};
use pki::name::Subject;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// It could not be built.
    #[error(transparent)]
    Build(#[from] AuthorityError),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    /// The signature does not have its form.
    #[error(transparent)]
    Form(#[from] pki::SignatureForm),
}

/// The DER certificate that `template` describes for `subject_key`, signed by `issuer_key`.
pub async fn issue(
    template: &Template,
    subject_key: &crypto::PublicKey,
    issuer: Issuer<'_>,
    issuer_key: &dyn Signer,
) -> Result<Vec<u8>, CertifyError> {
    let unsigned = prepare(template, subject_key, issuer)?;
    let signature = issuer_key.sign(unsigned.tbs()).await?;
    Ok(unsigned.finish(&signature)?)
}

/// A DER certificate signing request for `key`.
pub async fn request(
    role: Role,
    subject: &Subject,
    key: &dyn Signer,
) -> Result<Vec<u8>, CertifyError> {
    let unsigned = pki::authority::request(role, subject, key.public_key())?;
    let signature = key.sign(unsigned.tbs()).await?;
    Ok(unsigned.finish(&signature)?)
}
