//! What a page costs, on the demo's data: how long the server takes for it, and how much a browser must load.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::browser::operator::{PASSWORD, invitation_in};
use crate::support::visitor::{Page, Visitor, every_page_of_the_console, every_page_of_the_panel};
use crate::support::{IssuedKey, Place, Server};

/// The most that a page may take. The suite is a debug build, so this is easier for what people run.
const LONGEST: Duration = Duration::from_millis(50);
/// The most bytes of a page with everything that it loads, uncompressed, and nothing kept from an earlier visit.
const HEAVIEST: usize = 150_000;
/// Enough calls that every list of them is as long as it can be.
const CALLS: usize = 120;
/// More than it takes until they are in the lists.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often each page is fetched; the median counts.
const TRIES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the table is what this is for")]
async fn every_page_is_quick_and_light() {
    let server = Server::start_in(Place::new(), &["demo"]);
    let mut operator = Visitor::new(&server.address("admin", ""));
    let link = invitation_in(&server.place, "owner@example.com", "owner", &["--data-dir", "data/demo"]);
    operator.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    operator.post("/sign-in", &[("email", "owner@example.com"), ("password", PASSWORD)]).await;
    let mut developer = Visitor::new(&server.address("api", ""));
    let secret = server.ready["key"]["secret"].as_str().expect("a key").to_owned();
    developer.post("/console/sign-in", &[("secret_key", &secret)]).await;
    let key = IssuedKey { id: String::new(), secret };
    for _ in 0..CALLS {
        assert_eq!(server.chat(&key, "gpt-4", "你好 world, GPT-4!").await.status, 200);
    }
    // Details of a call are written a moment after its end. The demo made a call of its own.
    let all = format!("{} calls", CALLS + 1);
    server.within(PATIENCE, "every call in the list", async || operator.get("/usage").await.body.contains(&all)).await;

    let mut table = vec![format!("{:<52} {:>8} {:>8}", "page", "ms", "kB")];
    let mut over = Vec::new();
    let of_the_panel = every_page_of_the_panel(&server, &mut operator, &key).await;
    let of_the_console = every_page_of_the_console(&server, &mut developer).await;
    for (visitor, pages) in [(&mut operator, of_the_panel), (&mut developer, of_the_console)] {
        let mut sizes = BTreeMap::new();
        for (path, kind) in pages {
            let (took, bytes) = cost_of(visitor, &path, &mut sizes).await;
            table.push(format!("{kind:<52} {:>8.1} {:>8.1}", took.as_secs_f64() * 1e3, bytes as f64 / 1e3));
            if took > LONGEST || bytes > HEAVIEST {
                over.push(kind);
            }
        }
    }
    eprintln!("{}", table.join("\n"));
    assert!(over.is_empty(), "over the budget of {LONGEST:?} and {HEAVIEST} bytes: {over:?}\n{}", table.join("\n"));
}

/// The median time of a page, and its weight with its files; `sizes` remembers those.
async fn cost_of(visitor: &mut Visitor, path: &str, sizes: &mut BTreeMap<String, usize>) -> (Duration, usize) {
    let mut tries: Vec<Page> = Vec::new();
    for _ in 0..TRIES {
        tries.push(visitor.get(path).await);
    }
    tries.sort_by_key(|page| page.took);
    let median = &tries[TRIES / 2];
    let mut bytes = median.body.len();
    for asset in median.assets() {
        if !sizes.contains_key(&asset) {
            let file = visitor.get(&asset).await;
            assert_eq!(file.status, 200, "{asset}");
            sizes.insert(asset.clone(), file.body.len());
        }
        bytes += sizes[&asset];
    }
    (median.took, bytes)
}
