//! nginx as a plain reverse proxy: the yardstick. It keeps its connections on both sides and logs nothing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use testkit::{Process, free_port};

use super::process::{START_LIMIT, expect_alive, wait_until};

/// Debian's nginx is not in every path.
const DEBIANS: &str = "/usr/sbin/nginx";
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// nginx before one provider.
#[derive(Debug)]
pub(super) struct Nginx {
    /// `http://host:port`
    pub(super) base: String,
    process: Process,
}

impl Nginx {
    /// Starts it in a folder of its own before `provider` (`host:port`).
    pub(super) async fn start(provider: &str, folder: &Path) -> anyhow::Result<Self> {
        let port = free_port();
        let place = folder.join("nginx");
        std::fs::create_dir_all(&place)?;
        let file = place.join("nginx.conf");
        std::fs::write(&file, configuration(provider, port, &place))?;
        // Not killed with us as others are: a killed master leaves its workers behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", program()]);
        command.arg("-p").arg(&place).arg("-c").arg(&file).args(["-e", "stderr"]);
        let mut process = Process::start("nginx", command, &folder.join("nginx.log"))?;
        wait_until("nginx listens", START_LIMIT, async || {
            expect_alive(&mut process)?;
            Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await?;
        Ok(Self { base: format!("http://127.0.0.1:{port}"), process })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it calls itself.
    pub(super) fn version() -> anyhow::Result<String> {
        let asked = Command::new(program()).arg("-v").output().context("cannot run nginx")?;
        let said = String::from_utf8_lossy(&asked.stderr);
        Ok(said.trim().rsplit(' ').next().unwrap_or_default().to_owned())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.terminate(STOP_LIMIT);
    }
}

fn program() -> &'static str {
    if Path::new(DEBIANS).exists() { DEBIANS } else { "nginx" }
}

/// The limits of requests a connection are out of the way, which is to nginx' advantage.
fn configuration(provider: &str, port: u16, place: &Path) -> String {
    let place = place.display();
    format!(
        "daemon off;
worker_processes auto;
pid {place}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    keepalive_requests 100000000;
    upstream provider {{
        server {provider};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_balanced_and_names_are_filled_in() {
        let text = configuration("127.0.0.1:81", 82, Path::new("/place"));
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        for line in ["server 127.0.0.1:81;", "listen 127.0.0.1:82 backlog", "access_log off;", "worker_processes auto;"]
        {
            assert!(text.contains(line), "{line}");
        }
    }
}
