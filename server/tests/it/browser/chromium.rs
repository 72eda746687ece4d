//! Chromium without a window, led by its chromedriver. Both end with the test, however it ends, and their files go with them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Folder, Process, free_port, mortal};
use thirtyfour::error::WebDriverResult;
use thirtyfour::{CapabilitiesHelper, ChromiumCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver};

use super::window::Window;

/// Debian's.
const BINARY: &str = "/usr/bin/chromium";
/// More than a start takes on the slowest machine.
const START: Duration = Duration::from_secs(60);
/// More than Chromium takes to end.
const STOP: Duration = Duration::from_secs(20);
/// More than any single step takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a start is tried on another port, should somebody have taken the first one.
const TRIES: usize = 3;

/// What every Chromium is started with. It reaches nothing but this machine.
const ARGUMENTS: [&str; 19] = [
    "--headless=new",
    "--hide-scrollbars",
    // The tests may run as root, whose Chromium has no sandbox; it sees our own pages only.
    "--no-sandbox",
    // When chromedriver is gone, so is this pipe, and Chromium ends.
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--window-size=1280,900",
];

/// A running chromedriver, which starts a Chromium for each window.
pub(super) struct Chromium {
    sessions: Mutex<Vec<String>>,
    _process: Process,
    port: u16,
    folder: Folder,
}

/// How a person has set up the browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    /// Whether pages may run scripts.
    pub(super) scripts: bool,
    /// The preferred language: `en`, `zh-CN`.
    pub(super) language: &'static str,
    /// How wide its pages are, in CSS pixels.
    pub(super) width: u32,
}

/// The width of a small phone, in CSS pixels.
pub(super) const NARROW: u32 = 360;

/// Scripts, and English.
pub(super) const USUAL: Person = Person { scripts: true, language: "en", width: 1280 };
/// No scripts at all, and Chinese.
pub(super) const WITHOUT_SCRIPTS: Person = Person { scripts: false, language: "zh-CN", width: 1280 };
/// Scripts, Chinese, and a small phone: every step is done on the narrow page.
pub(super) const ON_A_PHONE: Person = Person { scripts: true, language: "zh-CN", width: NARROW };

impl Person {
    /// The words that this person reads.
    pub(super) fn say(self, english: &'static str, chinese: &'static str) -> &'static str {
        if self.language == "en" { english } else { chinese }
    }
}

impl Chromium {
    /// Starts chromedriver on a free port, with a folder for all that it and its browsers write.
    pub(super) fn start() -> Self {
        for _ in 0..TRIES {
            if let Some(chromium) = Self::start_once() {
                return chromium;
            }
        }
        panic!("chromedriver found no port");
    }

    /// `None` when somebody took the port meanwhile.
    fn start_once() -> Option<Self> {
        let folder = Folder::new("chromium").expect("a folder");
        let port = free_port();
        let log = folder.path().join("chromedriver.log");
        let mut command = mortal("chromedriver");
        command.arg(format!("--port={port}")).current_dir(folder.path());
        // Whatever is written beside the profile goes there too.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        let mut process =
            Process::start("chromedriver", command, &log).expect("chromedriver (Debian: chromium-driver)");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.ended().is_some() {
                let said = process.log_tail();
                assert!(said.contains("in use"), "chromedriver (Debian: chromium-driver) does not start:\n{said}");
                return None;
            }
            assert!(begun.elapsed() < START, "chromedriver does not listen:\n{}", process.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { sessions: Mutex::default(), _process: process, port, folder })
    }

    /// Opens a window with a new profile: no cookie, no history. Paths in it are below `root`, such as `http://127.0.0.1:8081`.
    pub(super) async fn window(&self, person: Person, root: &str) -> Window {
        let profile = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only(Vec::new());
        let client = client.timeout(PATIENCE).build().expect("a client");
        let wanted = capabilities(person, &profile.to_string_lossy()).expect("these are values of JSON");
        let driver = WebDriver::builder(format!("http://127.0.0.1:{}", self.port), wanted).client(client).await;
        let driver = driver.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let session = driver.session_id().to_string();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        Window::new(driver, person, root).await
    }

    /// Ends a browser, and returns when it has ended. No runtime is needed for that.
    fn end(&self, session: &str) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(STOP))?;
        let head = "Host: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0";
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\n{head}\r\n\r\n")?;
        // The first bytes of the reply come when it has ended.
        stream.read(&mut [0; 64]).map(drop)
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // One that only loses its chromedriver ends too, but writes its profile before, which may have been removed by then.
        for session in self.sessions.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = self.end(&session);
        }
    }
}

fn capabilities(person: Person, profile: &str) -> WebDriverResult<ChromiumCapabilities> {
    let mut wanted = ChromiumCapabilities::new();
    wanted.set("browserName", "chrome")?;
    wanted.set_binary(BINARY)?;
    for argument in ARGUMENTS {
        wanted.add_arg(argument)?;
    }
    wanted.add_arg(&format!("--user-data-dir={profile}"))?;
    wanted.add_arg(&format!("--lang={}", person.language))?;
    let preferences = json!({
        "intl.accept_languages": person.language,
        "credentials_enable_service": false,
        "profile.password_manager_enabled": false,
        // 1 allows, 2 blocks.
        "profile.managed_default_content_settings.javascript": if person.scripts { 1 } else { 2 },
    });
    wanted.add_experimental_option("prefs", preferences)?;
    wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    Ok(wanted)
}
