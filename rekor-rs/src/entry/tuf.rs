//! `tuf`: metadata of The Update Framework, signed by keys of a root that is signed by its own.

mod metadata;

use serde_json::value::RawValue;
use wire::rekor::tuf::{Document, KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, from_spec};
use metadata::{MetadataError, Root, Signed};

/// Verifies a `spec` of version 0.0.1. Its canonical form is a proposal, too.
pub(super) fn verify(
    spec: &str,
    purpose: Purpose,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let invalid = |error: MetadataError| EntryError::Invalid(error.to_string());
    let proposed: Proposed<'_> = from_spec(spec)?;
    let metadata = text(proposed.metadata, "metadata")?;
    let root = text(proposed.root, "root")?;
    let root = Root::parse(&root).map_err(invalid)?;
    let metadata = Signed::parse(&metadata).map_err(invalid)?;
    root.verify(&metadata).map_err(invalid)?;
    // What has expired must stay findable.
    if purpose == Purpose::Insert {
        root.signed().check_expiry(limits.now).map_err(invalid)?;
        metadata.check_expiry(limits.now).map_err(invalid)?;
    }

    let (metadata_text, root_text) = (
        metadata.canonical().map_err(invalid)?,
        root.signed().canonical().map_err(invalid)?,
    );
    let mut terms = Terms::default();
    terms.add_key(&root_text, &[]);
    terms.add_key(&metadata_text, &[]);
    terms.add(metadata.role());
    terms.add(&metadata.version().to_string());
    let body = body(&metadata_text, &root_text, root.spec_version());
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}

/// The canonical form of a root that is signed by its own keys.
pub(super) fn canonical_root(text: &[u8]) -> Result<Vec<u8>, EntryError> {
    Root::parse(text)
        .and_then(|root| root.signed().canonical())
        .map_err(|error| EntryError::Invalid(error.to_string()))
}

/// The text of a document that is given as an object, or as base64 of its text.
fn text(document: Option<Document<'_>>, path: &str) -> Result<Vec<u8>, EntryError> {
    let content: &RawValue = document
        .ok_or_else(|| EntryError::missing_member(path))?
        .content
        .ok_or_else(|| EntryError::missing_member(&format!("{path}.content")))?;
    let json = content.get();
    if !json.starts_with('"') {
        return Ok(json.as_bytes().to_vec());
    }
    let encoded: wire::rekor::Base64 =
        serde_json::from_str(json).map_err(|error| EntryError::Json(error.to_string()))?;
    Ok(encoded.0)
}
