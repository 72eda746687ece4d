//! How the program fails: an exit status, a stable word for scripts, and one line for people.
//!
//! Every error of the rooms below becomes a [`Failure`] here and nowhere else, so this file is the list of all codes.

use shared::catalogue::channel::ChannelError;
use shared::config::SettingsError;
use shared::db::DbError;
use shared::deployment::DeploymentError;
use shared::idempotency::KeptAnswerError;
use shared::installation::InstallationError;
use shared::key::{KeyError, NewSecretError};
use shared::ledger::LedgerError;
use shared::secret_key::without_keys;
use shared::staff::StaffError;
use shared::tenant::TenantError;
use shared::top_ups::TopUpError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit status: 1, or 2 for bad usage.
    pub(crate) status: u8,
    /// A word that scripts may rely on.
    pub(crate) code: &'static str,
    /// What is wrong and what to do, in one line.
    pub(crate) message: String,
}

impl Failure {
    /// Something failed; exit status 1.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 1, code, message: without_keys(one_line(message.into())) }
    }

    /// The command was not used as it is meant; exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, ..Self::new("usage", message) }
    }

    /// Something that is planned but not built; exit status 2. `what` ends in a verb: "the option --per is".
    pub(crate) fn not_built(what: &str, instead: &str) -> Self {
        Self { status: 2, ..Self::new("not_built", format!("{what} not built yet: {instead}")) }
    }

    /// A fault of the program.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::new("internal_error", format!("an internal error: {error}"))
    }
}

fn one_line(text: String) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match &error {
            // A place is the name as the person wrote it, and only a flag begins so: that is bad usage, as any other argument.
            SettingsError::Invalid { place, .. } | SettingsError::Unknown { place, .. } if place.starts_with("--") => {
                Self::usage(error.to_string())
            }
            _ => Self::new("bad_setting", error.to_string()),
        }
    }
}

