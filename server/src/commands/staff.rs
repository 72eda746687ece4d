//! `xiaoyi staff`: the people who use the panel.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::audit_log::Origin;
use shared::clock::Timestamp;
use shared::config::Settings;
use shared::deployment::Workbench;
use shared::staff::{self, Email, Listed, Role, StaffError};
use shared::token::Token;

use super::{open, read, write};
use crate::failure::Failure;
use crate::http::panel_url;
use crate::output::{Report, note};
use crate::table::{Side, table};

/// What to do with people's accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum StaffCommand {
    /// Make an account, and a link by which its person sets the password
    #[command(after_help = "Examples:
  xiaoyi staff create ann@example.com --role owner
  xiaoyi staff create bob@example.com --role support --json      {\"id\":2,\"url\":\"http://.../invitation/...\"}

The link works once, within an hour. Run it again for a person who has not used it: the link before counts no longer. Who has lost a
password is disabled and then created again; that also turns off the codes of an authenticator.")]
    Create {
        /// The person's e-mail address; nothing is sent there
        #[arg(value_name = "EMAIL")]
        email: Email,
        /// What the person may do
        #[arg(long, value_name = "owner|billing|support|auditor")]
        role: Role,
    },
    /// List all accounts
    #[command(after_help = "Example:\n  xiaoyi staff list")]
    List,
    /// Let a person sign in no more, and end their sessions
    #[command(after_help = "Example:\n  xiaoyi staff disable ann@example.com")]
    Disable {
        /// The person's e-mail address
        #[arg(value_name = "EMAIL")]
        email: Email,
    },
}

/// Does it.
pub(crate) async fn run(settings: Settings, command: StaffCommand) -> Result<Report, Failure> {
    let workbench = open(settings).await?;
    let now = workbench.clock.now();
    match command {
        StaffCommand::Create { email, role } => create(&workbench, email, role).await,
        StaffCommand::List => {
            let people = read(&workbench, move |connection| Ok(staff::list(connection, now)?)).await?;
            Report::of(&people.iter().map(object).collect::<Vec<_>>(), listed(&people))
        }
        StaffCommand::Disable { email } => {
            let staff = write(&workbench, move |connection| {
                let id = staff::named(connection, &email)?.id;
                Ok(staff::disable(connection, id, &Origin::COMMAND_LINE, now)?)
            })
            .await?;
            let text = format!("{} can sign in no more; all sessions have ended.", staff.email);
            Report::of(&object(&Listed { staff, invited_until: None }), text)
        }
    }
}

async fn create(workbench: &Workbench, email: Email, role: Role) -> Result<Report, Failure> {
    let token = Token::generate().map_err(StaffError::from)?;
    let (hash, now) = (token.hash(), workbench.clock.now());
    let staff = write(workbench, move |connection| {
        Ok(staff::invite(connection, &email, role, &hash, &Origin::COMMAND_LINE, now)?)
    })
    .await?;
    let url = invitation_url(&panel_url(&workbench.settings), &token);
    if workbench.settings.admin.url.is_none() && workbench.settings.admin.listen.port() == 0 {
        note(
            "xiaoyi: warning: the panel takes any free port (XIAOYI_ADMIN_LISTEN): put the one that it has into the link",
        );
    }
    let text = format!(
        "{url}\n\n{} is invited as {role}. Whoever has this link sets the password: give it to nobody else. It works once, within an hour.",
        staff.email
    );
    Report::of(&json!({"id": staff.id, "url": url}), text)
}

/// The link to an invitation, in the panel of this address.
pub(crate) fn invitation_url(panel: &str, token: &Token) -> String {
    format!("{panel}/invitation/{}", token.to_text().expose_secret())
}

fn object(Listed { staff, invited_until }: &Listed) -> Value {
    json!({
        "id": staff.id,
        "email": staff.email,
        "role": staff.role,
        "accepted": staff.is_accepted,
        "totp": staff.has_totp,
        "invited_until": invited_until.map(Timestamp::to_rfc3339),
        "disabled_at": staff.disabled_at.map(Timestamp::to_rfc3339),
        "created_at": staff.created_at.to_rfc3339(),
    })
}

fn listed(people: &[Listed]) -> String {
    let row = |Listed { staff, invited_until }: &Listed| {
        let state = match (staff.disabled_at, staff.is_accepted) {
            (Some(since), _) => format!("disabled since {}", since.to_rfc3339()),
            (None, true) => "active".to_owned(),
            (None, false) => "never signed in".to_owned(),
        };
        let invited = invited_until.map(|until| format!(", invited until {}", until.to_rfc3339())).unwrap_or_default();
        let codes = if staff.has_totp { "on" } else { "off" };
        [staff.id.to_string(), staff.email.clone(), staff.role.to_string(), codes.to_owned(), state + &invited]
    };
    let rows: Vec<_> = people.iter().map(row).collect();
    let headings = [
        ("ID", Side::Right),
        ("EMAIL", Side::Left),
        ("ROLE", Side::Left),
        ("CODES", Side::Left),
        ("STATE", Side::Left),
    ];
    table(headings, &rows, "Nobody yet. Make the first account with: xiaoyi staff create EMAIL --role owner")
}
