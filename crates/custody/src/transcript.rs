//! What was done, for the auditor: text, one line an event, only ever appended to.
//!
//! ```text
//! 2026-01-31T12:00:00Z  staged root version 2, payload SHA-256 9f86…  #4f3c…
//! ```
//!
//! The last word of a line is the SHA-256 of the line before's last word (64 zeros at the start)
//! and of the line up to there. A copy of the newest one, kept elsewhere, vouches for all lines
//! before it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use wire::trust::Timestamp;

/// Longest transcript that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The transcript of a repository or an authority.
#[derive(Clone, Debug)]
pub struct Transcript {
    path: PathBuf,
}

/// Why the transcript cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// It could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line was changed, removed or added.
    #[error(
        "line {0} of the transcript was not written by this tool, or a line before it was changed"
    )]
    Changed(usize),
    /// Too long.
    #[error("the transcript is longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Transcript {
    /// The transcript at `path`, which need not exist.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its text, after checking that every line follows from the one before. A last line without
    /// its end was cut off by a crash and does not count.
    pub fn read(&self) -> Result<String, TranscriptError> {
        let bytes = match std::fs::read(&self.path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(io(&self.path))?,
        };
        if bytes.len() > MAX_BYTES {
            return Err(TranscriptError::TooLong);
        }
        let mut text = String::from_utf8(bytes).map_err(|_| TranscriptError::Changed(1))?;
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        let mut chain = start();
        for (number, line) in text.lines().enumerate() {
            let (event, hash) = line
                .rsplit_once("  #")
                .ok_or(TranscriptError::Changed(number + 1))?;
            chain = link(&chain, event);
            if chain != hash {
                return Err(TranscriptError::Changed(number + 1));
            }
        }
        Ok(text)
    }

    /// Appends an event, durably.
    pub fn append(&self, now_secs: u64, event: &str) -> Result<(), TranscriptError> {
        let text = self.read()?;
        let chain = text
            .lines()
            .last()
            .and_then(|line| line.rsplit_once("  #"))
            .map_or_else(start, |(_, hash)| hash.to_owned());
        let time =
            Timestamp::from_secs(now_secs).map_or_else(|_| String::new(), |at| at.to_string());
        let event: String = event
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let line = format!("{time}  {event}");
        let line = format!("{line}  #{}\n", link(&chain, &line));
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)
            .map_err(io(&self.path))?;
        // What a crash cut off is written over.
        let end = u64::try_from(text.len()).unwrap_or(u64::MAX);
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end)).map_err(io(&self.path))?;
        file.set_len(end).map_err(io(&self.path))?;
        file.write_all(line.as_bytes()).map_err(io(&self.path))?;
        file.sync_all().map_err(io(&self.path))
    }
}

fn start() -> String {
    "0".repeat(64)
}

fn link(chain: &str, event: &str) -> String {
    hex::encode(crypto::sha256(format!("{chain}\n{event}").as_bytes()))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> TranscriptError {
    let path = path.to_owned();
    move |source| TranscriptError::Io {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_missing_line_is_found_and_a_cut_off_one_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("transcript");
        let transcript = Transcript::at(path.clone());
        for event in ["one", "two\nlines", "three"] {
            transcript.append(1_700_000_000, event).unwrap();
        }
        let text = transcript.read().unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("2023-11-14T22:13:20Z  two lines  #"),
            "{text}"
        );
        std::fs::write(&path, format!("{text}2026-01-01T00:00:00Z  half a li")).unwrap();
        transcript.append(1_700_000_001, "four").unwrap();
        let text = transcript.read().unwrap();
        assert_eq!(text.lines().count(), 4);
        for changed in [
            text.replace("one", "0ne"),
            text.lines()
                .skip(1)
                .map(|line| format!("{line}\n"))
                .collect(),
        ] {
            std::fs::write(&path, changed).unwrap();
            assert!(matches!(
                transcript.read(),
                Err(TranscriptError::Changed(1))
            ));
        }
    }
}
