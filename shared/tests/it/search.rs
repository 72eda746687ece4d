//! The one box that finds everything.

use shared::clock::Clock;
use shared::key::{self, KeyPolicy, NewSecret};
use shared::search::{self, Found};
use shared::secret_key::{self, PlainSecretKey, TagKey};

use crate::ledger::books::{Books, top_up};

#[tokio::test]
async fn it_finds_what_people_have_of_things() {
    let books = Books::with(Clock::System, Default::default()).await;
    let (acme, other) = (books.tenant("Acme 公司 100%", 0).await, books.tenant("other", 0).await);
    let payment = top_up(acme, 5_000, "INV-2026-0001");
    let transfer = payment.id;
    books.ledger.top_up(payment).await.unwrap();
    books.ledger.top_up(top_up(other, 7_000, "inv-2026-0002")).await.unwrap();
    let request_id = books.held(acme, 10).await;
    let (id, plain) = PlainSecretKey::generate(&TagKey::generate().unwrap()).unwrap();
    let secret = NewSecret { id, hash: secret_key::hash(&plain).unwrap(), last_four: "abcd".to_owned() };
    let policy = KeyPolicy { name: "bot".to_owned(), ..KeyPolicy::default() };
    let now = books.clock.now();
    books.database.write(move |connection| key::issue(connection, acme, policy, &secret, now)).await.unwrap();

    let find = |query: String| {
        let database = books.database.clone();
        async move { database.read_records(move |connection| search::search(connection, &query, 5)).await.unwrap() }
    };
    let tenant = Found::Tenant { id: acme, name: "Acme 公司 100%".to_owned() };
    for query in ["acme", " ACME ", "公司", "100%", &acme.to_string()] {
        assert_eq!(find(query.to_owned()).await, std::slice::from_ref(&tenant), "{query}");
    }
    let call = Found::Call { request_id, tenant: acme };
    for query in [request_id.to_string(), request_id.simple().to_string(), format!("chatcmpl-{}", request_id.simple())]
    {
        assert_eq!(find(query.clone()).await, std::slice::from_ref(&call), "{query}");
    }
    let key = Found::Key { id, tenant: acme, name: "bot".to_owned() };
    assert_eq!(find(id.to_string()).await, std::slice::from_ref(&key));
    assert!(find(id.as_str()[..5].to_owned()).await.contains(&key));
    let amount = "0.000005".parse().unwrap();
    let top_up = Found::TopUp { id: transfer, tenant: acme, reference: "INV-2026-0001".to_owned(), amount };
    assert_eq!(find("inv-2026-0001".to_owned()).await, std::slice::from_ref(&top_up));
    assert_eq!(find(transfer.to_string()).await, [top_up]);
    assert_eq!(find("INV-".to_owned()).await.len(), 2);
    for nothing in ["", "   ", "nobody", "%", "_", "a\0b", "00000000-0000-7000-8000-000000000000"] {
        let found = find(nothing.to_owned()).await;
        let expected: &[Found] = if nothing == "%" { std::slice::from_ref(&tenant) } else { &[] };
        assert_eq!(found, expected, "{nothing}");
    }
}
