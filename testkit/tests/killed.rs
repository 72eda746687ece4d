//! A process that is killed leaves nothing behind: no server, no child of one, no folder.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, also in what helps it; the victim says when it is ready"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The variable that tells this program that it is the one to be killed.
const VICTIM: &str = "TESTKIT_VICTIM";

#[test]
fn a_killed_process_leaves_no_server_and_no_folder() {
    if std::env::var_os(VICTIM).is_some() {
        return be_the_victim();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "a_killed_process_leaves_no_server_and_no_folder", "--nocapture"]);
    let mut victim = victim.env(VICTIM, "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let ready =
        lines.map_while(Result::ok).find(|line| line.contains("ready ")).expect("the victim starts its servers");
    assert!(ready.contains("ready 4"), "{ready}");
    let marks = [format!("xiaoyi-postgres-{}-", victim.id()), format!("xiaoyi-redis-{}-", victim.id())];
    for mark in &marks {
        assert!(!processes_with(mark).is_empty() && !folders_with(mark).is_empty(), "{mark}");
    }

    victim.kill().unwrap();
    victim.wait().unwrap();
    for mark in &marks {
        let begun = Instant::now();
        while !processes_with(mark).is_empty() || !folders_with(mark).is_empty() {
            let left = (processes_with(mark), folders_with(mark));
            assert!(begun.elapsed() < Duration::from_secs(20), "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts one of everything from threads that end, since the servers must not end with those, and waits to be killed.
fn be_the_victim() {
    let postgres = std::thread::spawn(|| testkit::shared_postgres().pid()).join().unwrap();
    let redis = std::thread::spawn(|| testkit::shared_redis().pid()).join().unwrap();
    let own = std::thread::spawn(|| (testkit::Postgres::start().unwrap(), testkit::Redis::start().unwrap()));
    let own = own.join().unwrap();
    // All of them answer, long after the threads that asked for them have ended.
    testkit::shared_postgres().query("postgres", "SELECT 1").unwrap();
    testkit::shared_redis().order(&["PING"]).unwrap();
    own.0.query("postgres", "SELECT 1").unwrap();
    own.1.order(&["PING"]).unwrap();
    println!("ready {}", [postgres, redis, own.0.pid(), own.1.pid()].iter().flatten().count());
    std::thread::sleep(Duration::from_secs(120));
}

/// The command lines of living processes whose command line or working directory names this.
fn processes_with(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.path().join("cmdline").exists());
    let described = processes.map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let folder = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        format!("{} in {}", String::from_utf8_lossy(&line).replace('\0', " "), folder.display())
    });
    described.filter(|text| text.contains(mark)).collect()
}

fn folders_with(mark: &str) -> Vec<String> {
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.contains(mark)).collect()
}
