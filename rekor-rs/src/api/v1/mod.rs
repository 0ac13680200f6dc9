//! Handlers of `/api/v1/`.

pub(super) mod entries;
pub(super) mod index;
pub(super) mod log;
pub(super) mod retrieve;

use axum::extract::Request;

use super::Rekor;
use super::body::Held;
use crate::entry;
use crate::error::RequestError;

/// Reads a request's body, which `name` stands for in the refusal of an empty one.
async fn read_body(rekor: &Rekor, request: Request, name: &str) -> Result<Held, RequestError> {
    let held = rekor.bodies.read(request).await?;
    if held.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(RequestError::required(name, "body"));
    }
    Ok(held)
}

fn entry_limits(rekor: &Rekor) -> entry::Limits {
    entry::Limits {
        attestation: rekor.limits.attestation,
        package_metadata: rekor.limits.package_metadata,
        now: rekor.clock.now(),
    }
}
