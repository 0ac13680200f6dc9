//! OpenPGP keys of entries: what the kinds with them have in common.

use openpgp::Keyring;
use wire::rekor::ProposedKey;

use super::{EntryError, Terms};

impl From<openpgp::Error> for EntryError {
    fn from(error: openpgp::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// The keys in `spec.publicKey`.
pub(super) fn keyring(proposed: Option<ProposedKey>) -> Result<Keyring, EntryError> {
    let content = proposed
        .ok_or_else(|| EntryError::missing_member("publicKey"))?
        .content
        .filter(|content| !content.0.is_empty())
        .ok_or_else(|| EntryError::invalid("'content' must be specified for publicKey"))?;
    Ok(Keyring::parse(&content.0)?)
}

/// The e-mail addresses in the user ids.
pub(super) fn subjects(keys: &Keyring) -> Vec<String> {
    let mut emails = keys.emails();
    emails.retain(|email| crate::search::is_email(email));
    emails
}

/// What entries of these keys are found by.
pub(super) fn add_terms(terms: &mut Terms, keys: &Keyring) {
    terms.add_signer(keys.canonical(), &subjects(keys));
}
