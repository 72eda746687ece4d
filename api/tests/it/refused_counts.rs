//! Calls that are refused before anything is held: they leave a count behind, once their key is known, and no details.

use serde_json::json;
use shared::calls::{self, RefusedFilter};
use shared::key::KeyPolicy;

use crate::app::{TestApp, hello};
use crate::client::post;

const CHAT: &str = "/v1/chat/completions";

#[actix_web::test]
async fn each_reason_is_counted_with_the_model_if_there_is_one() {
    let app = TestApp::without_a_worker(&[]).await;
    let only = KeyPolicy { models: Some(vec!["gpt-4".to_owned()]), ..KeyPolicy::default() };
    let (poor, limited) = (app.key(app.poor, KeyPolicy::default()).await, app.key(app.tenant, only).await);
    let ask = |key: &str, body: String| app.send(post(CHAT).bearer(key).json(body));
    for _ in 0..2 {
        assert_eq!(ask(&app.key, "{".to_owned()).await.status, 400);
    }
    assert_eq!(ask(&app.key, json!({"model": "no such model", "messages": []}).to_string()).await.status, 404);
    assert_eq!(ask(&app.key, json!({"messages": []}).to_string()).await.status, 400);
    assert_eq!(ask(&limited, hello().to_string()).await.status, 403);
    assert_eq!(ask(&poor, hello().to_string()).await.status, 402);
    // Nobody knows whose these are.
    assert_eq!(ask("sk-xy-nonsense", hello().to_string()).await.status, 401);
    assert_eq!(app.send(post(CHAT).json(hello())).await.status, 401);

    app.deployment.calls.flush().await;
    let (from, to) = (app.deployment.clock.now().plus_ms(-3_600_000), app.deployment.clock.now().plus_ms(1));
    let counted = |tenant| {
        let database = app.deployment.database.clone();
        async move {
            let filter = RefusedFilter { tenant, key: None, model: None, code: None, from, to };
            database.read(move |connection| calls::refused(connection, &filter)).await.unwrap()
        }
    };
    let shown =
        |rows: Vec<calls::RefusedRow>| rows.into_iter().map(|row| (row.code, row.model, row.count)).collect::<Vec<_>>();
    let mut all = shown(counted(None).await);
    all.sort();
    let known = || "gpt-3.5".to_owned();
    assert_eq!(
        all.iter().map(|(code, _, count)| (*code, *count)).collect::<Vec<_>>(),
        [(40_000, 2), (all[1].0, 1), (40_200, 1), (40_300, 1), (40_400, 1)]
    );
    assert_eq!((all[0].1.as_str(), &all[1].1, &all[2].1, &all[3].1), ("", &known(), &known(), &known()));
    assert_eq!(all[4].1, "", "a name that means nothing is not kept");
    assert_eq!(shown(counted(Some(app.poor)).await), [(40_200, known(), 1)]);
    let totals = app.deployment.database.read(|connection| calls::totals(connection, &Default::default())).await;
    assert_eq!(totals.unwrap().calls, 0);
}
