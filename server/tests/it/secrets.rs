//! No secret anywhere: a server at its most talkative is driven through calls, failures and commands, and then everything that it wrote
//! is searched for every secret that went in.

mod database;
mod providers;
mod search;
mod servers;
mod visits;

use std::path::Path;

use testkit::Pair;

use self::search::{Search, forms};
use self::servers::Servers;
use crate::support::provider::Provider;
use crate::support::reseller::{CLIENTS, PROVIDER_KEY, Reseller, TENANT};
use crate::support::{Output, Server};

/// What seals the database, before and after its rotation.
const MASTER: [u8; 33] = *b"\xa3\x07\x59\xee\x1c\x90\x44\xd2\x8b\x3f\x61\xf8\x05\xb7\x2a\xcd\x76\x13\x9e\x40\xe1\x5d\x88\x2f\xc4\x0a\x97\x6b\x31\xda\x52\x0f\0";
const NEXT_MASTER: [u8; 33] = *b"\x5c\xf2\x08\xb9\x67\x1e\xd3\x82\x4a\xa6\x0d\x79\xe4\x33\x9b\xc0\x15\xfa\x48\x8d\x72\x2b\xbe\x01\xd6\x94\x5f\x23\xe8\x3c\xab\x70\0";
/// Providers' keys in other places than a channel's variable.
const OPENAI_KEY: &str = "openai/says+this=is-the_key/9c41";
const STDIN_KEY: &str = "typed+by+an~operator!at*the(console)";
/// What a client, or an operator, takes for a key.
const MADE_UP: &str = "sk-xy000000000000MadeUpByAClientWhoNeverHadAnyKeyOfOurs0123456789ABCDEFGHI";
const FOREIGN: &str = "correct.horse.battery.staple.of.another.service";
/// Passwords in settings.
const DATABASE_PASSWORD: &str = "p0stgres-password-of-the-role";
const REDIS_PASSWORD: &str = "r3dis-password-of-the-queue";
/// A model that is called.
const MODEL: &str = "typed";
/// A text that is no secret, and must be found where the searches look.
const CONTROL: &str = "a-request-of-this-test-which-is-no-secret";

/// The 32 bytes as a setting.
fn setting(master: [u8; 33]) -> String {
    // Base64 pads the last of eleven groups, whose third byte does not belong to the secret.
    format!("{}=", &search::base64(&master)[..43])
}

/// Everything that was written, by where.
#[derive(Default)]
struct Evidence(Vec<(String, Vec<u8>)>);

impl Evidence {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Both outputs of a command.
    fn command(&mut self, arguments: &[&str], output: &Output) {
        self.add(format!("standard output of {arguments:?}"), output.stdout.as_str());
        self.messages(arguments, output);
    }

    /// What a command said beside its result.
    fn messages(&mut self, arguments: &[&str], output: &Output) {
        self.add(format!("standard error output of {arguments:?}"), output.stderr.as_str());
    }

    /// All files of a folder.
    fn files(&mut self, folder: &Path) {
        // Processes without a database of their own need none.
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.files(&path);
            } else {
                self.add(format!("file {}", path.display()), std::fs::read(&path).unwrap());
            }
        }
    }

    fn places_with(&self, text: &str) -> Vec<&str> {
        let is_in = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.0.iter().filter(|(_, bytes)| is_in(bytes)).map(|(place, _)| place.as_str()).collect()
    }
}

/// A key without what is public of it: its id in front, its last four characters.
fn secret_part(key: &str) -> Vec<u8> {
    key.as_bytes()[17..key.len() - 4].to_vec()
}

