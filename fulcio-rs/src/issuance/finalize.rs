//! The certificate itself.

use pki::leaf::{Leaf, correspond};
use pki::sct::SignedCertificateTimestamp;

use super::precert::{build, finish};
use super::{Authority, IssueError};

/// Signs the certificate with the log's promise in it.
pub(super) async fn sign(
    leaf: &Leaf,
    precertificate: &[u8],
    sct: &SignedCertificateTimestamp,
    authority: &Authority,
) -> Result<Vec<u8>, IssueError> {
    let unsigned = leaf
        .certificate(authority.chain().first(), std::slice::from_ref(sct))
        .map_err(build)?;
    let certificate = finish(unsigned, authority).await?;
    // The log vouches for the precertificate. If the certificate said anything else, its SCT would
    // be worth nothing and the difference would be ours to explain: it must not leave.
    correspond(precertificate, &certificate)
        .map_err(|mismatch| IssueError::Build(mismatch.to_string()))?;
    Ok(certificate)
}

/// Signs the certificate without a log's promise.
pub(super) async fn sign_without_log(
    leaf: &Leaf,
    authority: &Authority,
) -> Result<Vec<u8>, IssueError> {
    finish(
        leaf.certificate(authority.chain().first(), &[])
            .map_err(build)?,
        authority,
    )
    .await
}
