//! Redis servers for the tests: private ones on free ports in temporary folders.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that ends with its value.
pub(super) struct Redis {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    pub(super) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// With further arguments, which may depend on its folder.
    pub(super) fn start_with(arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let arguments = arguments(folder.path());
        let mut redis = Self { folder, port, arguments, child: None };
        redis.start_again();
        redis
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(super) fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(self.folder.path());
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server (Debian package redis-server)"));
        let limit = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < limit, "redis-server did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn start_again_empty(&mut self) {
        std::fs::remove_dir_all(self.folder.path().join("appendonlydir")).unwrap();
        self.start_again();
    }

    /// Keeps what it has on its disk by now, for [`Self::start_again_with`].
    pub(super) fn copied(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_files(&self.folder.path().join("appendonlydir"), copy.path());
        copy
    }

    /// Comes back in an older state.
    pub(super) fn start_again_with(&mut self, copy: &TempDir) {
        let folder = self.folder.path().join("appendonlydir");
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        copy_files(copy.path(), &folder);
        self.start_again();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// One for all tests of a process. Nothing drops it, so a guard beside it ends it when this process is gone.
pub(super) fn shared_redis() -> &'static Redis {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    SHARED.get_or_init(|| {
        let redis = Redis::start();
        let server = redis.pid();
        let guard = format!(
            "(while kill -0 {}; do sleep 0.2; done; kill -9 {server}; rm -rf '{}') >/dev/null 2>&1 &",
            std::process::id(),
            redis.folder().display()
        );
        assert!(Command::new("sh").args(["-c", &guard]).status().unwrap().success());
        redis
    })
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
