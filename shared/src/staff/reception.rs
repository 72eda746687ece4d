//! Where people show who they are: what is done with passwords, codes and invitations needs more than a connection.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::acceptance::{self, Accepting};
use super::account::Staff;
use super::email::Email;
use super::error::StaffError;
use super::invitation::{self, FirstOwner, Invited};
use super::password::{NewPassword, Passwords, PlainPassword};
use super::session;
use crate::audit_log::Origin;
use crate::clock::Clock;
use crate::db::{Connection, Database, DbError};
use crate::id::StaffId;
use crate::seal::Sealer;
use crate::throttle::{Allowed, Throttle, network_of};
use crate::token::Token;

/// Signing in from one address: 30 times in 10 minutes.
const FROM_AN_ADDRESS: Allowed = allowed(30, 10);
/// Passwords for one account from one network: 10 in 10 minutes.
const FOR_AN_ACCOUNT: Allowed = allowed(10, 10);
/// Passwords for one account from everywhere: 100 in 10 minutes. So many more that whoever knows an address needs many networks to keep its
/// owner out.
const FOR_AN_ACCOUNT_FROM_EVERYWHERE: Allowed = allowed(100, 10);
/// Passwords of somebody who is signed in: 10 in 10 minutes. Counted apart, so that nobody outside uses them up.
const OWN_PASSWORDS: Allowed = allowed(10, 10);
/// Codes for one account: 5 in 10 minutes. Three of a million are right at a time, so who has the password would try for months.
const CODES_FOR_AN_ACCOUNT: Allowed = allowed(5, 10);

const fn allowed(attempts: u32, minutes: u32) -> Allowed {
    const fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(number - 1)
    }
    Allowed { attempts: number(attempts), minutes: number(minutes), subjects: 10_000 }
}

/// Lets people in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reception {
    pub(super) database: Database,
    pub(super) clock: Clock,
    pub(super) sealer: Arc<Sealer>,
    pub(super) passwords: Passwords,
    pub(super) throttles: Arc<Throttles>,
}

/// What bounds guessing. Each process counts for itself.
#[derive(Debug)]
pub(super) struct Throttles {
    addresses: Throttle<IpAddr>,
    /// By what was typed, so that it is the same where there is no account, and from which network.
    accounts: Throttle<(String, Option<IpAddr>)>,
    /// By what was typed.
    everywhere: Throttle<String>,
    own_passwords: Throttle<StaffId>,
    codes: Throttle<StaffId>,
}

impl Throttles {
    fn new(clock: &Clock) -> Self {
        Self {
            addresses: Throttle::new(clock.clone(), FROM_AN_ADDRESS),
            accounts: Throttle::new(clock.clone(), FOR_AN_ACCOUNT),
            everywhere: Throttle::new(clock.clone(), FOR_AN_ACCOUNT_FROM_EVERYWHERE),
            own_passwords: Throttle::new(clock.clone(), OWN_PASSWORDS),
            codes: Throttle::new(clock.clone(), CODES_FOR_AN_ACCOUNT),
        }
    }

    /// Counts an attempt from `address`; from the machine itself there is none to count by.
    pub(super) fn attempt_from(&self, address: Option<IpAddr>) -> Result<(), StaffError> {
        Ok(address.map_or(Ok(()), |address| self.addresses.attempt(&network_of(address)))?)
    }

    /// Counts a password for the account of `email`, from `address`.
    pub(super) fn attempt_password(&self, email: &str, address: Option<IpAddr>) -> Result<(), StaffError> {
        // The narrow one first: what it refuses costs the account nothing.
        self.accounts.attempt(&(email.to_owned(), address.map(network_of)))?;
        Ok(self.everywhere.attempt(&email.to_owned())?)
    }

    /// Counts a password that somebody who is signed in gives once more.
    pub(super) fn attempt_own_password(&self, staff: StaffId) -> Result<(), StaffError> {
        Ok(self.own_passwords.attempt(&staff)?)
    }

    /// Counts a code for an account.
    pub(super) fn attempt_code(&self, staff: StaffId) -> Result<(), StaffError> {
        Ok(self.codes.attempt(&staff)?)
    }

    /// The person has shown, from `address`, that they know the password.
    pub(super) fn forget_passwords(&self, staff: &Staff, address: Option<IpAddr>) {
        self.accounts.forget(&(staff.email.clone(), address.map(network_of)));
        self.everywhere.forget(&staff.email);
    }

