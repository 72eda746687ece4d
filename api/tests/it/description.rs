//! `/openapi.json` and `/docs` as they are sent.

use rstest::rstest;

use crate::app::{PUBLIC_URL, TestApp};
use crate::client::{Reply, Request, get};

/// Only the head of a reply, whatever follows.
async fn head_of(app: &TestApp, request: Request) -> Reply {
    request.open(app.address).await.1
}

#[actix_web::test]
async fn programs_read_the_description() {
    let app = TestApp::without_a_worker(&[]).await;
    let reply = app.send(get("/openapi.json")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json()["servers"][0]["url"], PUBLIC_URL);
    assert_eq!(reply.json()["openapi"], "3.1.0");
    let etag = reply.header("etag").unwrap();
    assert!(etag.starts_with('"'), "a strong tag: {etag}");
    assert!(reply.header("x-request-id").is_some());

    let (mut connection, head) = get("/openapi.json").method("HEAD").open(app.address).await;
    assert_eq!((head.status, head.header("etag")), (200, Some(etag)));
    assert_eq!(head.header("content-length"), Some(&*reply.body.len().to_string()));
    // Nothing came behind that head: what comes next is the next reply.
    connection.write("GET /healthz HTTP/1.1\r\nHost: xiaoyi\r\n\r\n").await;
    assert_eq!(connection.reply().await.body, r#"{"status":"ok"}"#);

    for known in [etag, "*", &format!("W/{etag}"), &format!("\"another\", {etag}")] {
        let reply = head_of(&app, get("/openapi.json").header("If-None-Match", known)).await;
        assert_eq!((reply.status, reply.header("etag")), (304, Some(etag)), "{known}");
    }
    assert_eq!(head_of(&app, get("/openapi.json").header("If-None-Match", "\"another\"")).await.status, 200);
    let reply = app.send(get("/openapi.json").method("POST")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[actix_web::test]
async fn people_read_the_page() {
    let app = TestApp::without_a_worker(&[]).await;
    let page = app.send(get("/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    let files: Vec<&str> = page.body.split('"').filter(|text| text.starts_with("docs/")).collect();
    assert_eq!(files.len(), 3, "{}", page.body);
    for file in files {
        let path = format!("/{file}");
        let plain = app.send(get(&path)).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{file}");
        assert_eq!(plain.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(plain.header("vary"), Some("accept-encoding"));
        let compressed = head_of(&app, get(&path).header("Accept-Encoding", "gzip, br")).await;
        assert_eq!(compressed.header("content-encoding"), Some("gzip"));
        let length = |reply: &Reply| reply.header("content-length").unwrap().parse::<usize>().unwrap();
        assert!(length(&compressed) < length(&plain), "{file}");
        assert_ne!(compressed.header("etag"), plain.header("etag"));
        let again = get(&path).header("If-None-Match", plain.header("etag").unwrap());
        assert_eq!(head_of(&app, again).await.status, 304);
        assert_eq!(
            head_of(&app, get(&path).method("HEAD")).await.header("content-length"),
            plain.header("content-length")
        );
    }
    let slash = app.send(get("/docs/")).await;
    assert_eq!((slash.status, slash.header("location")), (308, Some("../docs")));
}

#[rstest]
#[case("/docs/swagger-ui.css")]
#[case("/docs/docs-000000000000.js")]
#[case("/docs/..%2fopenapi.json")]
#[case("/docs/a/b")]
#[actix_web::test]
async fn no_other_file_is_sent(#[case] path: &str) {
    let app = TestApp::without_a_worker(&[]).await;
    let reply = app.send(get(path)).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &"not_found".into()));
}
