//! A Redis of the tests' own: one for all tests of the process that run at the same time, each of which has a prefix of its own.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use deadpool_redis::{Pool, Runtime};
use tempfile::TempDir;

static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// A running server. It ends with the last test that holds it, and also when the tests are killed: the shell around it reads a pipe
/// that only they hold open.
pub(super) struct Server {
    folder: TempDir,
    shell: Child,
}

/// The server that the tests share.
pub(super) fn shared() -> Arc<Server> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return server;
    }
    let server = Arc::new(Server::start());
    *running = Arc::downgrade(&server);
    server
}

impl Server {
    /// One of a test's own.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A socket in a folder: no port that somebody else may take first.
        let script = "redis-server --port 0 --unixsocket redis.sock --save '' >redis.log 2>&1 & \
                      read -r _; kill -9 $!; wait";
        let shell = Command::new("sh").args(["-c", script]).current_dir(folder.path()).stdin(Stdio::piped()).spawn();
        let server = Self { shell: shell.unwrap(), folder };
        let started = Instant::now();
        let is_up = || redis::Client::open(server.url()).unwrap().get_connection().is_ok();
        while !is_up() {
            let log = || std::fs::read_to_string(server.folder.path().join("redis.log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
    }

    pub(super) fn pool(&self) -> Pool {
        pool(&self.url())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A pool as a process has it.
pub(super) fn pool(url: &str) -> Pool {
    let wait = Some(Duration::from_secs(1));
    let builder = deadpool_redis::Config::from_url(url).builder().unwrap().max_size(8).runtime(Runtime::Tokio1);
    builder.wait_timeout(wait).create_timeout(wait).recycle_timeout(wait).build().unwrap()
}
