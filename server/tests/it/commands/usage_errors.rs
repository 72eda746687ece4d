use rstest::rstest;

use crate::support::Place;

#[rstest]
#[case(&["nothing"])]
#[case(&["tenant"])]
#[case(&["tenant", "create"])]
#[case(&["tenant", "list", "--loud"])]
#[case(&["serve", "--role", "some"])]
#[case(&["--role", "all", "tenant", "list"])]
#[case(&["usage", "--tenant", "a", "--group-by", "hour"])]
#[case(&["key", "issue", "--tenant", "a", "--rpm", "0"])]
#[case(&["key", "issue", "--tenant", "a", "--tpm", "1.5"])]
#[case(&["key", "issue", "--tenant", "a", "--concurrency", "-1"])]
#[case(&["key", "issue", "--tenant", "a", "--ip", "10.0.0.0/8,example.com"])]
#[case(&["serve", "--api-listen", "foo"])]
#[case(&["staff", "create", "ann", "--role", "owner"])]
#[case(&["staff", "create", "ann@example.com"])]
#[case(&["staff", "create", "ann@example.com", "--role", "root"])]
#[case(&["staff", "disable"])]
#[case(&["tenant", "list", "--database-url", "mysql://u:hidden@localhost/x"])]
fn bad_usage(#[case] arguments: &[&str]) {
    let output = Place::new().command(arguments);
    assert!(!output.stderr.is_empty());
    let (code, message) = output.failed(2);
    assert_eq!(code, "usage");
    assert!(!message.contains("hidden"), "{message}");
    assert!(!message.is_empty() && !message.contains('\n'), "{message}");
}

#[rstest]
#[case(&["channel", "add", "--name", "a", "--type", "anthropic", "--models", "m"], "anthropic")]
#[case(&["key", "issue", "--tenant", "a", "--rpm", "1", "--per", "day"], "--per")]
#[case(&["key", "issue", "--tenant", "a", "--spend-limit", "1.00", "--per", "day"], "--spend-limit")]
fn what_is_not_built_is_never_ignored(#[case] arguments: &[&str], #[case] named: &str) {
    let place = Place::new();
    let (code, message) = place.command(arguments).failed(2);
    assert_eq!(code, "not_built");
    assert!(message.contains(named) && message.contains("not built yet"), "{message}");
    assert!(!place.data().exists());
}

#[test]
fn help_and_version_are_no_failure() {
    let place = Place::new();
    let (status, stdout, _) = place.spoken(&["--help"]);
    assert_eq!(status, 0);
    for command in [
        "serve", "demo", "migrate", "tenant", "key", "topup", "balance", "usage", "channel", "price", "staff",
        "secret", "ledger", "doctor",
    ] {
        assert!(stdout.lines().any(|line| line.trim_start().starts_with(command)), "no {command}:\n{stdout}");
    }
    let (status, stdout, _) = place.spoken(&["--version"]);
    assert_eq!((status, stdout.trim()), (0, concat!("xiaoyi ", env!("CARGO_PKG_VERSION"))));
    assert!(place.spoken(&["key", "rotate", "--help"]).1.contains("Example"));
}
