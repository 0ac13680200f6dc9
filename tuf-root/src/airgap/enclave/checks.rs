//! What a bundle must be, beyond what a client asks of it.

use super::super::bundle::{Bundle, Manifest};
use super::super::tree::{self, Tree};
use super::state::State;
use super::{Current, EnclaveError};
use crate::client::{self, Expiry, Trusted, UpdateError};
use crate::metadata::{Document, Metadata, RoleName, Root, Version};
use crate::policy::Period;
use crate::trust;

/// Whether the bundle is of this repository, and at least as new in every respect.
pub(super) fn check(
    state: &State,
    current: Option<&Current>,
    bundle: &Bundle,
) -> Result<(), EnclaveError> {
    if bundle.manifest.first_root != state.first_root {
        return Err(EnclaveError::OtherRepository {
            found: bundle.manifest.first_root,
            expected: state.first_root,
        });
    }
    let Some(current) = current else {
        return Ok(());
    };
    for role in RoleName::ALL {
        let of = |manifest: &Manifest| manifest.version(role).map_or(0, Version::get);
        let (offered, known) = (of(&bundle.manifest), of(&current.manifest));
        if offered < known {
            return Err(EnclaveError::Rollback {
                role,
                offered,
                known,
            });
        }
    }
    // Snapshot and timestamp are the enclave's own; all else under a known name is known.
    let own = [
        "timestamp.json".to_owned(),
        "root.json".to_owned(),
        current.trusted.snapshot.signed().file_name(),
    ];
    for (name, content) in &current.tree.files {
        let other = bundle.tree.files.get(name).is_some_and(|c| c != content);
        if other && !own.contains(name) {
            return Err(EnclaveError::Forked(name.clone()));
        }
    }
    Ok(())
}

pub(super) fn check_validity<T: Metadata>(
    document: &Document<T>,
    least: Period,
    now: u64,
) -> Result<(), EnclaveError> {
    let expires = document.signed().expires();
    match expires.seconds_left(now) < least.as_secs() {
        true => Err(EnclaveError::Short {
            role: T::ROLE,
            at: expires.to_string(),
        }),
        false => Ok(()),
    }
}

pub(super) async fn check_documents(bundle: &Bundle) -> Result<(), EnclaveError> {
    for name in bundle.trusted.targets.signed().targets.keys() {
        let content = client::target(&bundle.tree, &bundle.trusted, name).await?;
        trust::check_document(name, &content).map_err(|e| EnclaveError::TrustDocument {
            name: name.to_string(),
            reason: e.to_string(),
        })?;
    }
    Ok(())
}

/// Walks the new tree as clients will: one that starts from the first root, one that is here.
pub(super) async fn rehearse(
    next: &Tree,
    bundle: &Bundle,
    known: Option<&Trusted>,
    now: u64,
) -> Result<(), EnclaveError> {
    let first = bundle.tree.files.get("1.root.json");
    let first = first.ok_or_else(|| UpdateError::Missing("1.root.json".to_owned()))?;
    let first: Document<Root> = Document::parse(first)?;
    let trusted = client::update(next, &first, None, Expiry::At(now)).await?;
    if let Some(known) = known {
        client::update(next, &known.root, Some(known), Expiry::At(now)).await?;
    }
    match tree::names(&trusted)
        .into_iter()
        .find(|name| !next.files.contains_key(name))
    {
        Some(missing) => Err(UpdateError::Missing(missing).into()),
        None => Ok(()),
    }
}
