//! What no constraint can see, the audit finds: all of it from the first line, and what is new while a server runs.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::clock::Clock;
use shared::id::ProcessId;
use shared::ledger::{self, Audit, AuditReport, Capture, Charge, Hold};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion};
use shared::queue::Endpoint;

use super::books::{Books, capture, request_at};
use super::scene::Scene;

const HELD: &str = "held_is_open_holds";
const HOLDER: &str = "hold_has_its_account";
const NEWEST: &str = "posted_is_newest_line";
const LINE: &str = "line_follows_line_and_transfer";
const TRANSFER: &str = "transfer_has_its_line_and_settlement";
const SETTLEMENT: &str = "settlement_is_transferred_and_explained";
const CHARGE: &str = "charge_adds_up";
const OVERDUE: &str = "hold_overdue";
/// Looked at only from the first line.
const SUM: &str = "customers_and_house_sum_to_zero";

type Finding = (&'static str, &'static str);

/// Damage that the database lets through, and exactly what must be said of it.
#[rstest]
#[case::held_too_much("UPDATE accounts SET held = held + 1 WHERE id = 1001", &[(HELD, "account 1001")])]
#[case::held_forgotten("UPDATE accounts SET held = 0", &[(HELD, "account 1001")])]
#[case::an_orphan_hold("INSERT INTO holds VALUES (:new, 1002, 5, :nobody, 99999999999999, 1)", &[(HELD, "account 1002")])]
#[case::voided_and_still_held("INSERT INTO settlements VALUES (:open, 'voided', 0, 0)", &[(HELD, "account 1001")])]
#[case::captured_without_transfer_and_charge(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0); UPDATE accounts SET held = 0 WHERE id = 1001",
    &[(SETTLEMENT, "request :open")]
)]
#[case::captured_without_charge(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0);
     INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 500, :open, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :open, -500, 4, 997000, 996500);
     UPDATE accounts SET posted = 996500, seq = 5, held = 0 WHERE id = 1001",
    &[(SETTLEMENT, "request :open")]
)]
#[case::captured_for_nothing_without_charge(
    "INSERT INTO settlements VALUES (:open, 'captured', 0, 0); UPDATE accounts SET held = 0 WHERE id = 1001",
    &[(SETTLEMENT, "request :open")]
)]
#[case::captured_without_transfer(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0);
     INSERT INTO charges VALUES (1001, :open, :charge_of_500);
     UPDATE accounts SET held = 0 WHERE id = 1001",
    &[(SETTLEMENT, "request :open")]
)]
#[case::captured_another_amount(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0);
     INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 501, :open, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :open, -501, 4, 997000, 996499);
     INSERT INTO charges VALUES (1001, :open, :charge_of_500);
     UPDATE accounts SET posted = 996499, seq = 5, held = 0 WHERE id = 1001",
    &[(TRANSFER, "transfer :open"), (SETTLEMENT, "request :open")]
)]
#[case::captured_from_another_account(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0);
     INSERT INTO transfers VALUES (:new, 'top_up', 1, 1002, 500, NULL, NULL, 'r', NULL, 0);
     INSERT INTO transfers VALUES (:open, 'capture', 1002, 2, 500, :open, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1002, 3, :new, 500, 2, 0, 500), (1002, 4, :open, -500, 3, 500, 0);
     INSERT INTO charges VALUES (1001, :open, :charge_of_500);
     UPDATE accounts SET seq = 4 WHERE id = 1002; UPDATE accounts SET held = 0 WHERE id = 1001",
    &[(TRANSFER, "transfer :open")]
)]
#[case::captured_by_a_line_of_another_account(
    "INSERT INTO settlements VALUES (:open, 'captured', 500, 0);
     INSERT INTO transfers VALUES (:new, 'top_up', 1, 1002, 500, NULL, NULL, 'r', NULL, 0);
     INSERT INTO transfers VALUES (:open, 'capture', 1001, 2, 500, :open, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1002, 3, :new, 500, 2, 0, 500), (1002, 4, :open, -500, 3, 500, 0);
     INSERT INTO charges VALUES (1001, :open, :charge_of_500);
     UPDATE accounts SET seq = 4 WHERE id = 1002; UPDATE accounts SET held = 0 WHERE id = 1001",
    &[(LINE, "account 1002 line 4")]
)]
#[case::captured_after_its_void(
    "INSERT INTO transfers VALUES (:voided, 'capture', 1001, 2, 5, :voided, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :voided, -5, 4, 997000, 996995);
     UPDATE accounts SET posted = 996995, seq = 5 WHERE id = 1001",
    &[(TRANSFER, "transfer :voided"), (SETTLEMENT, "request :voided")]
)]
#[case::charged_after_its_void("INSERT INTO charges VALUES (1001, :voided, :charge_tail)", &[(SETTLEMENT, "request :voided")])]
#[case::a_payment_without_its_line(
    "INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0)",
    &[(TRANSFER, "transfer :new"), (SUM, "ledger")]
)]
#[case::a_line_that_the_account_does_not_know(
    "INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, 5, 4, 997000, 997005)",
    &[(NEWEST, "account 1001"), (SUM, "ledger")]
)]
#[case::a_line_of_another_amount(
    "INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, 6, 4, 997000, 997006);
     UPDATE accounts SET posted = 997006, seq = 5 WHERE id = 1001",
    &[(LINE, "account 1001 line 5"), (SUM, "ledger")]
)]
#[case::a_line_of_another_account(
    "INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0);
     INSERT INTO lines VALUES (1002, 3, :new, 5, 2, 0, 5);
     UPDATE accounts SET posted = 5, seq = 3 WHERE id = 1002",
    &[(LINE, "account 1002 line 3")]
)]
#[case::a_line_of_the_house(
    "INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :captured, NULL, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, 5, 4, 997000, 997005);
     UPDATE accounts SET posted = 997005, seq = 5 WHERE id = 1001",
    &[(TRANSFER, "transfer :new"), (SETTLEMENT, "request :captured"), (LINE, "account 1001 line 5"), (SUM, "ledger")]
)]
#[case::a_write_off_without_reason(
    "INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :captured, NULL, NULL, NULL, 0)",
    &[(SETTLEMENT, "request :captured")]
)]
#[case::a_write_off_of_what_was_voided(
    "INSERT INTO transfers VALUES (:new, 'write_off', 3, 2, 5, :voided, NULL, NULL, NULL, 0)",
    &[(TRANSFER, "transfer :new"), (SETTLEMENT, "request :voided")]
)]
#[case::taken_back_without_its_line(
    "INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, 500, NULL, :given, NULL, NULL, 0)",
    &[(TRANSFER, "transfer :new"), (SUM, "ledger")]
)]
#[case::more_taken_from_the_balance_than_back(
    "INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, 400, NULL, :given, NULL, NULL, 0);
     INSERT INTO lines VALUES (1003, 4, :new, -500, 3, 500, 0);
     UPDATE accounts SET posted = 0, seq = 4 WHERE id = 1003",
    &[(LINE, "account 1003 line 4"), (SUM, "ledger")]
)]
#[case::an_account_without_line_0("INSERT INTO accounts (id, kind) VALUES (1500, 'customer')", &[(NEWEST, "account 1500")])]
#[case::opened_twice(
    "INSERT INTO transfers VALUES (:new, 'opening', 1001, 1001, 0, NULL, NULL, NULL, NULL, 0)",
    &[(TRANSFER, "transfer :new")]
)]
#[tokio::test]
async fn damage_is_found(#[case] damage: &str, #[case] expected: &[Finding]) {
    let scene = Scene::set().await;
    let mut watch = Audit::from_now(&scene.books.database, &scene.books.clock).await.unwrap();
    assert_eq!(found(&watch.run(&scene.books.database, &scene.books.clock).await.unwrap()), []);
    scene.books.advance(60_000);

    do_damage(&scene, Rules::Hold, damage);

    assert_eq!(found(&audit(&scene.books).await), named(&scene, expected));
    let new: Vec<Finding> = expected.iter().copied().filter(|(check, _)| *check != SUM).collect();
    let report = watch.run(&scene.books.database, &scene.books.clock).await.unwrap();
    assert_eq!(found(&report), named(&scene, &new), "while a server runs");
}

