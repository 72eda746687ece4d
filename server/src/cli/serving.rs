//! What the commands that serve take.

use clap::{Args, ValueEnum};
use shared::deployment::Role;

/// What `serve` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct ServeArguments {
    /// Which parts to run in this process
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<RoleName>,
    #[command(flatten)]
    listeners: ListenerFlags,
}

/// What `demo` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct DemoArguments {
    /// End after the sample call
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    listeners: ListenerFlags,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
struct ListenerFlags {
    /// Address and port of the developers' API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// Address and port of the operators' panel [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Address and port of metrics and health [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Everything in one process
    #[default]
    All,
    /// The developers' API (with PostgreSQL and Redis)
    Api,
    /// Workers only (with PostgreSQL and Redis)
    Worker,
    /// The operators' panel (with PostgreSQL and Redis)
    Admin,
}

impl ServeArguments {
    /// The parts to run.
    pub(crate) fn role(&self) -> Role {
        match self.role.unwrap_or_default() {
            RoleName::All => Role::All,
            RoleName::Api => Role::Api,
            RoleName::Worker => Role::Worker,
            RoleName::Admin => Role::Admin,
        }
    }

    /// The listeners that were given, as settings.
    pub(super) fn listeners(&self) -> Vec<(&'static str, String)> {
        self.listeners.settings()
    }
}

impl DemoArguments {
    /// The listeners that were given, as settings.
    pub(super) fn listeners(&self) -> Vec<(&'static str, String)> {
        self.listeners.settings()
    }
}

impl ListenerFlags {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let Self { api_listen, admin_listen, metrics_listen } = self.clone();
        let given = [("api.listen", api_listen), ("admin.listen", admin_listen), ("metrics.listen", metrics_listen)];
        given.into_iter().filter_map(|(setting, value)| Some((setting, value?))).collect()
    }
}
