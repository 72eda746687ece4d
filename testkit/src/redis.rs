//! A private Redis server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::process::{becomes_true, tail};
use crate::{Error, Folder, Process, free_port, mortal, resp};

/// How long a start may take, reading the data of the last run included.
const START: Duration = Duration::from_secs(30);
/// How long a stop in good order may take.
const STOP: Duration = Duration::from_secs(20);
/// How often a start is tried on another port, should somebody have taken the first one.
const TRIES: usize = 5;

/// The server, with an append-only file and without eviction, as the service wants it. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Redis {
    process: Mutex<Option<Process>>,
    port: u16,
    arguments: Vec<String>,
    password: Option<String>,
    folder: Folder,
}

impl Redis {
    /// Starts one on a free port, and returns when it answers.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// The same, with more arguments for `redis-server`. A password (`--requirepass`) will be part of the URL.
    pub fn start_with(arguments: &[&str]) -> Result<Self, Error> {
        let password = arguments.iter().position(|each| *each == "--requirepass");
        let password = password.and_then(|at| arguments.get(at + 1)).map(|each| (*each).to_owned());
        let mut tries = 0;
        loop {
            let redis = Self {
                process: Mutex::new(None),
                port: free_port(),
                arguments: arguments.iter().map(|each| (*each).to_owned()).collect(),
                password: password.clone(),
                folder: Folder::new("redis")?,
            };
            match redis.start_again() {
                Ok(()) => return Ok(redis),
                Err(Error::NotReady { .. }) if tries < TRIES && redis.is_beside_another() => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Such as `redis://127.0.0.1:12345/`, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_at(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// The same by way of another address, such as a proxy's.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}{address}/")
    }

    /// Its port, the same for all its life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its append-only file and its log are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id, or `None` when it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Process::pid)
    }

    /// `kill -9`, and waits until it is gone. What it wrote to its file in the last second may be lost.
    pub fn kill9(&self) {
        if let Some(mut process) = self.lock().take() {
            process.kill9();
        }
    }

    /// Stops it in good order.
    pub fn stop(&self) {
        if let Some(mut process) = self.lock().take() {
            process.terminate(STOP);
        }
    }

    /// Starts it on its port with the data that it had, and returns when it answers. Does nothing when it runs.
    pub fn start_again(&self) -> Result<(), Error> {
        let mut running = self.lock();
        if running.as_mut().is_some_and(|process| process.ended().is_none()) {
            return Ok(());
        }
        let log = self.folder.path().join("redis.log");
        let mut command = mortal("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--daemonize", "no", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(self.folder.path()).args(&self.arguments).current_dir(self.folder.path());
        let mut process = Process::start("redis-server", command, &log)?;
        let is_ready = becomes_true(START, || process.ended().is_some() || self.answers());
        if is_ready && process.ended().is_none() {
            *running = Some(process);
            return Ok(());
        }
        // What setpriv says of a program that it cannot find.
        if tail(&log).contains("failed to execute") {
            return Err(Error::Missing { program: "redis-server".to_owned(), package: "redis-server" });
        }
        let what = "redis-server".to_owned();
        Err(Error::NotReady { what, seconds: START.as_secs(), tail: tail(&log), log })
    }

    /// Starts it again without any data, as after the loss of a disk. It must not run.
    pub fn start_again_empty(&self) -> Result<(), Error> {
        self.kill9();
        let refused = |source| Error::System { what: "cannot remove the data of Redis".to_owned(), source };
        for entry in fs::read_dir(self.folder.path()).map_err(refused)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                fs::remove_dir_all(path).map_err(refused)?;
            } else if path.extension().is_none_or(|extension| extension != "log") {
                fs::remove_file(path).map_err(refused)?;
            }
        }
        self.start_again()
    }

    /// Empties it while it runs.
    pub fn flush_all(&self) -> Result<(), Error> {
        self.order(&["FLUSHALL"]).map(|_| ())
    }

    /// Gives an order, such as `["CONFIG", "SET", "maxmemory", "10mb"]`, and returns the answer: text, a number as text, nothing for nil,
    /// or the lines of a list.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub fn order(&self, order: &[&str]) -> Result<String, Error> {
        let answer = resp::ask(self.port, self.password.as_deref(), order);
        answer.map_err(Error::system(format!("Redis: {}", order.join(" "))))
    }

    /// The file with what it logged.
    pub fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("redis.log")
    }

    fn answers(&self) -> bool {
        self.order(&["PING"]).is_ok_and(|answer| answer == "PONG")
    }

    fn is_beside_another(&self) -> bool {
        tail(&self.log()).contains("Address already in use")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill9();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::lives;

    #[test]
    fn it_keeps_its_data_unless_it_is_to_lose_them() {
        let redis = Redis::start().unwrap();
        let value = || redis.order(&["EXISTS", "k"]).unwrap();
        assert_eq!(redis.order(&["SET", "k", "v"]).unwrap(), "OK");
        let (first, port) = (redis.pid().unwrap(), redis.port());

        // A stop in good order writes everything; a kill may lose the last second, so it is not asked for here.
        redis.stop();
        assert_eq!(redis.pid(), None);
        redis.start_again().unwrap();
        assert_eq!(value(), "1");
        assert_eq!(redis.port(), port);
        assert_ne!(redis.pid().unwrap(), first);

        redis.kill9();
        assert!(!lives(first));
        redis.start_again_empty().unwrap();
        assert_eq!(value(), "0");

        redis.order(&["SET", "k", "v"]).unwrap();
        redis.flush_all().unwrap();
        assert_eq!(value(), "0");
        redis.start_again().unwrap();
    }

    #[test]
    fn it_is_as_durable_as_the_service_wants_it() {
        let redis = Redis::start().unwrap();
        for (setting, value) in [("appendonly", "yes"), ("appendfsync", "everysec"), ("maxmemory-policy", "noeviction")]
        {
            assert_eq!(redis.order(&["CONFIG", "GET", setting]).unwrap(), format!("{setting}\n{value}"));
        }
    }

    #[test]
    fn a_password_is_asked_for_and_in_the_url() {
        let redis = Redis::start_with(&["--requirepass", "secret", "--databases", "4"]).unwrap();
        assert_eq!(redis.url(), format!("redis://:secret@127.0.0.1:{}/", redis.port()));
        let refused = resp::ask(redis.port(), None, &["PING"]).unwrap_err().to_string();
        assert!(refused.starts_with("NOAUTH"), "{refused}");
        redis.flush_all().unwrap();
    }

    #[test]
    fn a_wrong_argument_is_reported_with_what_redis_says() {
        let error = Redis::start_with(&["--no-such-setting", "1"]).unwrap_err().to_string();
        assert!(error.contains("no-such-setting"), "{error}");
    }

    #[test]
    fn it_ends_with_its_guard() {
        let redis = Redis::start().unwrap();
        let (pid, folder) = (redis.pid().unwrap(), redis.folder.path().to_owned());
        drop(redis);
        assert!(!lives(pid) && !folder.exists());
    }
}
