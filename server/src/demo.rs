//! `xiaoyi demo`: a service with sample data on a folder of its own, and one call shown with its charge.

mod sample;
mod tour;

use std::path::PathBuf;

use serde_json::json;
use shared::config::{DatabaseUrl, Settings};
use shared::deployment::{Role, Workbench};

use crate::cli::DemoArguments;
use crate::failure::Failure;
use crate::http::Listeners;
use crate::monitoring::Metrics;
use crate::output::{Report, note, print};
use crate::serve::Service;
use crate::signals::StopSignals;

/// Shows one call; then serves, or ends.
pub(crate) async fn run(settings: Settings, arguments: &DemoArguments, json: bool) -> Result<Report, Failure> {
    let mut signals = StopSignals::listen()?;
    let metrics = Metrics::collect()?;
    let settings = own_folder(settings, arguments.once);
    let listeners = Listeners::bind(&settings, Role::All)?;
    let (workbench, _) = Workbench::create(settings).await?;
    let service = Service::start(workbench, Role::All, listeners, &metrics).await?;
    let key = sample::prepare(&service).await?;
    let tour = tour::walk(&service, &key).await?;
    if arguments.once {
        let report = Report::of(&tour, tour.text(&service))?;
        service.stop().await;
        return Ok(report);
    }
    print(&service.ready_line(Some(json!({"id": key.id, "secret": key.plain.expose()}))));
    service.show_link_for_first_owner().await?;
    if !json {
        note(&tour.text(&service));
        note(&format!("\nServing on {} until Ctrl-C; try the call above yourself.", service.links.api));
    }
    service.until_told(&mut signals).await?;
    Ok(Report::silent())
}

/// The settings of a demo: whatever they say about a database, a secret or a provider belongs to the real service, and stays untouched.
fn own_folder(mut settings: Settings, once: bool) -> Settings {
    settings.data.dir = settings.data.dir.join("demo");
    settings.database.url = DatabaseUrl::Sqlite(settings.data.dir.join("xiaoyi.db"));
    settings.secret.key = None;
    settings.secret.key_file = None::<PathBuf>;
    settings.redis.url = None;
    settings.openai.api_key = None;
    settings.public.url = None;
    settings.admin.url = None;
    if once {
        // Any free port, so that it works beside a running service.
        for listen in [&mut settings.api.listen, &mut settings.admin.listen, &mut settings.metrics.listen] {
            listen.set_port(0);
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use shared::config::Sources;

    use super::*;

    #[test]
    fn a_demo_never_touches_the_real_service() {
        let environment = [
            ("DATABASE_URL", "sqlite:///srv/real.db"),
            ("REDIS_URL", "redis://127.0.0.1"),
            ("XIAOYI_SECRET_KEY", "c2VjcmV0"),
            ("XIAOYI_DATA_DIR", "/srv/data"),
            ("OPENAI_API_KEY", "sk-real"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
        let settings = own_folder(settings, true);
        assert_eq!(settings.database.url.to_string(), "sqlite:///srv/data/demo/xiaoyi.db");
        assert_eq!(settings.secret_key_path(), PathBuf::from("/srv/data/demo/secret.key"));
        assert!(settings.secret.key.is_none() && settings.redis.url.is_none() && settings.openai.api_key.is_none());
        assert_eq!(settings.api.listen.port(), 0);
    }
}