/// Runs the commands of a day, and what an operator may get wrong.
fn run_commands(server: &Server, key: &str, evidence: &mut Evidence) {
    for arguments in [
        &["tenant", "list"][..],
        &["key", "list", "--tenant", TENANT],
        &["key", "revoke", key],
        &["key", "revoke", MADE_UP],
        &["key", "rotate", key],
        &["balance", "--tenant", TENANT],
        &["topup", "--tenant", TENANT, "--amount", "1.00", "--reference", CONTROL],
        &["usage", "--tenant", TENANT],
        &["usage", "--tenant", TENANT, "--group-by", "key"],
        &["channel", "list"],
        &["channel", "add", "--name", "a", "--type", "openai", "--models", "a", "--api-key", PROVIDER_KEY],
        &["channel", "add", "--name", "a", "--type", "openai", "--models", "a", "--api-key-env", PROVIDER_KEY],
        &[
            "channel",
            "add",
            "--name",
            "a",
            "--type",
            "openai",
            "--models",
            "a",
            "--base-url",
            &format!("https://me:{FOREIGN}@example.com/v1"),
        ],
        &["channel", "disable", "typed"],
        &["channel", "enable", "typed"],
        &["price", "list"],
        &["price", "set", "gpt-4", "--prompt", "1.00", "--completion", "2.00"],
        &["ledger", "audit"],
        &["doctor"],
        &["migrate"],
        &["secret", "rotate"],
    ] {
        let output = server.command(arguments);
        evidence.command(arguments, &output);
    }
    if server.place.pair() == Pair::Embedded {
        // A second one on the same file gives up.
        evidence.command(&["serve"], &server.command(&["serve"]));
    }
    // Settings that stop the start, and whose value must not be shown.
    let database = format!("postgres://xiaoyi:{DATABASE_PASSWORD}@db.example/xiaoyi");
    let redis = format!("redis://:{REDIS_PASSWORD}@redis.example");
    let two = format!("{FOREIGN},{FOREIGN}");
    for (name, value) in [
        ("DATABASE_URL", database.as_str()),
        ("DATABASE_URL", &database.replace("postgres:", "mysql:")),
        ("XIAOYI_MIGRATE_DATABASE_URL", &database),
        ("REDIS_URL", &redis),
        ("REDIS_URL", &redis.replace("redis:", "http:")),
        ("XIAOYI_SECRET_KEY", FOREIGN),
        ("XIAOYI_SECRET_KEY", &two),
        ("OPENAI_BASE_URL", &format!("https://me:{FOREIGN}@example.com/v1")),
        ("OPENAI_API_KEY", &format!("{FOREIGN}\n{FOREIGN}")),
    ] {
        for arguments in [&["doctor"][..], &["migrate"]] {
            let output = server.place.command_with(arguments, &[(name, value)], "");
            evidence.command(&[&[name], arguments].concat(), &output);
        }
    }
}

/// Rotates the secret of the database, and serves on under the new one.
fn rotate(server: &mut Server, evidence: &mut Evidence) {
    server.terminate();
    let (old, new) = (setting(MASTER), setting(NEXT_MASTER));
    server.place.set("XIAOYI_SECRET_KEY", &format!("{new},{old}"));
    let rotated = server.command(&["secret", "rotate"]);
    evidence.command(&["secret", "rotate", "(both)"], &rotated);
    rotated.ok();
    server.place.set("XIAOYI_SECRET_KEY", &old);
    let refused = server.command(&["tenant", "list"]);
    evidence.command(&["tenant", "list", "(old secret)"], &refused);
    refused.failed(1);
    server.place.set("XIAOYI_SECRET_KEY", &new);
    server.restart();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere() {
    let provider = Provider::start();
    let (url, master) = (provider.url(), setting(MASTER));
    let servers = Servers::of_this_run();
    let places = servers.as_ref().map(Servers::settings).unwrap_or_default();
    let mut settings = vec![
        ("RUST_LOG", "trace"),
        ("XIAOYI_SECRET_KEY", &master),
        ("OPENAI_API_KEY", OPENAI_KEY),
        ("OPENAI_BASE_URL", &url),
        ("XIAOYI_UPSTREAM_LINE_BYTES", "4096"),
    ];
    settings.extend(places.iter().map(|(name, value)| (*name, value.as_str())));
    let mut reseller = Reseller::open(&settings);
    let mut evidence = Evidence::default();
    let mut keys = vec![reseller.key.clone()];
    let mut issue = |arguments: &[&str]| {
        let output = reseller.server.command(arguments);
        evidence.messages(arguments, &output);
        let issued = output.ok();
        keys.push(issued["secret"].as_str().unwrap().to_owned());
        issued["id"].as_str().unwrap().to_owned()
    };
    let revoked = issue(&["key", "issue", "--tenant", TENANT, "--name", "to be revoked"]);
    let rotated = issue(&["key", "issue", "--tenant", TENANT]);
    issue(&["key", "rotate", &rotated]);
    issue(&["key", "rotate", &rotated, "--grace", "0s"]);
    reseller.command(&["key", "revoke", &revoked]);

    let arguments = [
        "channel",
        "add",
        "--name",
        "typed",
        "--type",
        "openai",
        "--base-url",
        &url,
        "--models",
        "typed",
        "--api-key-stdin",
    ];
    let output = reseller.server.place.command_with(&arguments, &[], &format!("{STDIN_KEY}\n"));
    evidence.command(&arguments, &output);
    output.ok();
    let models = providers::prepare(&provider);
    let pairs: Vec<_> = models.iter().map(|model| (model.as_str(), model.as_str())).collect();
    reseller.add_channel("wholesale", &url, &pairs, "100");
    reseller.wait_for_changes().await;

    for model in models.iter().map(String::as_str).chain(["gpt-3.5", "gpt-4", "typed"]) {
        for (client, stream) in CLIENTS.into_iter().flat_map(|client| [(client, false), (client, true)]) {
            let reply = reseller.chat(client, model, stream).await;
            evidence.add(format!("reply for {model}, {client:?}, {stream}"), reply.everything());
        }
    }
    let tokens = visits::pay(&reseller, &keys, &mut evidence).await;
    for (name, model) in
        models.iter().map(|model| ("wholesale", model.as_str())).chain([("openai", "gpt-4"), ("typed", "typed")])
    {
        let arguments = ["channel", "test", name, "--model", model];
        evidence.command(&arguments, &reseller.server.command(&arguments));
    }
    run_commands(&reseller.server, &keys[0], &mut evidence);
    let demo = reseller.server.command(&["demo", "--once"]);
    assert_eq!(demo.status, 0, "{demo:?}");
    evidence.messages(&["demo", "--once"], &demo);

    // While it runs, with what is only in the write-ahead log; after a crash; and after a rotation, with an orderly end.
    let data = reseller.server.place.data();
    evidence.files(&data);
    reseller.server.kill9();
    evidence.files(&data);
    reseller.server.restart();
    rotate(&mut reseller.server, &mut evidence);
    let reply = reseller.chat(CLIENTS[0], "typed", false).await;
    assert_eq!(reply.status, 200, "the provider's key was resealed: {reply:?}");
    reseller.server.terminate();
    evidence.files(&data);
    let values = match &servers {
        Some(servers) => servers.values(),
        None => database::values(&data.join("xiaoyi.db")),
    };
    evidence.0.extend(values);
    if let Some(servers) = &servers {
        servers.files(&mut evidence);
    }
    let log = reseller.server.log();
    evidence.add("log of the server", log.as_str());

    let mut secrets = vec![
        ("master secret".to_owned(), MASTER[..32].to_vec()),
        ("next master secret".to_owned(), NEXT_MASTER[..32].to_vec()),
        ("made-up key".to_owned(), secret_part(MADE_UP)),
    ];
    let texts = [
        ("provider's key", PROVIDER_KEY),
        ("OpenAI's key", OPENAI_KEY),
        ("typed key", STDIN_KEY),
        ("foreign secret", FOREIGN),
        ("database's password", DATABASE_PASSWORD),
        ("Redis' password", REDIS_PASSWORD),
    ];
    secrets.extend(texts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())));
    let token = |(number, token): (usize, &String)| (format!("session {number}"), token.clone().into_bytes());
    secrets.extend(tokens.iter().enumerate().map(token));
    secrets.extend(keys.iter().enumerate().map(|(number, key)| (format!("issued key {number}"), secret_part(key))));
    assert_the_search_works(&secrets, &evidence, &log, &provider);
    if servers.is_none() {
        let is_log = |(place, bytes): &(String, Vec<u8>)| place.ends_with("-wal") && bytes.len() > 10_000;
        assert!(evidence.0.iter().any(is_log), "there was no write-ahead log");
    }
    let search = Search::new(&secrets);
    let leaks: Vec<String> = evidence
        .0
        .iter()
        .flat_map(|(place, bytes)| search.find(bytes).into_iter().map(move |leak| format!("{place}: {leak}")))
        .collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
}

