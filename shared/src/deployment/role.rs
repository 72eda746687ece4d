//! Which parts a process runs.

use std::fmt;

/// The parts of a process that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything in one process.
    All,
    /// The developers' API.
    Api,
    /// Workers only.
    Worker,
    /// The operators' panel.
    Admin,
}

impl Role {
    /// Its word: `all`, `api`, `worker`, `admin`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Admin => "admin",
        }
    }

    /// Whether it answers developers.
    pub const fn serves_api(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    /// Whether it takes jobs.
    pub const fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }

    /// Whether it has the panel.
    pub const fn serves_panel(self) -> bool {
        matches!(self, Self::All | Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
