//! The sample data: a tenant with a balance, one valid key, and an echo channel.

use std::sync::Arc;

use shared::catalogue::channel::{self, ChannelKind, NewChannel};
use shared::clock::Timestamp;
use shared::db::Connection;
use shared::id::TransferId;
use shared::key::{self, KeyPolicy};
use shared::ledger::{self, TopUpDecision};
use shared::money::Amount;
use shared::seal::Sealer;
use shared::secret_key::{KeyId, PlainSecretKey};
use shared::tenant::{self, Tenant};
use shared::top_ups::{self, Payment};

use crate::commands::key_issue::new_secret;
use crate::failure::Failure;
use crate::serve::Service;

const TENANT: &str = "demo";
const CHANNEL: &str = "echo";
const MODELS: [&str; 6] =
    ["gpt-3.5", "gpt-4", "text-davinci-003", "dall-e-3", "text-embedding-3-small", "omni-moderation-latest"];
/// The sample balance: 10.00.
const BALANCE: Amount = Amount::from_nanos(10_000_000_000);
/// Below this a new payment is booked: 5.00.
const LOW: Amount = Amount::from_nanos(5_000_000_000);

/// The one valid key of the demo.
pub(super) struct SampleKey {
    pub(super) id: KeyId,
    pub(super) plain: PlainSecretKey,
}

/// Makes what is missing, revokes the keys of earlier runs, and issues a new one.
pub(super) async fn prepare(service: &Service) -> Result<SampleKey, Failure> {
    let workbench = &service.workbench;
    let (plain, secret) = new_secret(workbench).await?;
    let (sealer, now, id) = (Arc::clone(&workbench.sealer), workbench.clock.now(), secret.id);
    workbench
        .database
        .write(move |connection| {
            let tenant = sample_tenant(connection, now)?;
            for key in key::list(connection, tenant.id)?.into_iter().filter(|key| key.revoked_at.is_none()) {
                key::revoke(connection, key.id.as_str(), now)?;
            }
            let policy = KeyPolicy { name: "demo".to_owned(), ..KeyPolicy::default() };
            key::issue(connection, tenant.id, policy, &secret, now)?;
            sample_channel(connection, &sealer, now)
        })
        .await?;
    service.deployment.catalogue.reload(&service.deployment.database).await?;
    Ok(SampleKey { id, plain })
}

fn sample_tenant(connection: &mut Connection, now: Timestamp) -> Result<Tenant, Failure> {
    let tenant = match tenant::find(connection, TENANT)? {
        None => tenant::create(connection, TENANT, now)?,
        Some(_) => tenant::set_suspended(connection, TENANT, None)?,
    };
    fill_up(connection, &tenant, now)?;
    Ok(tenant)
}

/// Books the sample payment, and once it is nearly spent another one, so that a demo of any age can pay its call.
fn fill_up(connection: &mut Connection, tenant: &Tenant, now: Timestamp) -> Result<(), Failure> {
    // Under the same reference it is the same payment, so it is booked once.
    pay(connection, tenant, BALANCE, "demo".to_owned(), now)?;
    let available = ledger::balance(connection, tenant.id)?.map_or(BALANCE, |balance| balance.available());
    let missing = match BALANCE.checked_sub(available) {
        Some(missing) if available < LOW => missing,
        _ => return Ok(()),
    };
    // Each payment before has taken a number, so a free one is found.
    for number in 2_u64.. {
        if pay(connection, tenant, missing, format!("demo-{number}"), now)? {
            break;
        }
    }
    Ok(())
}

/// Whether it was booked now; otherwise an earlier payment has this reference.
fn pay(
    connection: &mut Connection,
    tenant: &Tenant,
    amount: Amount,
    reference: String,
    now: Timestamp,
) -> Result<bool, Failure> {
    let payment = Payment { amount, reference, note: None };
    let decision = top_ups::book(connection, TransferId::new(), tenant.id, payment, now)?;
    Ok(matches!(decision, TopUpDecision::Posted { replayed: false, .. }))
}

fn sample_channel(connection: &mut Connection, sealer: &Sealer, now: Timestamp) -> Result<(), Failure> {
    if channel::list(connection)?.iter().any(|channel| channel.name == CHANNEL) {
        channel::set_enabled(connection, CHANNEL, true)?;
        return Ok(());
    }
    let models = MODELS.map(|model| (model.to_owned(), model.to_owned())).into();
    let (kind, base_url) = (ChannelKind::Echo, "echo:".to_owned());
    let new = NewChannel { name: CHANNEL.to_owned(), kind, base_url, api_key: None, models, priority: 100, weight: 1 };
    channel::add(connection, sealer, &new, now)?;
    Ok(())
}
