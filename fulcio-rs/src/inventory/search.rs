//! Searching the inventory, a line at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Record;

/// Longest line that is read, in bytes; the writer's are far below.
const MAX_LINE: u64 = 1 << 20;

/// What is looked for; conditions that are left out hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The subject alternative name, or the token's subject; exactly.
    pub identity: Option<String>,
    /// The token's issuer, exactly.
    pub issuer: Option<String>,
    /// Serial number in hex, with or without colons and leading zeros, in either case.
    pub serial: Option<String>,
    /// Issued then or later, in milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Issued before, in milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
}

/// Why a search ended.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct SearchError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: std::io::Error,
}

impl Filter {
    /// Whether a record is looked for.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        let serial = |wanted: &String| canonical(wanted) == canonical(&record.serial);
        (is(&self.identity, &record.identity) || is(&self.identity, &record.subject))
            && is(&self.issuer, &record.issuer)
            && self.serial.as_ref().is_none_or(serial)
            && self.since_ms.is_none_or(|since| record.time_ms >= since)
            && self.until_ms.is_none_or(|until| record.time_ms < until)
    }
}

fn canonical(serial: &str) -> String {
    let digits = serial.replace([':', ' '], "").to_ascii_lowercase();
    digits.trim_start_matches('0').to_owned()
}

/// Calls `found` with every record that is looked for, in the order of the file, until it says
/// that it has enough (`false`). Returns the number of lines that are not records.
pub fn search(
    path: &Path,
    filter: &Filter,
    mut found: impl FnMut(Record) -> bool,
) -> Result<u64, SearchError> {
    let failed = |source| SearchError {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let mut skipped = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .by_ref()
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(failed)?;
        if length == 0 {
            return Ok(skipped);
        }
        match serde_json::from_slice::<Record>(&line) {
            Ok(record) if filter.matches(&record) => {
                if !found(record) {
                    return Ok(skipped);
                }
            }
            Ok(_) => {}
            Err(_) => skipped += 1,
        }
    }
}

/// A point in time on the command line: seconds since the Unix epoch, or `2026-11-21` or
/// `2026-11-21T04:05:06Z` (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<u32>() {
            return Ok(Self {
                ms: u64::from(seconds) * 1000,
            });
        }
        let full = if text.contains('T') {
            text.to_owned()
        } else {
            format!("{text}T00:00:00Z")
        };
        let refused =
            || format!("{text:?}: write 2026-11-21, 2026-11-21T04:05:06Z or seconds since 1970");
        let time = full.parse::<der::DateTime>().map_err(|_| refused())?;
        let ms = u64::try_from(time.unix_duration().as_millis()).map_err(|_| refused())?;
        Ok(Self { ms })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    fn found(filter: &Filter) -> Vec<Record> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut text = String::from("{\"half\n\n");
        for number in 0..10 {
            text.push_str(&serde_json::to_string(&record(number)).unwrap());
            text.push('\n');
        }
        std::fs::write(file.path(), text).unwrap();
        let mut all = Vec::new();
        let skipped = search(file.path(), filter, |record| {
            all.push(record);
            true
        })
        .unwrap();
        assert_eq!(skipped, 2);
        all
    }

    #[test]
    fn identity_serial_issuer_and_time_are_searched() {
        assert_eq!(found(&Filter::default()).len(), 10);
        for identity in ["dev3@corp.example", "user-3"] {
            let filter = Filter {
                identity: Some(identity.to_owned()),
                ..Filter::default()
            };
            assert_eq!(found(&filter), [record(3)]);
        }
        for serial in ["9", "00:09", "0000000000000000000000000000000000000009"] {
            let filter = Filter {
                serial: Some(serial.to_owned()),
                ..Filter::default()
            };
            assert_eq!(found(&filter), [record(9)], "{serial}");
        }
        let filter = Filter {
            since_ms: Some(record(4).time_ms),
            until_ms: Some(record(6).time_ms),
            ..Filter::default()
        };
        assert_eq!(found(&filter), [record(4), record(5)]);
        let filter = Filter {
            issuer: Some("https://x.example".to_owned()),
            ..Filter::default()
        };
        assert_eq!(found(&filter), []);
    }

    #[test]
    fn times_are_read() {
        let ms = |text: &str| text.parse::<Time>().map(|time| time.ms);
        assert_eq!(ms("1700000000"), Ok(1_700_000_000_000));
        assert_eq!(ms("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert_eq!(ms("2023-11-14"), Ok(1_699_920_000_000));
        for bad in ["", "yesterday", "2023-13-01", "2023-11-14T25:00:00Z", "-1"] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }
}
