//! The link for the first owner, shown to whoever started the program. It goes to the terminal and nowhere else: a log is kept and read
//! by others, so with no terminal there is none, and `xiaoyi staff create` makes one.

use std::io::{IsTerminal, stderr, stdout};

use shared::staff::Reception;
use shared::staff::invitation::FirstOwner;

use crate::commands::staff::invitation_url;
use crate::failure::Failure;
use crate::output::{note, print};

/// Shows a link to the panel at the address `panel`, if nobody has an account yet.
pub(super) async fn show_link(reception: &Reception, panel: &str) -> Result<(), Failure> {
    let show = match (stderr().is_terminal(), stdout().is_terminal()) {
        (true, _) => note,
        (false, true) => print,
        (false, false) => return Ok(()),
    };
    let text = match reception.invite_first_owner().await? {
        FirstOwner::IsThere => return Ok(()),
        FirstOwner::Invited(token) => {
            format!(
                "Nobody can use the panel yet. Become its owner with this link; it works once, within an hour:\n  {}",
                invitation_url(panel, &token)
            )
        }
        FirstOwner::InvitedUntil(until) => format!(
            "Nobody can use the panel yet. The link that was shown before works until {}; for another one: xiaoyi staff create EMAIL --role owner",
            until.to_rfc3339()
        ),
    };
    show(&format!("\n{text}\n"));
    Ok(())
}
