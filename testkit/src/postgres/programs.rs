//! Where PostgreSQL's programs are, and as whom they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::passwd::{User, user, we_are_root};
use crate::{Error, keeper, mortal};

/// Debian keeps one folder a version here.
const VERSIONS: &str = "/usr/lib/postgresql";
const OLDEST: u32 = 15;
const PACKAGE: &str = "postgresql";

/// The programs of the newest version.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// As whom the server runs, if not as ourselves: it refuses to run as root.
    pub(crate) user: Option<User>,
}

impl Programs {
    /// Looks for the newest version that is new enough.
    pub(crate) fn find() -> Result<Self, Error> {
        let folder = newest(Path::new(VERSIONS)).ok_or_else(|| Error::Missing {
            program: format!("PostgreSQL {OLDEST} or later (in {VERSIONS}/*/bin)"),
            package: PACKAGE,
        })?;
        let user = we_are_root().then(|| user("postgres", PACKAGE)).transpose()?;
        Ok(Self { folder, user })
    }

    /// Where one of them is.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A command that runs as the server's user and ends with our process.
    pub(crate) fn mortal(&self, program: &str) -> Command {
        match &self.user {
            Some(user) => keeper::mortal_as(&user.name, self.path(program)),
            None => mortal(self.path(program)),
        }
    }
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(versions).ok()?.flatten();
    let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let complete = numbered.map(|(version, path)| (version, path.join("bin")));
    let complete = complete.filter(|(version, path)| *version >= OLDEST && path.join("postgres").exists());
    complete.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;

    #[test]
    fn the_newest_complete_version_is_taken_and_an_old_one_never() {
        let folder = Folder::new("versions").unwrap();
        let install = |version: &str| {
            let bin = folder.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
            bin
        };
        install("9.6");
        install("14");
        assert_eq!(newest(folder.path()), None);
        install("15");
        let newer = install("16");
        fs::create_dir_all(folder.path().join("17")).unwrap();
        assert_eq!(newest(folder.path()), Some(newer));
        assert_eq!(newest(&folder.path().join("nowhere")), None);
    }
}
