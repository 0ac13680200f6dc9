//! Bundles in files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use verifier::Evidence;
use wire::bundle::{Bundle, MAX_BUNDLE};

use super::{Past, PastBundles, PreflightError, Stop};

/// Most files that are looked at.
const MAX_FILES: usize = 100_000;

/// Deepest folder.
const MAX_DEPTH: usize = 16;

/// Most bytes that are kept.
const MAX_TOTAL: usize = 1 << 30;

/// Endings of files that hold bundles.
const ENDINGS: [&str; 4] = [".json", ".sigstore", ".bundle", ".intoto"];

/// Reads a bundle, or all bundles below a directory. Links are not followed.
pub(super) fn gather(path: &Path, into: &mut PastBundles) -> Result<(), PreflightError> {
    let kind = std::fs::metadata(path).map_err(|e| fail(path, e))?;
    let mut left = Budget {
        files: MAX_FILES,
        bytes: MAX_TOTAL,
    };
    match kind.is_dir() {
        true => folder(path, MAX_DEPTH, &mut left, into),
        false => file(path, &mut left, into),
    }
}

struct Budget {
    files: usize,
    bytes: usize,
}

fn folder(
    dir: &Path,
    depth: usize,
    left: &mut Budget,
    into: &mut PastBundles,
) -> Result<(), PreflightError> {
    let mut entries: Vec<_> = (std::fs::read_dir(dir).map_err(|e| fail(dir, e))?)
        .take(left.files.saturating_add(1))
        .collect::<Result<_, _>>()
        .map_err(|e| fail(dir, e))?;
    // The same folder always gives the same report.
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type());
        let kind = kind.map_err(|e| fail(&path, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() && depth > 0 {
            folder(&path, depth - 1, left, into)?;
        } else if kind.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            file(&path, left, into)?;
        }
    }
    Ok(())
}

fn file(path: &Path, left: &mut Budget, into: &mut PastBundles) -> Result<(), PreflightError> {
    left.files = (left.files.checked_sub(1)).ok_or_else(|| {
        fail(
            path,
            format!("more than {MAX_FILES} files; check a part of them"),
        )
    })?;
    let limit = u64::try_from(MAX_BUNDLE).unwrap_or(u64::MAX);
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut json))
        .map_err(|e| fail(path, e))?;
    let name = path.display().to_string();
    let read = Bundle::from_json(&json).map_err(|e| e.to_string());
    match read.and_then(|bundle| Evidence::try_from(bundle).map_err(|e| e.to_string())) {
        Ok(evidence) => {
            left.bytes = (left.bytes.checked_sub(json.len()))
                .ok_or_else(|| fail(path, "too many bytes in all; check a part of them"))?;
            into.past.push(Past { name, evidence });
        }
        Err(reason) => into.skipped.push(Stop {
            bundle: name,
            reason,
        }),
    }
    Ok(())
}

fn fail(path: &Path, reason: impl ToString) -> PreflightError {
    PreflightError::Read {
        at: path.display().to_string(),
        reason: reason.to_string(),
    }
}
