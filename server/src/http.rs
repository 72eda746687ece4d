//! The three listeners and the servers behind them.

mod door;
mod readers;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service as _};
use actix_web::http::KeepAlive;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use futures_util::TryFutureExt as _;
use serde::Serialize;
use shared::config::{HttpSettings, Settings};
use shared::deployment::Role;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use self::door::Door;
use self::readers::Sliced;
use crate::failure::Failure;

/// What of the time for a shutdown is left when the servers have ended, in seconds.
const AFTER_SERVERS_S: u64 = 3;
/// Connections that the operating system keeps until a thread takes them.
const BACKLOG: u32 = 2048;

/// The addresses that a role needs and that are ours, before anything is served on them.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The developers' API.
    pub(crate) api: Option<TcpListener>,
    /// The operators' panel.
    pub(crate) admin: Option<TcpListener>,
    /// Metrics and health.
    pub(crate) metrics: TcpListener,
}

impl Listeners {
    /// Takes all that `role` needs, or none.
    ///
    /// # Errors
    /// When one cannot be taken; it names the setting.
    pub(crate) fn bind(settings: &Settings, role: Role) -> Result<Self, Failure> {
        let taken_if = |needed: bool, address, setting| needed.then(|| bind(address, setting)).transpose();
        Ok(Self {
            api: taken_if(role.serves_api(), settings.api.listen, "XIAOYI_API_LISTEN")?,
            admin: taken_if(role.serves_panel(), settings.admin.listen, "XIAOYI_ADMIN_LISTEN")?,
            metrics: bind(settings.metrics.listen, "XIAOYI_METRICS_LISTEN")?,
        })
    }

    /// How each is reached. Where another process listens, by the URL or the address of the settings.
    ///
    /// # Errors
    /// When the operating system does not say where we listen.
    pub(crate) fn links(&self, settings: &Settings) -> Result<Links, Failure> {
        let own = |listener: &Option<TcpListener>, elsewhere: SocketAddr| {
            let address =
                listener.as_ref().map_or(Ok(elsewhere), TcpListener::local_addr).map_err(Failure::internal)?;
            Ok::<_, Failure>(format!("http://{}", reachable(address)))
        };
        let given = |url: &Option<shared::config::BaseUrl>| url.as_ref().map(|url| url.as_str().to_owned());
        let local_api = own(&self.api, settings.api.listen)?;
        let api = given(&settings.public.url).unwrap_or_else(|| local_api.clone());
        let admin = match given(&settings.admin.url) {
            Some(admin) => admin,
            None => own(&self.admin, settings.admin.listen)?,
        };
        let metrics = self.metrics.local_addr().map_err(Failure::internal)?;
        let metrics = format!("http://{}", reachable(metrics));
        Ok(Links { console: format!("{api}/console"), api, admin, metrics, local_api })
    }
}

/// How the service is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Links {
    /// What every path of the API is appended to.
    pub(crate) api: String,
    /// The panel.
    pub(crate) admin: String,
    /// The developers' console.
    pub(crate) console: String,
    /// What `/metrics` is appended to.
    pub(crate) metrics: String,
    /// The API's own listener, whatever the public URL is.
    #[serde(skip)]
    pub(crate) local_api: String,
}

/// The servers, running.
#[derive(Default)]
pub(crate) struct Servers {
    handles: Vec<ServerHandle>,
    doors: Vec<Door>,
    running: JoinSet<io::Result<()>>,
}

impl Servers {
    /// Serves `routes` on `listener`.
    ///
    /// # Errors
    /// When the server cannot be made.
    pub(crate) fn start<F>(&mut self, listener: TcpListener, settings: &HttpSettings, routes: F) -> Result<(), Failure>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let keep_alive = match settings.keep_alive_s {
            0 => KeepAlive::Disabled,
            seconds => KeepAlive::Timeout(Duration::from_secs(seconds)),
        };
        let app = move || {
            App::new().configure(routes.clone()).wrap_fn(|request, service| {
                service.call(request).map_ok(|response| response.map_body(|_, body| Sliced::of(body)))
            })
        };
        let mut server = HttpServer::new(app)
            .max_connections(settings.max_connections)
            .keep_alive(keep_alive)
            .client_request_timeout(Duration::from_secs(settings.header_timeout_s))
            // The rest of that time belongs to what comes after the servers.
            .shutdown_timeout(settings.shutdown_s.saturating_sub(AFTER_SERVERS_S))
            // A client that closed its side has left; that is what stops the provider's call.
            .h1_allow_half_closed(false)
            .disable_signals();
        if settings.workers > 0 {
            server = server.workers(settings.workers);
        }
        readers::limit_silence(&listener, settings.stalled_s);
        self.doors.extend(Door::of(&listener));
        let server = server.listen(listener).map_err(Failure::internal)?.run();
        self.handles.push(server.handle());
        self.running.spawn(server);
        Ok(())
    }

    /// Waits until one ends, which none should.
    pub(crate) async fn ended(&mut self) -> Failure {
        match self.running.join_next().await {
            Some(Ok(Err(error))) => Failure::internal(format!("a listener failed: {error}")),
            Some(Ok(Ok(()))) | None => Failure::internal("a listener ended"),
            Some(Err(error)) => Failure::internal(error),
        }
    }

    /// Takes no further connection, lets running requests finish within the settings' time, and ends.
    pub(crate) async fn stop(mut self) {
        door::shut_all(&self.doors).await;
        let stopping: JoinSet<()> = self.handles.iter().map(|handle| handle.stop(true)).collect();
        stopping.join_all().await;
        while self.running.join_next().await.is_some() {}
    }
}

fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    listen(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let message = format!("cannot listen on {address}: another program does (perhaps a second xiaoyi); stop it, or set another {setting}");
            Failure::new("port_in_use", message)
        }
        _ => Failure::new("cannot_listen", format!("cannot listen on {address} ({setting}): {error}")),
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again need not wait for the old connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// How the panel is reached by the settings alone, for a command that runs beside the server.
pub(crate) fn panel_url(settings: &Settings) -> String {
    let given = settings.admin.url.as_ref().map(|url| url.as_str().to_owned());
    given.unwrap_or_else(|| format!("http://{}", reachable(settings.admin.listen)))
}

/// The address that a client on this machine uses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::V6(Ipv6Addr::LOCALHOST)
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::config::Sources;

    use super::*;

    fn settings(flags: Vec<(&str, &str)>) -> Settings {
        let ports = [("api.listen", "127.0.0.1:0"), ("admin.listen", "127.0.0.1:0"), ("metrics.listen", "127.0.0.1:0")];
        let flags = ports.into_iter().chain(flags).map(|(name, value)| (name, value.to_owned())).collect();
        Settings::load(&Sources { flags, ..Sources::default() }).unwrap()
    }

    #[rstest]
    #[case("0.0.0.0:80", "127.0.0.1:80")]
    #[case("[::]:80", "[::1]:80")]
    #[case("10.0.0.1:80", "10.0.0.1:80")]
    fn links_lead_to_an_address(#[case] listen: SocketAddr, #[case] expected: &str) {
        assert_eq!(reachable(listen).to_string(), expected);
    }

    #[tokio::test]
    async fn links_are_the_listeners_own() {
        let settings = settings(vec![]);
        let listeners = Listeners::bind(&settings, Role::All).unwrap();
        let links = listeners.links(&settings).unwrap();
        let port = listeners.api.as_ref().unwrap().local_addr().unwrap().port();
        assert_ne!(port, 0);
        assert_eq!(links.api, format!("http://127.0.0.1:{port}"));
        assert_eq!(links.console, format!("http://127.0.0.1:{port}/console"));
    }

    #[tokio::test]
    async fn a_role_takes_only_what_it_needs() {
        let settings = settings(vec![]);
        let taken = |role| {
            let listeners = Listeners::bind(&settings, role).unwrap();
            (listeners.api.is_some(), listeners.admin.is_some())
        };
        assert_eq!(taken(Role::All), (true, true));
        assert_eq!(taken(Role::Api), (true, false));
        assert_eq!(taken(Role::Worker), (false, false));
        assert_eq!(taken(Role::Admin), (false, true));
    }

    #[tokio::test]
    async fn given_urls_go_before_the_listeners() {
        let settings =
            settings(vec![("public.url", "https://api.example.com/"), ("admin.url", "https://panel.example.com")]);
        let links = Listeners::bind(&settings, Role::All).unwrap().links(&settings).unwrap();
        assert_eq!(
            (links.api.as_str(), links.admin.as_str()),
            ("https://api.example.com", "https://panel.example.com")
        );
        assert_eq!(links.console, "https://api.example.com/console");
        assert!(links.local_api.starts_with("http://127.0.0.1:"));
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let failure = Listeners::bind(&settings(vec![("admin.listen", &address)]), Role::All).unwrap_err();
        assert_eq!(failure.code, "port_in_use");
        assert!(
            failure.message.contains(&address) && failure.message.contains("XIAOYI_ADMIN_LISTEN"),
            "{}",
            failure.message
        );
    }
}
