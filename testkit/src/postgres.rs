//! A private PostgreSQL cluster.

mod programs;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::programs::Programs;
use crate::process::{becomes_true, children_of, lives, tail};
use crate::{Error, Folder, Process, Signal, free_port};

/// The role that owns everything.
const ROLE: &str = "postgres";
/// How long a start may take, recovery after a crash included.
const START: Duration = Duration::from_secs(60);
/// How long a stop in good order may take, and the end of the children of a postmaster that was killed.
const STOP: Duration = Duration::from_secs(30);
/// How often a start is tried on another port, should somebody have taken the first one.
const TRIES: usize = 5;

/// The server, with all durability on. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    process: Mutex<Option<Process>>,
    port: u16,
    password: String,
    programs: Programs,
    folder: Folder,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes a cluster, starts it on a free port, and returns when it answers a query.
    ///
    /// # Errors
    /// When PostgreSQL 15 or later is not installed, or does not start.
    pub fn start() -> Result<Self, Error> {
        let programs = Programs::find()?;
        let mut tries = 0;
        loop {
            let server = Self {
                process: Mutex::new(None),
                port: free_port(),
                password: new_password()?,
                programs: programs.clone(),
                folder: Folder::new("postgres")?,
                databases: AtomicU32::new(0),
            };
            server.make_cluster()?;
            match server.start_again() {
                Ok(()) => return Ok(server),
                Err(Error::NotReady { .. }) if tries < TRIES && server.is_beside_another() => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The URL of the database `postgres`, with the password.
    pub fn url(&self) -> String {
        self.url_at(self.address(), "postgres")
    }

    /// The URL of a database by way of another address, such as a proxy's.
    pub fn url_at(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://{ROLE}:{}@{address}/{database}", self.password)
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Panics
    /// When the server does not make it.
    #[expect(clippy::panic, reason = "every test would have to do it otherwise")]
    #[track_caller]
    pub fn database(&self) -> String {
        match self.new_database() {
            Ok(name) => self.url_at(self.address(), &name),
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes an empty database and gives its name.
    pub fn new_database(&self) -> Result<String, Error> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// Runs SQL in a database as its owner and gives what `psql` prints: rows of values with `|` between them, nothing else.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, Error> {
        let mut psql = Command::new(self.programs.path("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
        psql.args(["--dbname", &self.url_at(self.address(), database), "--command", sql]);
        psql.env("PGCONNECT_TIMEOUT", "10");
        finished(psql.output(), "psql").map(|output| output.trim_end().to_owned())
    }

    /// Its port, the same for all its life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster, or `None` when it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Process::pid)
    }

    /// `kill -9` of the postmaster, and waits until its children are gone too, which end by themselves when they see it.
    pub fn kill9(&self) {
        let Some(mut process) = self.lock().take() else { return };
        let children = children_of(process.pid());
        process.kill9();
        becomes_true(STOP, || !children.iter().any(|child| lives(*child)));
        // With nobody left of the last run, the lock protects nothing; a process that got the old number must not stop the next start.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Stops it in good order, without waiting for clients ("fast").
    pub fn stop(&self) {
        let Some(mut process) = self.lock().take() else { return };
        let _ = process.signal(Signal::INT);
        if process.wait(STOP).is_none() {
            process.kill9();
        }
    }

    /// Starts it on its port with its data, and returns when it answers a query. Does nothing when it runs.
    pub fn start_again(&self) -> Result<(), Error> {
        let mut running = self.lock();
        if running.as_mut().is_some_and(|process| process.ended().is_none()) {
            return Ok(());
        }
        let log = self.log();
        let mut command = self.programs.mortal("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string()).current_dir(self.folder.path());
        let mut process = Process::start("postgres", command, &log)?;
        let begun = Instant::now();
        while begun.elapsed() < START && process.ended().is_none() {
            if self.query("postgres", "SELECT 1").is_ok_and(|answer| answer == "1") && process.ended().is_none() {
                *running = Some(process);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let what = "postgres".to_owned();
        Err(Error::NotReady { what, seconds: START.as_secs(), tail: tail(&log), log })
    }

    /// The file with what it logged.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    fn make_cluster(&self) -> Result<(), Error> {
        let password = self.folder.path().join("password");
        let refused = |source| Error::System { what: "cannot prepare the folder of PostgreSQL".to_owned(), source };
        fs::write(&password, &self.password).map_err(refused)?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).map_err(refused)?;
        if let Some(user) = &self.programs.user {
            for path in [self.folder.path(), &password] {
                chown(path, Some(user.uid), Some(user.gid)).map_err(refused)?;
            }
        }
        let mut initdb = self.programs.mortal("initdb");
        initdb.arg("-D").arg(self.data()).arg("--pwfile").arg(&password).current_dir(self.folder.path());
        // Not synchronised only while it is made; the server itself is.
        initdb.args([
            "--username",
            ROLE,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        finished(initdb.output(), "initdb")?;
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 400\nfsync = on\n\
             synchronous_commit = on\nlog_min_messages = warning\n",
            self.folder.path().display()
        );
        let path = self.data().join("postgresql.conf");
        let written = fs::read_to_string(&path).and_then(|usual| fs::write(&path, usual + &settings));
        written.map_err(refused)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn is_beside_another(&self) -> bool {
        tail(&self.log()).contains("Address already in use")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// What a program printed, if it ended well.
fn finished(output: std::io::Result<Output>, what: &str) -> Result<String, Error> {
    let output = output.map_err(Error::system(format!("cannot start {what}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(Error::Failed { what: what.to_owned(), output })
}

/// 128 random bits as text that needs no escaping in a URL.
fn new_password() -> Result<String, Error> {
    use std::io::Read;
    let mut bytes = [0; 16];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Error::system("cannot read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
