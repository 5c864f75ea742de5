//! Atomic writing of files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The path does not name a file.
    #[error("{} does not name a file", path.display())]
    NoFileName {
        /// The path.
        path: PathBuf,
    },

    /// A file or a folder cannot be written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file, or the folder that should hold it.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Writes `bytes` to `path` atomically: another process, or this one after a crash, finds either
/// the complete new file or the previous one.
///
/// The bytes go to a temporary file in the same folder (missing folders are created), which is
/// flushed to the disk and then renamed. A symbolic link is kept: the file that it points to is
/// replaced. A target that is not a regular file, such as `/dev/null` or a pipe, is written
/// directly.
///
/// # Errors
/// [`WriteError::NoFileName`] if `path` ends in `/` or `..` or is empty, [`WriteError::Io`]
/// with the file or folder that cannot be written. The temporary file is removed.
pub fn atomic_write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), WriteError> {
    atomic_write_with(path, |file| file.write_all(bytes))
}

/// Like [`atomic_write`], for contents that are streamed: `fill` writes them. If it fails, no file
/// is left.
///
/// # Errors
/// As [`atomic_write`]; an error of `fill` becomes a [`WriteError::Io`].
pub fn atomic_write_with(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), WriteError> {
    let path = path.as_ref();
    check_name(path)?;
    let failed = |source| WriteError::Io {
        path: path.into(),
        source,
    };
    // Through a link, so that the rename replaces what the link leads to.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    match fs::metadata(&target) {
        Ok(kind) if kind.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(kind) if !kind.is_file() => {
            let mut device = File::options().write(true).open(&target).map_err(failed)?;
            return fill(&mut device).map_err(failed);
        }
        _ => {}
    }
    let folder = parent_of(&target);
    fs::create_dir_all(&folder).map_err(|source| WriteError::Io {
        path: folder.clone(),
        source,
    })?;
    let mut file = temporary_in(&folder).map_err(failed)?;
    fill(file.as_file_mut()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    sync_folder(&folder).map_err(failed)
}

/// Checks that [`atomic_write`] to `path` can succeed, without leaving a file. Call it before long
/// work whose result will be written there.
///
/// # Errors
/// As [`atomic_write`].
pub fn check_target(path: impl AsRef<Path>) -> Result<(), WriteError> {
    let path = path.as_ref();
    check_name(path)?;
    let failed = |path: &Path, source| WriteError::Io {
        path: path.into(),
        source,
    };
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    match fs::metadata(&target) {
        Ok(kind) if kind.is_dir() => {
            return Err(failed(path, io::ErrorKind::IsADirectory.into()));
        }
        Ok(kind) if !kind.is_file() => return Ok(()),
        _ => {}
    }
    // The nearest folder that is there already: the missing ones are made in it.
    let mut folder = parent_of(&target);
    while fs::symlink_metadata(&folder).is_err() {
        folder = parent_of(&folder);
    }
    if !folder.is_dir() {
        return Err(failed(&folder, io::ErrorKind::NotADirectory.into()));
    }
    temporary_in(&folder)
        .map(drop)
        .map_err(|source| failed(path, source))
}

/// Whether `path` names a file at all.
fn check_name(path: &Path) -> Result<(), WriteError> {
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(WriteError::NoFileName { path: path.into() });
    }
    Ok(())
}

/// The folder that holds `path`, `.` for a bare file name.
fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}

/// A hidden temporary file with the permissions of an ordinary new file.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pyrograph-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's umask is taken off, as for any file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes the rename itself outlast a loss of power, where folders can be flushed.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn missing_folders_are_made_and_old_contents_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c.bin");
        atomic_write(&path, b"first, longer").unwrap();
        atomic_write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(path.parent().unwrap()), ["c.bin"]);
    }

    #[test]
    fn a_failing_writer_leaves_the_old_file_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model");
        atomic_write(&path, b"good").unwrap();
        let result = atomic_write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(result, Err(WriteError::Io { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"good");
        assert_eq!(names_in(root.path()), ["model"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), b"").unwrap();
        let error = atomic_write(root.path().join("file/inside/x.png"), b"").unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        assert!(matches!(error, WriteError::Io { .. }), "{error}");
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        for path in ["", "/", "..", "a/.."] {
            let result = atomic_write(path, b"x");
            assert!(
                matches!(result, Err(WriteError::NoFileName { .. })),
                "{path:?}: {result:?}"
            );
        }
        let root = tempfile::tempdir().unwrap();
        let ends_in_slash = format!("{}/new/", root.path().display());
        assert!(matches!(
            atomic_write(ends_in_slash, b"x"),
            Err(WriteError::NoFileName { .. })
        ));
        assert!(matches!(
            atomic_write(root.path(), b"x"),
            Err(WriteError::Io { .. })
        ));
    }

    #[test]
    fn a_target_that_cannot_be_written_is_found_out_beforehand() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), b"kept").unwrap();
        for good in ["new.png", "a/b/new.png", "file"] {
            check_target(root.path().join(good)).unwrap();
        }
        for bad in ["file/x.png", "file/a/x.png", "", "new/"] {
            assert!(check_target(root.path().join(bad)).is_err(), "{bad:?}");
        }
        assert!(check_target("").is_err());
        check_target("bare-name.png").unwrap();
        assert_eq!(names_in(root.path()), ["file"]);
        assert_eq!(fs::read(root.path().join("file")).unwrap(), b"kept");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_written_to_and_links_stay_links() {
        atomic_write("/dev/null", b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("file"), root.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        atomic_write(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn new_files_have_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            fs::metadata(root.path().join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        fs::write(root.path().join("plain"), b"").unwrap();
        atomic_write(root.path().join("atomic"), b"").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }
}
