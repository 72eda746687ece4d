//! The API is as `/openapi.json` says: schemathesis makes requests that fit the description and such that do not, and holds every reply
//! to it, with all its checks. `tests/clients/described.py` tells it what a schema cannot say.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::sdk;
use crate::support::storefront::{Key, Storefront};

/// More than any of these calls may cost.
const BALANCE: &str = "1000000000.00";
const EXAMPLES: &str = "100";
/// The same requests each time.
const SEED: &str = "20261128";
/// A run takes a minute or so on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(900);
const GLANCE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn with_a_large_balance() {
    let shop = Storefront::open(BALANCE).await;
    assert_conforms(&shop, &shop.key).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_of_limits() {
    let shop = Storefront::open(BALANCE).await;
    let limited = shop.issue(&["--rpm", "300", "--tpm", "500000", "--concurrency", "2"]);
    assert_conforms(&shop, &limited).await;
    let refused = shop.server.log().matches("rate_limit_exceeded").count();
    assert!(refused > 10, "the limits were met {refused} times");
    shop.close().await;
}

/// Runs schemathesis over the whole description with this key.
async fn assert_conforms(shop: &Storefront, key: &Key) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let folder = tempfile::tempdir().expect("a folder");
    let description = shop.get("/openapi.json").await;
    // From a file: of a description that it fetches, it does not test the fetching.
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, &description.text).expect("a file is written");
    let report = folder.path().join("report.txt");
    let file = std::fs::File::create(&report).expect("a file");
    let mut command = sdk::tool("schemathesis");
    command
        .current_dir(folder.path())
        .env("PYTHONPATH", &scripts)
        .env("SCHEMATHESIS_HOOKS", "described")
        .arg("--config-file")
        .arg(scripts.join("described.toml"))
        .arg("run")
        .arg(&document)
        .args(["--url", &shop.server.url("")])
        .args(["--header", &format!("Authorization: Bearer {}", key.secret)])
        .args(["--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure"])
        .args(["--generation-database", "none", "--no-color"])
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file"))
        .stderr(file);
    let mut child = command.spawn().expect("schemathesis starts");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("it can be waited for") {
            Some(status) => break Some(status),
            None if start.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => tokio::time::sleep(GLANCE).await,
        }
    };
    let report = std::fs::read_to_string(&report).expect("UTF-8");
    assert!(status.is_some_and(|status| status.success()), "{status:?} after {:?}\n{report}", start.elapsed());

    let paths = description.json["paths"].as_object().expect("paths");
    let described = paths.values().map(|path| path.as_object().expect("operations"));
    let operations = described.flat_map(|path| path.keys()).filter(|name| *name != "servers").count();
    for words in [&format!("Selected: {operations}/{operations}"), &format!("Tested: {operations}")] {
        assert!(report.contains(words), "no {words:?} in\n{report}");
    }
    let log = shop.server.log();
    let broken: Vec<&str> = log.lines().filter(|line| line.contains(r#""status":5"#)).collect();
    assert_eq!(broken, [""; 0], "nothing is the service's own fault");
}