    /// The same where they are signed in.
    pub(super) fn forget_own_passwords(&self, staff: StaffId) {
        self.own_passwords.forget(&staff);
    }

    /// The person has shown a right code.
    pub(super) fn forget_codes(&self, staff: &Staff) {
        self.codes.forget(&staff.id);
    }
}

impl Reception {
    /// For the people whom `database` knows.
    pub fn new(database: Database, clock: Clock, sealer: Arc<Sealer>) -> Self {
        let throttles = Arc::new(Throttles::new(&clock));
        Self { database, clock, sealer, passwords: Passwords::default(), throttles }
    }

    /// Ends the session of this token, half-open or not.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn sign_out(&self, session: &str, address: Option<IpAddr>) -> Result<(), DbError> {
        let (token, now) = (session.to_owned(), self.clock.now());
        let Some(hash) = session::hash_of(session) else { return Ok(()) };
        self.database
            .write(move |connection| {
                let signed_in = session::find(connection, &token, now)?;
                session::end(connection, &hash)?;
                let Some(staff) = signed_in.map(|signed_in| signed_in.staff) else { return Ok(()) };
                staff.record(connection, &origin_of(&staff, address), "staff.sign_out", (None, None), now)
            })
            .await
    }

    /// Invites the first owner, where there is nobody and no such invitation is valid.
    ///
    /// # Errors
    /// The database's, or when the operating system gives no random bytes.
    pub async fn invite_first_owner(&self) -> Result<FirstOwner, StaffError> {
        let (token, now) = (Token::generate()?, self.clock.now());
        let make = move |connection: &mut Connection| Ok(invitation::of_first_owner(connection, token, now)?);
        self.database.write(make).await
    }

    /// Takes an account into use: sets its password and signs the person in. `email` is asked for where the invitation is the first
    /// owner's, and ignored elsewhere. Gives the session's token.
    ///
    /// # Errors
    /// [`StaffError::Over`] when the invitation is not valid (any more), [`StaffError::BadEmail`], [`StaffError::WeakPassword`], or what
    /// failed; the invitation stays as it is then.
    pub async fn accept(
        &self,
        invitation: &str,
        email: &str,
        password: PlainPassword,
        address: Option<IpAddr>,
    ) -> Result<(Staff, Token), StaffError> {
        let invitation = session::hash_of(invitation).ok_or(StaffError::Over)?;
        let now = self.clock.now();
        let found =
            self.database.read(move |connection| invitation::find_by_hash(connection, &invitation, now)).await?;
        let email: Email = match found.ok_or(StaffError::Over)?.whom {
            Invited::FirstOwner => email.parse()?,
            Invited::Person(staff) => staff.email.parse()?,
        };
        let password = self.passwords.hash(NewPassword::choose(password, email.as_str())?).await?;
        let (token, now) = (Token::generate()?, self.clock.now());
        let accepting = Accepting { invitation, email, password, session: token.hash(), address };
        let staff = self.database.write(move |connection| acceptance::accept(connection, accepting, now)).await?;
        Ok((staff, token))
    }
}

/// The origin of what this person does from `address`.
pub(super) fn origin_of(staff: &Staff, address: Option<IpAddr>) -> Origin {
    Origin { actor: staff.actor(), address }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn passwords_for_an_account_are_bounded_by_network_and_everywhere() {
        let clock = Clock::manual(Timestamp(1_700_000_000_000));
        let throttles = Throttles::new(&clock);
        let address = |number: u8| Some(IpAddr::from([198, 51, 100, number]));
        let wait = |from: u8| match throttles.attempt_password("ann@example.com", address(from)) {
            Ok(()) => 0,
            Err(StaffError::TooMany(too_many)) => too_many.retry_after_s,
            Err(error) => panic!("{error}"),
        };
        for network in 0..10 {
            for _ in 0..10 {
                assert_eq!(wait(network), 0);
            }
            // What is refused here costs the account nothing elsewhere.
            assert_eq!(wait(network), 60);
        }
        assert_eq!(wait(10), 6, "from everywhere together");
        throttles.attempt_password("bob@example.com", address(10)).unwrap();
        clock.advance(6_000);
        assert_eq!(wait(10), 0);
        assert_eq!(wait(11), 6);
    }
}
