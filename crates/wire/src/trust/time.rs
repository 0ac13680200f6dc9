//! Points in time and periods (RFC 3339 in JSON).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, in milliseconds since the Unix epoch.
///
/// Written `2026-01-31T12:00:00Z`, with three more digits only if it is not a whole second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Not a point in time that every client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time in UTC between 1970 and 2999, like 2026-01-31T12:00:00Z")]
pub struct TimestampError;

/// First second that is not written: 3000-01-01. Some readers fail far earlier than year 9999.
const END_SECS: u64 = 32_503_680_000;

impl Timestamp {
    /// The time at `ms` milliseconds since the Unix epoch.
    pub const fn from_ms(ms: u64) -> Result<Self, TimestampError> {
        if ms / 1000 < END_SECS {
            Ok(Self(ms))
        } else {
            Err(TimestampError)
        }
    }

    /// The time at `secs` seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Result<Self, TimestampError> {
        if secs < END_SECS {
            Ok(Self(secs * 1000))
        } else {
            Err(TimestampError)
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The millisecond before.
    #[must_use]
    pub const fn just_before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(time: SystemTime) -> Result<Self, TimestampError> {
        let since = time
            .duration_since(UNIX_EPOCH)
            .map_err(|_| TimestampError)?;
        Self::from_ms(u64::try_from(since.as_millis()).map_err(|_| TimestampError)?)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = DateTime::from_unix_duration(Duration::from_secs(self.as_secs()))
            .map_err(|_| fmt::Error)?;
        let text = whole.to_string();
        match self.0 % 1000 {
            0 => f.write_str(&text),
            ms => write!(f, "{}.{ms:03}Z", text.trim_end_matches('Z')),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let body = text.strip_suffix('Z').ok_or(TimestampError)?;
        let (whole, fraction) = body
            .split_once('.')
            .map_or((body, None), |(w, f)| (w, Some(f)));
        let secs = DateTime::from_str(&format!("{whole}Z"))
            .map_err(|_| TimestampError)?
            .unix_duration()
            .as_secs();
        let ms = match fraction {
            None => 0,
            // Finer than a millisecond would not survive being written again.
            Some(digits) if digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u64>().map_err(|_| TimestampError)?
            }
            Some(_) => return Err(TimestampError),
        };
        Self::from_ms(secs * 1000 + ms)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A period of validity. Both ends are part of it.
///
/// The start is always written: without it one client refuses logs, another authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// First moment.
    pub start: Timestamp,
    /// Last moment; absent while the key or service is in use.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::not_null"
    )]
    pub end: Option<Timestamp>,
}

impl TimeRange {
    /// From `start`, without an end.
    #[must_use]
    pub const fn since(start: Timestamp) -> Self {
        Self { start, end: None }
    }

    /// Whether `at` lies in the period.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at <= end)
    }

    /// Whether the end comes before the start.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.is_some_and(|end| end < self.start)
    }

    /// The shortest period that both periods are part of.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.zip(other.end).map(|(a, b)| a.max(b)),
        }
    }

    /// Whether some moment lies in both periods.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.end.is_none_or(|end| other.start <= end)
            && other.end.is_none_or(|end| self.start <= end)
    }
}
