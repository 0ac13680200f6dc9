//! The precertificate: the certificate with a poison where the log's promise will be.

use pki::leaf::Leaf;

use super::{Authority, IssueError};

/// Signs the precertificate; returns it as DER.
pub(super) async fn sign(leaf: &Leaf, authority: &Authority) -> Result<Vec<u8>, IssueError> {
    let unsigned = leaf
        .precertificate(authority.chain().first())
        .map_err(build)?;
    finish(unsigned, authority).await
}

/// Signs and assembles.
pub(super) async fn finish(
    unsigned: pki::Unsigned,
    authority: &Authority,
) -> Result<Vec<u8>, IssueError> {
    let signature = authority.signer().sign(unsigned.tbs()).await?;
    unsigned
        .finish(&signature)
        .map_err(|error| IssueError::Build(error.to_string()))
}

/// Says why a certificate was not built.
pub(super) fn build(error: pki::leaf::LeafError) -> IssueError {
    match error {
        pki::leaf::LeafError::Content(reason) => IssueError::Content(reason),
        other => IssueError::Build(other.to_string()),
    }
}
