use rstest::rstest;
use serde_json::json;

use crate::support::terminal::{AtTerminal, Terminal, is_log};
use crate::support::{Place, Server};

/// The token of a link to the panel at `panel`.
fn token<'a>(url: &'a str, panel: &str) -> &'a str {
    let token = url.strip_prefix(panel).and_then(|path| path.strip_prefix("/invitation/"));
    token.filter(|token| token.len() == 43).unwrap_or_else(|| panic!("{url} is no invitation to {panel}"))
}

#[test]
fn create_list_and_disable() {
    let place = Place::with(&[("XIAOYI_ADMIN_LISTEN", "0.0.0.0:8091")]);
    place.command(&["migrate"]).ok();
    assert_eq!(place.command(&["staff", "list"]).ok(), json!([]));
    let made = place.command(&["staff", "create", "Ann@Example.com", "--role", "owner"]).ok();
    assert_eq!(made.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "url"]);
    assert_eq!(made["id"], 1);
    let url = made["url"].as_str().unwrap();
    let first = token(url, "http://127.0.0.1:8091");

    let listed = place.command(&["staff", "list"]);
    assert!(!listed.stdout.contains(first), "{}", listed.stdout);
    let listed = listed.ok();
    let fields = ["id", "email", "role", "accepted", "totp", "disabled_at"].map(|field| &listed[0][field]);
    assert_eq!(json!(fields), json!([1, "ann@example.com", "owner", false, false, null]));
    assert!(listed[0]["invited_until"].is_string());

    let again = place.command(&["staff", "create", "ann@example.com", "--role", "support"]).ok();
    assert_eq!(again["id"], 1, "one account a person");
    assert_ne!(token(again["url"].as_str().unwrap(), "http://127.0.0.1:8091"), first);
    assert_eq!(place.command(&["staff", "list"]).ok()[0]["role"], "support");

    let disabled = place.command(&["staff", "disable", "ANN@example.com"]).ok();
    assert!(disabled["disabled_at"].is_string());
    assert_eq!(place.command(&["staff", "list"]).ok()[0]["invited_until"], json!(null), "the link is withdrawn");
    assert_eq!(place.command(&["staff", "disable", "bob@example.com"]).failed(1).0, "unknown_staff");
}

#[test]
fn a_person_reads_a_link_and_a_table() {
    let place = Place::with(&[("XIAOYI_ADMIN_URL", "https://panel.example.com/")]);
    place.command(&["migrate"]).ok();
    assert!(place.spoken(&["staff", "list"]).1.contains("xiaoyi staff create EMAIL --role owner"));
    let (status, stdout, stderr) = place.spoken(&["staff", "create", "ann@example.com", "--role", "auditor"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    token(stdout.lines().next().unwrap(), "https://panel.example.com");
    assert!(stdout.contains("ann@example.com is invited as auditor"), "{stdout}");
    let (_, listed, _) = place.spoken(&["staff", "list"]);
    assert!(listed.contains("ann@example.com  auditor  off    never signed in, invited until "), "{listed}");
}

#[test]
fn a_port_that_is_not_known_is_said() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    let (status, _, stderr) = place.spoken(&["staff", "create", "ann@example.com", "--role", "owner"]);
    assert_eq!(status, 0);
    assert!(stderr.contains("XIAOYI_ADMIN_LISTEN"), "{stderr}");
}

#[rstest]
fn the_first_owner_is_invited_at_the_terminal_and_not_in_the_log(
    #[values(AtTerminal::Stderr, AtTerminal::Stdout)] which: AtTerminal,
    #[values("serve", "demo")] command: &str,
) {
    let place = Place::embedded(&[("XIAOYI_ADMIN_URL", "https://panel.example.com")]);
    let panel = if command == "demo" { "http://127.0.0.1:" } else { "https://panel.example.com" };
    let mut terminal = Terminal::start(&place, &[command], which);
    terminal.shows("/invitation/");
    terminal.shows("\n\r\n");
    let shown = terminal.stop();
    let with_link: Vec<&str> = shown.lines().filter(|line| line.contains("/invitation/")).collect();
    assert_eq!(with_link.len(), 1, "{shown}");
    assert!(!is_log(with_link[0]) && with_link[0].trim().starts_with(panel), "{shown}");

    // It is valid for an hour, so another start makes no second one.
    let mut again = Terminal::start(&place, &[command], which);
    let shown = again.shows("xiaoyi staff create EMAIL --role owner").to_owned();
    assert!(![shown, again.stop()].concat().contains("/invitation/"));
}

#[test]
fn with_an_account_nothing_is_shown() {
    let place = Place::embedded(&[]);
    place.command(&["migrate"]).ok();
    place.command(&["staff", "create", "ann@example.com", "--role", "owner"]).ok();
    let mut terminal = Terminal::start(&place, &["serve"], AtTerminal::Stdout);
    terminal.shows("\"ready\"");
    let shown = terminal.stop();
    assert!(!shown.contains("/invitation/") && !shown.contains("staff create"), "{shown}");
}

#[tokio::test]
async fn without_a_terminal_nothing_is_shown_or_made() {
    let mut server = Server::start_in(Place::embedded(&[]), &["serve"]);
    server.terminate();
    assert!(!server.log().contains("invitation") && !server.log().contains("staff create"), "{}", server.log());
    // None was made either: a start at a terminal shows one at once.
    let mut terminal = Terminal::start(&server.place, &["serve"], AtTerminal::Stderr);
    terminal.shows("/invitation/");
}
