//! A temporary folder that is removed when it is no longer needed, also when our process is killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;

/// Waits until our end of the pipe is closed, which the kernel does for the dead, then removes the folder. What still dies in there
/// may write for a moment, so it tries for some seconds.
const JANITOR: &str =
    r#"read -r line; n=0; until rm -rf -- "$1" 2>/dev/null || [ "$n" -ge 100 ]; do n=$((n+1)); sleep 0.1; done"#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    /// An empty folder of the system's temporary folder, whose name begins with `name`; only its owner may enter it.
    pub fn new(name: &str) -> Result<Self, Error> {
        let refused = |source| Error::System { what: "cannot make a temporary folder".to_owned(), source };
        let path = loop {
            let unique = format!("xiaoyi-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(unique);
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // One of a dead process with our number, or of a process that sees other numbers than we.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(error)),
            }
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(refused)?;
        let mut janitor = Command::new("sh");
        // In a group of its own, so that Ctrl-C, which ends us, does not end it.
        janitor.args(["-c", JANITOR, "janitor"]).arg(&path).process_group(0).current_dir("/");
        janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let janitor = janitor.spawn().map_err(Error::system("cannot start sh"))?;
        Ok(Self { path, janitor })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_and_goes_with_its_content() {
        let folder = Folder::new("folder").unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "text").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!path.exists());
    }
}
