//! What a certificate says.

use std::time::{Duration, SystemTime};

use crypto::PublicKey;
use pki::Serial;
use pki::leaf::{FulcioExtension, Leaf, San};

use super::{Authority, BACKDATE, IssueError, LIFETIME};
use crate::identity::Principal;

/// Shortest validity that is of use to a client; with less left of its own, the authority refuses.
const LEAST_LIFETIME: Duration = Duration::from_secs(60);

/// Describes the certificate of `principal` for `key`, issued at `now`.
pub(super) fn leaf(
    principal: &Principal,
    key: PublicKey,
    authority: &Authority,
    now: SystemTime,
    lifetime: Duration,
) -> Result<Leaf, IssueError> {
    // DER's IA5String is ASCII; the identity types already see to it.
    match &principal.san {
        San::Email(name) | San::Uri(name) if !name.is_ascii() => {
            return Err(IssueError::Content(
                "the identity contains characters that a certificate cannot carry",
            ));
        }
        _ => {}
    }
    let (not_before, not_after) =
        validity(now, lifetime.min(LIFETIME), authority.chain().validity())?;
    let extensions = principal
        .extensions
        .iter()
        .map(|(number, value)| FulcioExtension {
            number,
            value: value.to_owned(),
        })
        .collect();
    Ok(Leaf {
        public_key: key,
        san: principal.san.clone(),
        extensions,
        not_before,
        not_after,
        serial: Serial::random()
            .map_err(|_| IssueError::Authority("no randomness for a serial number"))?,
    })
}

/// `lifetime` from shortly before `now`, within the validity of the authority's chain.
fn validity(
    now: SystemTime,
    lifetime: Duration,
    (from, until): (SystemTime, SystemTime),
) -> Result<(SystemTime, SystemTime), IssueError> {
    if now < from {
        return Err(IssueError::Authority(
            "the certificate authority is not valid yet",
        ));
    }
    let not_before = now
        .checked_sub(BACKDATE)
        .map_or(from, |start| start.max(from));
    let not_after = (not_before + lifetime).min(until);
    if not_after < now + LEAST_LIFETIME {
        return Err(IssueError::Authority(
            "the certificate authority has expired, or does so within a minute",
        ));
    }
    Ok((not_before, not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn ten_minutes_from_five_seconds_ago() {
        assert_eq!(
            validity(at(1000), LIFETIME, (at(0), at(9000))).unwrap(),
            (at(995), at(1595))
        );
    }

    #[test]
    fn a_shorter_lifetime_shortens_the_end() {
        assert_eq!(
            validity(at(1000), Duration::from_secs(120), (at(0), at(9000))).unwrap(),
            (at(995), at(1115))
        );
    }

    #[test]
    fn never_outside_the_authority() {
        assert_eq!(
            validity(at(1000), LIFETIME, (at(998), at(9000))).unwrap(),
            (at(998), at(1598))
        );
        assert_eq!(
            validity(at(1000), LIFETIME, (at(0), at(1200))).unwrap(),
            (at(995), at(1200))
        );
        assert!(validity(at(1000), LIFETIME, (at(0), at(1059))).is_err());
        assert!(validity(at(1000), LIFETIME, (at(0), at(999))).is_err());
        assert!(validity(at(1000), LIFETIME, (at(1001), at(9000))).is_err());
    }
}
