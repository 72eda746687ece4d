//! Tenants, their keys and their money.

use std::sync::Arc;

use shared::calls::CallRecord;
use shared::id::{RequestId, TenantId, TransferId};
use shared::key::{self, KeyError, KeyPolicy};
use shared::ledger::{self, Balance, Ended, Hold, HoldDecision, TopUpDecision};
use shared::queue::{Endpoint, Way};
use shared::refusal::Reason;
use shared::secret_key::KeyId;
use shared::tenant::{self, TenantError};
use shared::top_ups::{self, Payment, TopUpError};

use super::Scene;

impl Scene {
    /// A tenant without money.
    pub(crate) async fn customer(&self, name: &str) -> TenantId {
        let (name, now) = (name.to_owned(), self.workbench.clock.now());
        let made = self.write(move |connection| Ok::<_, TenantError>(tenant::create(connection, &name, now)?.id));
        made.await.unwrap()
    }

    /// A key of a tenant.
    pub(crate) async fn issues(&self, tenant: TenantId, policy: KeyPolicy) -> KeyId {
        let (sealer, now) = (Arc::clone(&self.workbench.sealer), self.workbench.clock.now());
        let id = KeyId::generate().unwrap();
        let issued = self.write(move |connection| {
            let (_, secret) = key::new_secret(connection, &sealer, id).unwrap();
            key::issue(connection, tenant, policy, &secret, now)?;
            Ok::<_, KeyError>(())
        });
        issued.await.unwrap();
        id
    }

    /// A payment of a tenant.
    pub(crate) async fn pays(&self, tenant: TenantId, amount: &str, reference: &str) -> TransferId {
        let payment = Payment { amount: amount.parse().unwrap(), reference: reference.to_owned(), note: None };
        let (id, now) = (TransferId::new(), self.workbench.clock.now());
        let booked = self.write(move |connection| {
            let decision = top_ups::book(connection, id, tenant, payment, now)?;
            Ok::<_, TopUpError>(matches!(decision, TopUpDecision::Posted { replayed: false, .. }))
        });
        assert!(booked.await.unwrap());
        id
    }

    /// Sets money aside, as for a call that runs.
    pub(crate) async fn sets_aside(&self, tenant: TenantId, amount: &str) -> RequestId {
        let request_id = RequestId::new();
        let hold = Hold {
            request_id,
            account: tenant,
            amount: amount.parse().unwrap(),
            owner: self.deployment.process,
            expires_at: self.workbench.clock.now().plus_ms(600_000),
            price_version: self.deployment.catalogue.now().price("gpt-4").version,
            idempotency: None,
        };
        assert_eq!(self.deployment.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        request_id
    }

    /// The call ends without a charge.
    pub(crate) async fn releases(&self, tenant: TenantId, request_id: RequestId) {
        self.deployment.ledger.end(request_id, tenant, Ended::Voided).await.unwrap().unwrap();
    }

    /// A call that nobody answered and that cost nothing.
    pub(crate) async fn fails(&self, tenant: TenantId, key: KeyId, end_user: &str) -> RequestId {
        let request_id = self.sets_aside(tenant, "0.01").await;
        self.releases(tenant, request_id).await;
        let way = Way { queued_ms: Some(7), tries: Vec::new() };
        self.deployment.calls.record(CallRecord {
            request_id,
            tenant,
            key,
            endpoint: Endpoint::Chat,
            model: "gpt-4".to_owned(),
            end_user: Some(end_user.to_owned()),
            streamed: false,
            status: Reason::NoChannel.into(),
            first_text_ms: None,
            ended_ms: 12,
            way,
        });
        self.deployment.calls.flush().await;
        request_id
    }

    /// What a tenant has.
    pub(crate) async fn balance(&self, tenant: TenantId) -> Balance {
        self.read(move |connection| ledger::balance(connection, tenant)).await.unwrap()
    }

    /// What a tenant has in all, in words.
    pub(crate) async fn posted(&self, tenant: TenantId) -> String {
        self.balance(tenant).await.posted.to_string()
    }

    /// What was done about tenants and their money, the newest first.
    pub(crate) async fn done(&self) -> Vec<String> {
        let actions = self.actions().await;
        let others = actions.into_iter().filter(|action| !action.starts_with("staff."));
        others.map(|action| action.split(' ').next().unwrap().to_owned()).collect()
    }

    /// Fails unless the books are right.
    pub(crate) async fn books_are_right(&self) {
        let report = ledger::audit(&self.workbench.database, &self.workbench.clock).await.unwrap();
        assert!(report.ok, "{:?}", report.violations);
    }
}