impl From<DeploymentError> for Failure {
    fn from(error: DeploymentError) -> Self {
        let code = match error {
            DeploymentError::Unsupported(_) => "unsupported",
            DeploymentError::RoleNeedsRedis(_) => "role_needs_redis",
            DeploymentError::AlreadyRunning(_) | DeploymentError::NotAlone { .. } => "already_running",
            DeploymentError::ClocksApart { .. } => "clocks_apart",
            DeploymentError::NoSecret => "no_secret",
            DeploymentError::File { .. } => "file_unusable",
            DeploymentError::SecretLost { .. } => "secret_lost",
            DeploymentError::BadSecret { .. } => "bad_secret",
            DeploymentError::Installation(error) => return error.into(),
            DeploymentError::Redis(_) => "redis_unusable",
            DeploymentError::Database(error) => return error.into(),
            DeploymentError::Ledger(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        let code = match error {
            InstallationError::OtherCurrency { .. } => "other_currency",
            InstallationError::WrongSecret | InstallationError::Seal(_) => "wrong_secret",
            InstallationError::NotPrepared => "not_prepared",
            InstallationError::Randomness(_) => "no_randomness",
            InstallationError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let code = match error {
            DbError::Missing { .. } => "no_database",
            DbError::Open { .. } => "database_unusable",
            DbError::Migration(_) => "other_schema",
            DbError::Disconnected(_) => "database_lost",
            DbError::Busy(_) => "database_busy",
            DbError::Query(_) => "database_error",
            DbError::WriterStopped => "database_stopped",
            DbError::Corrupt(_) => "database_corrupt",
        };
        Self::new(code, error.to_string())
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::NoSuchAccount(_) => "no_account",
            LedgerError::TooLarge => "amount_out_of_range",
            LedgerError::TimedOut => "ledger_timeout",
            LedgerError::Stopped => "ledger_stopped",
            LedgerError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<TopUpError> for Failure {
    fn from(error: TopUpError) -> Self {
        let code = match error {
            TopUpError::NotPositive(_) => "amount_not_positive",
            TopUpError::BadReference => "bad_reference",
            TopUpError::ReservedReference => "reserved_reference",
            TopUpError::BadNote => "bad_note",
            TopUpError::BadReason => "bad_reason",
            TopUpError::NotAsConfirmed { .. } => "not_as_confirmed",
            TopUpError::IdTaken(_) => "id_taken",
            TopUpError::Ledger(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<TenantError> for Failure {
    fn from(error: TenantError) -> Self {
        let code = match error {
            TenantError::NameTaken(_) => "tenant_exists",
            TenantError::BadName => "bad_tenant_name",
            TenantError::Unknown(_) => "unknown_tenant",
            TenantError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let code = match error {
            KeyError::Unknown(_) => "unknown_key",
            KeyError::Ended(_) => "key_ended",
            KeyError::Rotated { .. } => "key_rotated",
            KeyError::BadName => "bad_key_name",
            KeyError::ExpiresInThePast | KeyError::TooManyNetworks => return Self::usage(error.to_string()),
            KeyError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<NewSecretError> for Failure {
    fn from(error: NewSecretError) -> Self {
        match error {
            NewSecretError::Installation(error) => error.into(),
            NewSecretError::Hash(error) => Self::internal(error),
        }
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        let code = match error {
            ChannelError::NameTaken(_) => "channel_exists",
            ChannelError::Unknown(_) => "unknown_channel",
            ChannelError::Invalid(_) => "bad_channel",
            ChannelError::Seal(_) => "wrong_secret",
            ChannelError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

impl From<KeptAnswerError> for Failure {
    fn from(error: KeptAnswerError) -> Self {
        match error {
            KeptAnswerError::Database(error) => error.into(),
            KeptAnswerError::Sealed(_) | KeptAnswerError::Malformed => Self::new("wrong_secret", error.to_string()),
        }
    }
}

impl From<StaffError> for Failure {
    fn from(error: StaffError) -> Self {
        let code = match error {
            StaffError::BadEmail(_) => "bad_email",
            StaffError::EmailTaken(_) => "staff_exists",
            StaffError::Unknown(_) => "unknown_staff",
            StaffError::LastOwner => "last_owner",
            StaffError::WeakPassword(_) => "weak_password",
            StaffError::Refused | StaffError::WrongPassword | StaffError::WrongCode => "refused",
            StaffError::Over => "expired",
            StaffError::SignedOut => "signed_out",
            StaffError::TotpIsOn => "totp_is_on",
            StaffError::TooMany(_) => "too_many",
            StaffError::Hashing(_) => "internal_error",
            StaffError::Seal(_) => "wrong_secret",
            StaffError::Randomness(_) => "no_randomness",
            StaffError::Database(error) => return error.into(),
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(Failure::new("x", "first\n\n  second\n").message, "first; second");
    }

    #[test]
    fn only_usage_is_status_2() {
        assert_eq!(Failure::new("x", "y").status, 1);
        assert_eq!(Failure::usage("y").status, 2);
        assert_eq!(Failure::not_built("the option --per is", "leave it out").status, 2);
    }

    #[test]
    fn a_bad_setting_is_bad_usage_only_as_a_flag() {
        let failure = |place: &str| {
            Failure::from(SettingsError::Invalid { place: place.to_owned(), allowed: "must be an address".to_owned() })
        };
        let (flag, variable) = (failure("--api-listen=foo"), failure("XIAOYI_API_LISTEN=foo"));
        assert_eq!((flag.status, flag.code), (2, "usage"));
        assert_eq!((variable.status, variable.code), (1, "bad_setting"));
        assert_eq!(flag.message, "--api-listen=foo: must be an address");
    }

    #[test]
    fn an_error_keeps_its_code_through_every_layer() {
        let missing = DbError::Missing { path: "/nowhere/xiaoyi.db".into() };
        let failure = Failure::from(DeploymentError::from(InstallationError::from(missing)));
        assert_eq!(failure.code, "no_database");
        assert!(failure.message.contains("/nowhere/xiaoyi.db"), "{}", failure.message);
    }
}