/// Whoever tops up or takes back has had the id since the form was opened: that of a minute ago may be almost a day old.
#[rstest]
#[case::a_payment("INSERT INTO transfers VALUES (:old, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0)")]
#[case::taken_back("INSERT INTO transfers VALUES (:old, 'reversal', 1003, 4, 500, NULL, :given, NULL, NULL, 0)")]
#[tokio::test]
async fn damage_with_an_id_of_yesterday_is_found(#[case] damage: &str) {
    let scene = Scene::set().await;
    let books = &scene.books;
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    books.advance(60_000);
    let old = request_at(books.clock.now().plus_ms(-24 * 3_600_000), 1);

    do_damage(&scene, Rules::Hold, &damage.replace(":old", &books.blob(&old.simple().to_string())));

    for _ in 0..2 {
        let report = watch.run(&books.database, &books.clock).await.unwrap();
        assert_eq!(found(&report), [(TRANSFER.to_owned(), format!("transfer {old}"))], "once, and each minute");
        books.advance(60_000);
    }
}

/// Damage by somebody who first takes the triggers, the foreign keys or the checks away. What is old only the whole audit looks at.
#[rstest]
#[case::a_balance(
    "DROP TRIGGER accounts_posted_is_newest_line; UPDATE accounts SET posted = posted + 5 WHERE id = 1001",
    &[(NEWEST, "account 1001"), (SUM, "ledger")]
)]
#[case::a_number(
    "DROP TRIGGER accounts_posted_is_newest_line; UPDATE accounts SET seq = 5 WHERE id = 1001",
    &[(NEWEST, "account 1001")]
)]
#[case::a_balance_and_its_line(
    "DROP TRIGGER lines_no_update; UPDATE lines SET delta = delta + 5, balance = balance + 5 WHERE account = 1001 AND seq = 4;
     UPDATE accounts SET posted = posted + 5 WHERE id = 1001",
    &[(LINE, "account 1001 line 4"), (SUM, "ledger")]
)]
#[case::a_line_in_the_middle(
    "DROP TRIGGER lines_no_update; UPDATE lines SET delta = delta + 5, balance = balance + 5 WHERE account = 1001 AND seq = 2",
    &[(LINE, "account 1001 line 2"), (LINE, "account 1001 line 3")]
)]
#[case::a_line_that_does_not_add_up(
    "DROP TRIGGER lines_no_update; UPDATE lines SET prev_balance = 0 WHERE account = 1001 AND seq = 2",
    &[(LINE, "account 1001 line 2")]
)]
#[case::a_line_that_names_another(
    "DROP TRIGGER lines_no_update; UPDATE lines SET prev_seq = 1 WHERE account = 1001 AND seq = 4",
    &[(LINE, "account 1001 line 4")]
)]
#[case::a_line_removed(
    "DROP TRIGGER lines_no_delete; DELETE FROM lines WHERE account = 1001 AND seq = 4; \
     UPDATE accounts SET posted = 993000, seq = 3 WHERE id = 1001",
    &[(TRANSFER, "transfer :reversal"), (SUM, "ledger")]
)]
#[case::a_fork(
    "DROP TRIGGER lines_chain; INSERT INTO transfers VALUES (:new, 'top_up', 1, 1001, 5, NULL, NULL, 'r', NULL, 0); \
     INSERT INTO lines VALUES (1001, 4, :new, 5, 3, 993000, 993005)",
    &[(LINE, "account 1001 line 4"), (SUM, "ledger")]
)]
#[case::a_settlement_removed(
    "DROP TRIGGER settlements_no_delete; DELETE FROM settlements WHERE request_id = :captured",
    &[(TRANSFER, "transfer :captured"), (CHARGE, "request :captured"), (HELD, "account 1001")]
)]
#[case::a_settlement_made_another(
    "DROP TRIGGER settlements_no_update; UPDATE settlements SET outcome = 'voided', amount = 0 WHERE request_id = :captured",
    &[(TRANSFER, "transfer :captured"), (SETTLEMENT, "request :captured")]
)]
#[case::a_transfer_raised(
    "DROP TRIGGER transfers_no_update; UPDATE transfers SET amount = 3001 WHERE id = :captured",
    &[(TRANSFER, "transfer :captured"), (SETTLEMENT, "request :captured"), (LINE, "account 1001 line 2"), (SUM, "ledger")]
)]
#[case::a_transfer_removed(
    "DROP TRIGGER transfers_no_delete; DELETE FROM transfers WHERE id = :captured",
    &[(SETTLEMENT, "request :captured"), (LINE, "account 1001 line 2"), (SUM, "ledger")]
)]
#[case::a_charge_lowered(
    "DROP TRIGGER charges_no_update; UPDATE charges SET prompt_cost = 2999 WHERE request_id = :captured",
    &[(SETTLEMENT, "request :captured"), (CHARGE, "request :captured")]
)]
#[case::a_charge_removed(
    "DROP TRIGGER charges_no_delete; DELETE FROM charges WHERE request_id = :captured",
    &[(SETTLEMENT, "request :captured")]
)]
#[case::a_price_altered("DROP TRIGGER prices_no_update; UPDATE prices SET prompt = 1", &[
    (CHARGE, "request :captured"), (CHARGE, "request :reversed"), (CHARGE, "request :written_off"),
])]
#[case::a_hold_removed(
    "DROP TRIGGER holds_no_delete; DELETE FROM holds WHERE request_id = :captured",
    &[(TRANSFER, "transfer :captured"), (SETTLEMENT, "request :captured")]
)]
#[case::more_given_back_than_paid(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 3001, :captured, :captured, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, 3001, 4, 997000, 1000001);
     UPDATE accounts SET posted = 1000001, seq = 5 WHERE id = 1001",
    &[(TRANSFER, "transfer :new")]
)]
#[case::less_given_back_than_paid(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 2, 1001, 2999, :captured, :captured, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, 2999, 4, 997000, 999999);
     UPDATE accounts SET posted = 999999, seq = 5 WHERE id = 1001",
    &[(TRANSFER, "transfer :new")]
)]
#[case::given_back_to_another(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 2, 1002, 3000, :captured, :captured, NULL, NULL, 0);
     INSERT INTO lines VALUES (1002, 3, :new, 3000, 2, 0, 3000);
     UPDATE accounts SET posted = 3000, seq = 3 WHERE id = 1002",
    &[(TRANSFER, "transfer :new")]
)]
#[case::given_back_for_nothing(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 2, 1002, 3000, NULL, :nobody, NULL, NULL, 0);
     INSERT INTO lines VALUES (1002, 3, :new, 3000, 2, 0, 3000);
     UPDATE accounts SET posted = 3000, seq = 3 WHERE id = 1002",
    &[(TRANSFER, "transfer :new")]
)]
#[case::more_taken_back_than_paid(
    "DROP TRIGGER transfers_no_update; UPDATE transfers SET amount = 499 WHERE id = :given; DROP TRIGGER transfers_no_replace;
     INSERT INTO transfers VALUES (:new, 'reversal', 1003, 4, 500, NULL, :given, NULL, NULL, 0);
     INSERT INTO lines VALUES (1003, 4, :new, -500, 3, 500, 0);
     UPDATE accounts SET posted = 0, seq = 4 WHERE id = 1003",
    &[(TRANSFER, "transfer :new"), (LINE, "account 1003 line 2"), (SUM, "ledger")]
)]
#[case::taken_back_from_another(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 1001, 4, 500, NULL, :given, NULL, NULL, 0);
     INSERT INTO lines VALUES (1001, 5, :new, -500, 4, 997000, 996500);
     UPDATE accounts SET posted = 996500, seq = 5 WHERE id = 1001",
    &[(TRANSFER, "transfer :new")]
)]
#[case::taken_back_to_another_house(
    "DROP TRIGGER transfers_no_replace; INSERT INTO transfers VALUES (:new, 'reversal', 1003, 1, 500, NULL, :given, NULL, NULL, 0);
     INSERT INTO lines VALUES (1003, 4, :new, -500, 3, 500, 0);
     UPDATE accounts SET posted = 0, seq = 4 WHERE id = 1003",
    &[(TRANSFER, "transfer :new")]
)]
#[case::a_payment_from_another_house(
    "DROP TRIGGER transfers_no_update; UPDATE transfers SET debit = 5 WHERE id = :given",
    &[(TRANSFER, "transfer :given")]
)]
#[case::a_hold_raised("DROP TRIGGER holds_no_update; UPDATE holds SET amount = 10001 WHERE request_id = :open", &[(HELD, "account 1001")])]
#[case::an_account_below_zero("UPDATE accounts SET held = -5 WHERE id = 1002", &[(HELD, "account 1002")])]
#[case::money_in_a_house_account("UPDATE accounts SET posted = 5 WHERE id = 2", &[(SUM, "ledger")])]
#[case::an_account_removed(
    "DROP TRIGGER accounts_no_delete; DELETE FROM accounts WHERE id = 1001",
    &[
        (HOLDER, "request :open"), (HOLDER, "request :captured"), (HOLDER, "request :voided"), (HOLDER, "request :reversed"),
        (SUM, "ledger"),
    ]
)]
#[tokio::test]
async fn damage_without_the_rules_is_found(#[case] damage: &str, #[case] expected: &[Finding]) {
    let scene = Scene::set().await;
    do_damage(&scene, Rules::AreGone, damage);
    assert_eq!(found(&audit(&scene.books).await), named(&scene, expected));
}

