//! What the commands that serve take.

use clap::{Args, ValueEnum};

use crate::failure::Failure;

/// What `serve` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct ServeArguments {
    /// Which parts to run in this process
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<Role>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything
    All,
    #[value(hide = true)]
    Api,
    #[value(hide = true)]
    Worker,
    #[value(hide = true)]
    Admin,
}

impl ServeArguments {
    /// See [`super::Command::refuse_what_is_not_built`].
    pub(super) fn refuse_what_is_not_built(&self) -> Result<(), Failure> {
        let Some(role) = self.role.filter(|role| *role != Role::All) else { return Ok(()) };
        let name = role.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let instead = "separate roles need PostgreSQL and Redis; leave --role out, or say --role all";
        Err(Failure::not_built(&format!("`serve --role {name}` is"), instead))
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
