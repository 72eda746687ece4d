//! Who we are, and who a server has to run as.

use std::fs;

use crate::Error;

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whether we are root, which some servers refuse to run as.
pub(crate) fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user `name`, which `package` makes when it is installed.
pub(crate) fn user(name: &str, package: &'static str) -> Result<User, Error> {
    let users = fs::read_to_string("/etc/passwd").map_err(Error::system("cannot read /etc/passwd"))?;
    find(&users, name).ok_or_else(|| Error::Missing { program: format!("the user {name}"), package })
}

fn find(users: &str, name: &str) -> Option<User> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|each| *each == name)?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { name, uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\npost:x:1:1::/:\npostgres:x:106:113:,,,:/var/lib/postgresql:/bin/sh\n";
        assert_eq!(find(users, "postgres"), Some(User { name: "postgres".to_owned(), uid: 106, gid: 113 }));
        assert_eq!(find(users, "postgre"), None);
    }
}