/// The ledger keeps the charge that it is given; whether it is right only the audit asks.
#[rstest]
#[case::too_few_tokens(|charge: &mut Charge| charge.prompt.tokens -= 1)]
#[case::too_many_tokens(|charge: &mut Charge| charge.completion.tokens += 1)]
#[case::costs_swapped(|charge: &mut Charge| std::mem::swap(&mut charge.prompt_cost, &mut charge.completion_cost))]
#[case::at_another_price(|charge: &mut Charge| (charge.prompt_price, charge.prompt_cost) = (nanos(2_000_000), nanos(2_000)))]
#[case::at_another_completion_price(|charge: &mut Charge| charge.completion_price = nanos(999_999))]
#[case::for_nothing(for_nothing)]
#[case::by_another_price_version(|charge: &mut Charge| charge.price_version = PriceVersion(2))]
#[case::by_a_price_that_is_not_there(|charge: &mut Charge| charge.price_version = PriceVersion(99))]
#[case::by_a_count_that_is_not_there(|charge: &mut Charge| charge.basis = Basis::Upstream)]
#[case::by_a_count_that_the_price_does_not_bill(|charge: &mut Charge| (charge.basis, charge.upstream) = (Basis::Upstream, Some((1_000, 0))))]
#[case::images_that_cost_nothing(|charge: &mut Charge| (charge.images, charge.image_price) = (2, nanos(7)))]
#[case::images_at_another_price(|charge: &mut Charge| {
    for_nothing(charge);
    (charge.endpoint, charge.images, charge.image_price, charge.image_cost) = (Endpoint::Images, 2, nanos(7), nanos(14));
})]
#[case::images_that_pay_tokens(|charge: &mut Charge| charge.endpoint = Endpoint::Images)]
#[tokio::test]
async fn a_charge_that_is_not_right_is_found(#[case] damage: fn(&mut Charge)) {
    let books = Books::new().await;
    books.price(nanos(1_000_000), nanos(1_000_000), Amount::ZERO, Basis::Estimate).await;
    let tenant = books.tenant("t", 1_000_000).await;
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let right = books.held(tenant, 5_000).await;
    books.ledger.capture(capture(right, tenant, 1_000)).await.unwrap().unwrap();
    let wrong = books.held(tenant, 5_000).await;
    let Capture { mut charge, .. } = capture(wrong, tenant, 1_000);
    damage(&mut charge);

    books.ledger.capture(Capture { request_id: wrong, account: tenant, charge, answer: None }).await.unwrap().unwrap();

    let expected = [(CHARGE.to_owned(), format!("request {wrong}"))];
    assert_eq!(found(&audit(&books).await), expected);
    assert_eq!(found(&watch.run(&books.database, &books.clock).await.unwrap()), expected);
}

