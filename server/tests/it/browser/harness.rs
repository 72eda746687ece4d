//! The harness itself: that its checks find what they are for, and that scripts run only where they may.

use super::chromium::{Chromium, USUAL, WITHOUT_SCRIPTS};

/// A page as an address. Nothing of ours is on it.
fn page(body: &str) -> String {
    let html = format!("<!doctype html><html lang=en><title>before</title><main><h1>Page</h1>{body}</main></html>");
    let escaped: String = html.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("data:text/html;charset=utf-8,{escaped}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_finds_what_it_is_for() {
    let chromium = Chromium::start();
    let window = chromium.window(USUAL, "").await;
    window.open(&page("<p>Nothing is wrong.</p>")).await;
    window.inspect().await;

    window.open(&page("<input name=q>")).await;
    let found = window.inaccessible().await;
    assert!(found.len() == 2 && found[0].contains("critical label"), "{found:?}");

    window.open(&page("<table><tr><td style='min-width:400px'>wide</table>")).await;
    let found = window.beyond_the_edge().await;
    assert!(found.iter().any(|line| line.contains("<table>")), "{found:?}");

    window
        .open(&page("<button tabindex=-1>a</button><button style='outline: none'>b</button><button>c</button>"))
        .await;
    let found = window.beyond_the_keyboard().await;
    assert!(found.len() == 2 && found[0].contains(">a<") && found[1].contains(">b<"), "{found:?}");

    window.open(&page("<img src=x onerror='window.xss=1'>")).await;
    let found = window.markup_of_texts().await;
    assert!(found[0].contains("window.xss is set") && found[1].contains("<img"), "{found:?}");
    window.logged().await;

    let rule = "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>";
    window.open(&page(rule)).await;
    let found = window.logged().await;
    assert!(found.iter().any(|line| line.contains("Content Security Policy")), "{found:?}");

    window.open(&page("<script>throw new Error('broken')</script>")).await;
    let found = window.logged().await;
    assert!(found.iter().any(|line| line.contains("broken")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_only_where_they_may() {
    let chromium = Chromium::start();
    for (person, title) in [(USUAL, "after"), (WITHOUT_SCRIPTS, "before")] {
        let window = chromium.window(person, "").await;
        window.open(&page("<script>document.title = 'after'</script><noscript>没有脚本</noscript>")).await;
        assert_eq!(window.driver.title().await.expect("a title"), title);
        assert_eq!(window.text().await.contains("没有脚本"), !person.scripts);
        // What a test asks of the page is answered in any case.
        assert_eq!(window.evaluate("return navigator.language").await, person.language);
        assert_eq!(window.beyond_the_edge().await, [""; 0]);
    }
}
