//! One net a directory: who makes, runs or removes a net holds a lock on a file beside the directory, `DIR.lock`.
//!
//! The lock is the kernel's and ends with this process, however that ends, so a file that was left locks nobody out.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Error, home};

/// The lock of a net's directory, until this is dropped.
pub struct DirLock {
    file: File,
    path: PathBuf,
}

impl DirLock {
    /// Takes the lock of `dir`, which may not exist, but whose parent does; fails at once if somebody has it.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let path = home::beside(dir, "lock")?;
        let failed = |source| Error::File { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        loop {
            let file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Running { dir: dir.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Who had the lock may have removed the file after we opened it; then it locks nothing.
            if is_at(&file, &path).map_err(failed)? {
                return Ok(Self { file, path });
            }
        }
    }

    /// Whether somebody has the lock of `dir`.
    pub fn is_held(dir: &Path) -> bool {
        let Ok(dir) = home::resolve(dir) else { return false };
        let file = home::beside(&dir, "lock").and_then(|path| {
            OpenOptions::new().write(true).open(&path).map_err(|source| Error::File { path, source })
        });
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // The file first: after the lock it may be somebody else's. And the lock by name: a child that some other thread
        // is just starting has yet to close the file, which would keep it.
        match std::fs::remove_file(&self.path).and_then(|()| self.file.unlock()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(lock = %self.path.display(), %error, "the lock of a net's directory is left");
            }
            _ => {}
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match path.metadata() {
        Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::DirLock;
    use crate::net::{Error, home};

    #[test]
    fn a_directory_has_one_lock_by_whatever_name() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("net");
        let held = DirLock::take(&home::resolve(&dir).unwrap()).unwrap();
        assert!(matches!(DirLock::take(&home::resolve(&dir).unwrap()), Err(Error::Running { .. })));
        std::fs::create_dir(&dir).unwrap();
        let link = parent.path().join("link");
        symlink(&dir, &link).unwrap();
        assert!(matches!(DirLock::take(&home::resolve(&link).unwrap()), Err(Error::Running { .. })));
        assert!(DirLock::is_held(&link));
        drop(held);
        assert!(!DirLock::is_held(&link));
        assert!(!parent.path().join("net.lock").exists());
        // What a process that was killed leaves.
        std::fs::write(parent.path().join("net.lock"), "").unwrap();
        assert!(!DirLock::is_held(&dir));
        DirLock::take(&dir).unwrap();
    }

    #[test]
    fn a_lock_never_has_two_holders() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("net");
        let (holders, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let Ok(_held) = DirLock::take(&dir) else { continue };
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        thread::sleep(Duration::from_micros(50));
                        holders.fetch_sub(1, Ordering::SeqCst);
                        taken.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