/// What must be found is found: in every place that is searched, every secret, in every form.
fn assert_the_search_works(secrets: &[(String, Vec<u8>)], evidence: &Evidence, log: &str, provider: &Provider) {
    // The server was as talkative as it can be, and the secrets did go through it.
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "the log has no traces");
    let presented: Vec<_> =
        provider.all_received().iter().filter_map(|call| call.header("authorization").map(str::to_owned)).collect();
    for key in [PROVIDER_KEY, OPENAI_KEY, STDIN_KEY] {
        assert!(presented.contains(&format!("Bearer {key}")), "{key} never reached the provider");
    }
    // What is no secret is found in the log, in replies, in commands, in the files and behind the database's own encoding.
    for kind in ["log", "reply", "standard output", "standard error", "file", "column"] {
        let of_this_kind = |place: &&str| place.starts_with(kind);
        let text = if kind == "standard error" { "TRACE" } else { TENANT };
        let text = if kind == "log" || kind == "reply" { CONTROL } else { text };
        // What Redis writes down are jobs, by a tenant's number.
        let text = if kind == "file" && Pair::of_this_run() == Pair::Servers { MODEL } else { text };
        assert!(evidence.places_with(text).iter().any(of_this_kind), "{text} is not in any {kind}");
    }
    // Each secret is found in each form, in the middle of the log.
    let search = Search::new(secrets);
    let (before, after) = log.as_bytes()[..log.len().min(2000)].split_at(log.len().min(2000) / 2);
    for (name, secret) in secrets {
        for (form, bytes) in forms(secret) {
            let planted = [before, &bytes, after].concat();
            assert!(
                search.find(&planted).iter().any(|found| found.starts_with(name.as_str())),
                "{name} is not found {form}"
            );
        }
        let half = &secret[secret.len() / 2 - 5..secret.len() / 2 + 5];
        assert!(!search.find(half).is_empty(), "ten characters of {name} are not found");
    }
}
