//! Writing so that a crash leaves the old state or the new one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a file in one step, durably.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, temporary) = beside(path)?;
    write(&temporary, bytes)?;
    fs::rename(&temporary, path)?;
    sync(&dir)
}

/// Writes a file and makes its content durable; its name is once the directory is synced.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes `link` point to `target`, in one step, durably.
pub(super) fn point(link: &Path, target: &Path) -> io::Result<()> {
    let (dir, temporary) = beside(link)?;
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &temporary)?;
    fs::rename(&temporary, link)?;
    sync(&dir)
}

/// Makes the names in a directory durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn beside(path: &Path) -> io::Result<(std::path::PathBuf, std::path::PathBuf)> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut temporary = std::ffi::OsString::from(".tmp-");
    temporary.push(name);
    Ok((dir.to_owned(), dir.join(temporary)))
}
