//! What people of the service may do: a role is a list of rights, and what no list names is refused.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What somebody does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, also other people's accounts and the ways to providers.
    Owner,
    /// Customers, their keys, money and prices.
    Billing,
    /// Reads, and stops what must be stopped.
    Support,
    /// Reads, also the audit log.
    Auditor,
}

/// Something that a role allows or refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// See tenants, keys, balances, usage, channels and prices.
    Read,
    /// Make, suspend and resume tenants.
    ManageTenants,
    /// Issue and rotate keys.
    IssueKeys,
    /// Revoke keys.
    RevokeKeys,
    /// Book payments and take them back.
    MoveMoney,
    /// Make redeem codes.
    ManageCodes,
    /// Refuse end users, and admit them again.
    BlockUsers,
    /// Write notes on tenants.
    WriteNotes,
    /// Add, test, enable and disable channels.
    ManageChannels,
    /// Set prices.
    ManagePrices,
    /// Invite people, change their roles, disable their accounts.
    ManageStaff,
    /// Read the audit log.
    ReadAudit,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Billing, Self::Support, Self::Auditor];

    /// The word that the database keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Billing => "billing",
            Self::Support => "support",
            Self::Auditor => "auditor",
        }
    }

    /// Whether the role has this right.
    pub fn may(self, right: Right) -> bool {
        self.rights().contains(&right)
    }

    const fn rights(self) -> &'static [Right] {
        use Right::{
            BlockUsers, IssueKeys, ManageCodes, ManagePrices, ManageTenants, MoveMoney, Read, ReadAudit, RevokeKeys,
            WriteNotes,
        };
        match self {
            Self::Owner => &Right::ALL,
            Self::Billing => &[
                Read,
                ManageTenants,
                IssueKeys,
                RevokeKeys,
                MoveMoney,
                ManageCodes,
                BlockUsers,
                WriteNotes,
                ManagePrices,
                ReadAudit,
            ],
            Self::Support => &[Read, RevokeKeys, BlockUsers, WriteNotes],
            Self::Auditor => &[Read, ReadAudit],
        }
    }
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::ManageTenants,
        Self::IssueKeys,
        Self::RevokeKeys,
        Self::MoveMoney,
        Self::ManageCodes,
        Self::BlockUsers,
        Self::WriteNotes,
        Self::ManageChannels,
        Self::ManagePrices,
        Self::ManageStaff,
        Self::ReadAudit,
    ];
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| "must be owner, billing, support or auditor".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// By role, in the order of [`Role::ALL`].
    #[rstest]
    #[case(Right::Read, [true, true, true, true])]
    #[case(Right::ManageTenants, [true, true, false, false])]
    #[case(Right::IssueKeys, [true, true, false, false])]
    #[case(Right::RevokeKeys, [true, true, true, false])]
    #[case(Right::MoveMoney, [true, true, false, false])]
    #[case(Right::ManageCodes, [true, true, false, false])]
    #[case(Right::BlockUsers, [true, true, true, false])]
    #[case(Right::WriteNotes, [true, true, true, false])]
    #[case(Right::ManageChannels, [true, false, false, false])]
    #[case(Right::ManagePrices, [true, true, false, false])]
    #[case(Right::ManageStaff, [true, false, false, false])]
    #[case(Right::ReadAudit, [true, true, false, true])]
    fn every_role_has_the_rights_of_the_table(#[case] right: Right, #[case] allowed: [bool; 4]) {
        assert_eq!(Role::ALL.map(|role| role.may(right)), allowed);
    }

    #[test]
    fn the_table_has_every_right_once() {
        // A match without a catch-all: a new right does not compile until it is counted here.
        let number = |right: Right| match right {
            Right::Read => 0,
            Right::ManageTenants => 1,
            Right::IssueKeys => 2,
            Right::RevokeKeys => 3,
            Right::MoveMoney => 4,
            Right::ManageCodes => 5,
            Right::BlockUsers => 6,
            Right::WriteNotes => 7,
            Right::ManageChannels => 8,
            Right::ManagePrices => 9,
            Right::ManageStaff => 10,
            Right::ReadAudit => 11,
        };
        assert!(Right::ALL.into_iter().map(number).eq(0..12));
    }

    #[test]
    fn a_word_leads_back_to_its_role() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        for other in ["", "Owner", "root", "owner "] {
            assert!(other.parse::<Role>().is_err(), "{other}");
        }
    }
}