#[tokio::test]
async fn a_hold_left_open_is_found_only_while_somebody_serves() {
    let books = Books::at(Clock::System.now()).await;
    let tenant = books.tenant("t", 1_000).await;
    let mut watch = Audit::from_now(&books.database, &books.clock).await.unwrap();
    let hold = Hold { expires_at: books.clock.now(), ..books.hold(tenant, 5) };
    books.ledger.hold(hold.clone()).await.unwrap();
    let overdue = [(OVERDUE.to_owned(), format!("request {}", hold.request_id))];
    let process = ProcessId::new();
    ledger::register_process(&books.database, process, "all", books.clock.now()).await.unwrap();

    books.advance(60_000);
    ledger::heartbeat(&books.database, process, books.clock.now()).await.unwrap();
    assert_eq!(both(&books, &mut watch).await, [], "a minute for the sweeper");
    books.advance(1);
    assert_eq!(both(&books, &mut watch).await, overdue);
    books.advance(29_998);
    assert_eq!(both(&books, &mut watch).await, overdue, "the process was seen 29,999 ms ago");
    books.advance(1);
    assert_eq!(both(&books, &mut watch).await, [], "nobody was seen for 30 s");
    ledger::heartbeat(&books.database, process, books.clock.now()).await.unwrap();
    assert_eq!(both(&books, &mut watch).await, overdue);

    books.ledger.end(hold.request_id, tenant, ledger::Ended::Expired).await.unwrap().unwrap();
    assert_eq!(both(&books, &mut watch).await, []);
}

