//! Who signs what, how many of them, and for how long.

use std::collections::BTreeMap;
use std::str::FromStr;

use keys::KeyUri;
use serde::{Deserialize, Serialize};

use crate::metadata::RoleName;

/// Roles of a repository, as they are wished for when it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// One entry for each of the four roles.
    pub roles: BTreeMap<RoleName, RolePolicy>,
}

/// One role of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct RolePolicy {
    /// Where its keys live. A `file:` key that does not exist is made; a relative path is meant
    /// from the repository's directory.
    pub keys: Vec<KeyUri>,
    /// How many of the keys must sign.
    pub threshold: u32,
    /// How long a signed document is valid.
    pub expiry: Period,
    /// How long before its end a document is signed again.
    pub window: Period,
}

/// A length of time, in seconds. Written `365d`, `12h`, `30m` or `45s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Period(u64);

/// Not a length of time that metadata can be valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a period from 1s to 36500d; write a number and d, h, m or s, like 365d or 12h")]
pub struct PeriodError;

impl Period {
    const DAY: u64 = 86_400;

    /// `days` days.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(days as u64 * Self::DAY)
    }

    /// Half of it.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let units = [('d', Self::DAY), ('h', 3600), ('m', 60), ('s', 1)];
        let (number, unit) = units
            .iter()
            .find_map(|(suffix, secs)| text.strip_suffix(*suffix).map(|number| (number, *secs)))
            .ok_or(PeriodError)?;
        let secs = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(unit))
            .ok_or(PeriodError)?;
        match (1..=36_500 * Self::DAY).contains(&secs) {
            true => Ok(Self(secs)),
            false => Err(PeriodError),
        }
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            secs if secs % Self::DAY == 0 => write!(f, "{}d", secs / Self::DAY),
            secs if secs % 3600 == 0 => write!(f, "{}h", secs / 3600),
            secs => write!(f, "{secs}s"),
        }
    }
}

impl Default for Policy {
    /// One key of its own for each role, in `keys/` under the repository's directory. Root,
    /// targets and snapshot are valid for a year and signed again 90 days before their end;
    /// timestamp is valid for seven days and signed again every day, so that it survives six days
    /// of an outage.
    fn default() -> Self {
        let role = |role: RoleName| {
            let (expiry, window) = match role {
                RoleName::Timestamp => (Period::days(7), Period::days(6)),
                _ => (Period::days(365), Period::days(90)),
            };
            let keys = vec![KeyUri::file(format!("keys/{role}.pem"))];
            (
                role,
                RolePolicy {
                    keys,
                    threshold: 1,
                    expiry,
                    window,
                },
            )
        };
        Self {
            roles: RoleName::ALL.into_iter().map(role).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_a_unit() {
        for (text, secs) in [("7d", 604_800), ("12h", 43_200), ("5m", 300), ("1s", 1)] {
            assert_eq!(text.parse::<Period>().unwrap().as_secs(), secs);
        }
        for bad in [
            "7",
            "0d",
            "-1d",
            "36501d",
            "d",
            "1w",
            "99999999999999999999d",
        ] {
            assert_eq!(bad.parse::<Period>(), Err(PeriodError), "{bad}");
        }
        assert_eq!(Period::days(365).to_string(), "365d");
    }
}