fn for_nothing(charge: &mut Charge) {
    (charge.prompt_price, charge.completion_price, charge.prompt_cost) = (Amount::ZERO, Amount::ZERO, Amount::ZERO);
}

/// On PostgreSQL whoever takes the rules away sets one setting, which needs a superuser, and drops the checks.
const POSTGRES_WITHOUT_RULES: &str = "SET LOCAL session_replication_role = replica;
    DO $$ DECLARE each record; BEGIN
        FOR each IN SELECT conrelid::regclass AS place, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0 LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.place, each.conname);
        END LOOP;
    END $$;";

fn do_damage(scene: &Scene, rules: Rules, damage: &str) {
    let is_sqlite = scene.books.is_sqlite();
    let finished_early = if is_sqlite { "0" } else { "FALSE" };
    let charge_of_500 = format!(
        "'0123456789AB', 'chat', 'gpt-4', NULL, 1, 'estimate', 500, 0, 500, 0, 0, 0, NULL, NULL, 0, NULL, \
         1000000, 1000000, 0, 500, 0, 0, 0, {finished_early}, 0"
    );
    let sql = scene.sql(&damage.replace(":charge_of_500", &charge_of_500));
    let (settings, begin, sql) = match (rules, is_sqlite) {
        (Rules::Hold, true) => ("", "BEGIN IMMEDIATE", sql),
        (Rules::Hold, false) => ("", "BEGIN", sql),
        (Rules::AreGone, true) => {
            ("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;", "BEGIN IMMEDIATE", sql)
        }
        (Rules::AreGone, false) => {
            let steps = sql.split(';').filter(|step| !step.contains("DROP TRIGGER"));
            // What a trigger sees to on SQLite, a key does here.
            let forks =
                if damage.contains("lines_chain") { "ALTER TABLE lines DROP CONSTRAINT lines_pkey; " } else { "" };
            ("", "BEGIN", format!("{POSTGRES_WITHOUT_RULES} {forks}{}", steps.collect::<Vec<_>>().join(";")))
        }
    };
    scene.stranger(settings).batch_execute(&format!("{begin}; {sql}; COMMIT")).unwrap();
}

/// Whether triggers, foreign keys and checks are in force for whoever does damage.
#[derive(Clone, Copy)]
enum Rules {
    Hold,
    AreGone,
}

async fn audit(books: &Books) -> AuditReport {
    ledger::audit(&books.database, &books.clock).await.unwrap()
}

/// What both audits find, which must be the same.
async fn both(books: &Books, watch: &mut Audit) -> Vec<(String, String)> {
    let all = found(&audit(books).await);
    assert_eq!(found(&watch.run(&books.database, &books.clock).await.unwrap()), all);
    all
}

fn found(report: &AuditReport) -> Vec<(String, String)> {
    assert_eq!(report.ok, report.violations.is_empty());
    report.violations.iter().map(|violation| (violation.check.to_owned(), violation.subject.clone())).collect()
}

fn named(scene: &Scene, findings: &[Finding]) -> Vec<(String, String)> {
    findings.iter().map(|(check, subject)| ((*check).to_owned(), scene.subject(subject))).collect()
}

fn nanos(amount: i64) -> Amount {
    Amount::from_nanos(amount)
}
