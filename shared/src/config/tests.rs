//! The settings as a whole. What only one kind of value can do wrong is tested beside that kind.

mod documentation;
mod refusals;

use std::path::Path;

use rstest::rstest;
use secrecy::ExposeSecret;

use super::names::variable_of_setting;
use super::sources::{DEFAULTS, names_in, parse_toml};
use super::*;

const SECRET: &str = "hunter2-Zm9vYmFy";

fn from_environment(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::load(&Sources { environment, ..Sources::default() })
}

/// Loads `text` as the file, and gives the message with the file's path as `FILE`.
fn from_file(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoyi.toml");
    std::fs::write(&path, text).unwrap();
    Settings::load(&Sources { file: Some(path.clone()), ..Sources::default() })
        .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

fn described(settings: &Settings, name: &str) -> String {
    settings.describe().into_iter().find(|(described, _)| *described == name).unwrap().1
}

fn default_names() -> Vec<String> {
    names_in(&parse_toml(Path::new("default.toml"), DEFAULTS).unwrap())
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = from_environment(&[]).unwrap();
    let expected = [
        ("database.url", "sqlite://data/xiaoyi.db"),
        ("redis.url", "(unset)"),
        ("api.listen", "127.0.0.1:8080"),
        ("admin.listen", "127.0.0.1:8081"),
        ("metrics.listen", "127.0.0.1:8082"),
        ("public.url", "(unset)"),
        ("trusted.proxies", ""),
        ("secret.key", "(unset)"),
        ("currency", "CNY"),
        ("timezone", "Asia/Shanghai"),
        ("openai.api_key", "(unset)"),
        (
            "openai.models",
            "dall-e-3=dall-e-3,gpt-3.5=gpt-4o-mini,gpt-4=gpt-4o,omni-moderation-latest=omni-moderation-latest,\
             text-davinci-003=gpt-3.5-turbo-instruct,text-embedding-3-large=text-embedding-3-large,\
             text-embedding-3-small=text-embedding-3-small,text-embedding-ada-002=text-embedding-ada-002",
        ),
        ("price.prompt", "10.00"),
        ("price.completion", "30.00"),
        ("price.image", "0.30"),
        ("deadline.total_s", "600"),
        ("deadline.first_text_s", "120"),
        ("deadline.between_chunks_s", "60"),
        ("limits.body_bytes", "10485760"),
        ("limits.keyed_body_bytes", "1048576"),
        ("queue.large_bytes", "268435456"),
        ("limits.bodies_bytes", "134217728"),
        ("models.image_sizes", "256x256,512x512,1024x1024"),
        ("log.filter", "info"),
        ("log.format", "auto"),
    ];
    for (name, value) in expected {
        assert_eq!(described(&settings, name), value, "{name}");
    }
    assert_eq!(settings.secret_key_path(), Path::new("data/secret.key"));
}

#[rstest]
#[case("DATABASE_URL", "sqlite:///srv/x.db", "database.url", "sqlite:///srv/x.db")]
#[case("DATABASE_URL", "postgres://u:p@db/x", "database.url", "postgres://db:5432/x")]
#[case("REDIS_URL", "rediss://u:p@cache", "redis.url", "(set)")]
#[case("XIAOYI_MIGRATE_DATABASE_URL", "postgres://u:p@db/x", "migrate.database_url", "(set)")]
#[case("XIAOYI_API_LISTEN", "0.0.0.0:0", "api.listen", "0.0.0.0:0")]
#[case("XIAOYI_ADMIN_LISTEN", "[::1]:9", "admin.listen", "[::1]:9")]
#[case("XIAOYI_METRICS_LISTEN", "127.0.0.1:0", "metrics.listen", "127.0.0.1:0")]
#[case("XIAOYI_PUBLIC_URL", "https://api.example.com/", "public.url", "https://api.example.com")]
#[case("XIAOYI_ADMIN_URL", "https://panel.example.com", "admin.url", "https://panel.example.com")]
#[case("XIAOYI_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "trusted.proxies", "10.0.0.0/8,::1/128")]
#[case("XIAOYI_DATA_DIR", "/srv/xiaoyi", "data.dir", "/srv/xiaoyi")]
#[case("XIAOYI_SECRET_KEY", "bmV3,b2xk", "secret.key", "(set)")]
#[case("XIAOYI_SECRET_KEY_FILE", "/run/secrets/key", "secret.key_file", "/run/secrets/key")]
#[case("XIAOYI_CURRENCY", "USD", "currency", "USD")]
#[case("XIAOYI_TIMEZONE", "UTC", "timezone", "UTC")]
#[case("OPENAI_API_KEY", "sk-1", "openai.api_key", "(set)")]
#[case("OPENAI_BASE_URL", "http://localhost:1/v1", "openai.base_url", "http://localhost:1/v1")]
#[case("XIAOYI_OPENAI_MODELS", "gpt-4=a=b, x = y", "openai.models", "gpt-4=a=b,x=y")]
#[case("XIAOYI_PRICE_PROMPT", "3.5", "price.prompt", "3.50")]
#[case("XIAOYI_PRICE_IMAGE", "1", "price.image", "1.00")]
#[case("RUST_LOG", "debug", "log.filter", "debug")]
#[case("XIAOYI_LOG_FORMAT", "json", "log.format", "json")]
#[case("XIAOYI_QUEUE_TENANT_SHARE", " 7 ", "queue.tenant_share", "7")]
fn a_variable_sets(#[case] variable: &str, #[case] value: &str, #[case] name: &str, #[case] expected: &str) {
    let settings = from_environment(&[(variable, value)]).unwrap();
    assert_eq!(described(&settings, name), expected);
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("xiaoyi.toml");
    std::fs::write(&path, "[queue]\ncapacity = 1\ntenant_share = 1\nframes = 1\n").unwrap();
    let variable = |name: &str| (name.to_owned(), "2".to_owned());
    let settings = Settings::load(&Sources {
        file: Some(path),
        environment: vec![variable("XIAOYI_QUEUE_CAPACITY"), variable("XIAOYI_QUEUE_TENANT_SHARE")],
        flags: vec![("queue.capacity", "3".to_owned())],
    })
    .unwrap();
    assert_eq!((settings.queue.capacity, settings.queue.tenant_share, settings.queue.frames), (3, 2, 1));
    assert_eq!(settings.worker.concurrency, 256);
}

#[test]
fn our_own_variable_goes_before_the_well_known_one() {
    let settings = from_environment(&[("XIAOYI_LOG_FILTER", "warn"), ("RUST_LOG", "trace")]).unwrap();
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let empty: Vec<(String, String)> =
        default_names().iter().map(|name| (variable_of_setting(name), " ".to_owned())).collect();
    let settings = Settings::load(&Sources { environment: empty, ..Sources::default() }).unwrap();
    assert_eq!(settings.describe(), from_environment(&[]).unwrap().describe());
}

#[rstest]
#[case(&[], "data/xiaoyi.db")]
#[case(&[("XIAOYI_DATA_DIR", "/srv")], "/srv/xiaoyi.db")]
#[case(&[("XIAOYI_DATA_DIR", "/srv"), ("DATABASE_URL", "")], "/srv/xiaoyi.db")]
#[case(&[("XIAOYI_DATA_DIR", "/srv"), ("DATABASE_URL", "sqlite://data/xiaoyi.db")], "data/xiaoyi.db")]
#[case(&[("XIAOYI_DATA_DIR", "/srv"), ("XIAOYI_DATABASE_URL", "sqlite://y.db")], "y.db")]
fn the_database_follows_the_data_folder_unless_it_is_given(
    #[case] environment: &[(&str, &str)],
    #[case] expected: &str,
) {
    let DatabaseUrl::Sqlite(path) = from_environment(environment).unwrap().database.url else {
        panic!("expected SQLite")
    };
    assert_eq!(path, Path::new(expected));
}

#[test]
fn other_programs_variables_are_ignored() {
    from_environment(&[("PATH", "/bin"), ("XIAOYIN", "1"), ("XIAOYI_CONFIG", "/nowhere")]).unwrap();
}

#[test]
fn one_model_may_differ() {
    let settings = from_file(
        "[model.\"gpt-3.5\"]\nmax_output = 8192\n[model.\"dall-e-3\"]\nhold_factor = 3\npart_tokens = 0\nimage_sizes = [\"1024x1024\", \"1792x1024\"]\n",
    )
    .unwrap();
    let usual = settings.model_limits("gpt-4");
    let sizes = |sizes: &[&str]| sizes.iter().map(|size| (*size).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        usual,
        ModelLimits {
            max_output: 4096,
            hold_factor: 2,
            part_tokens: 300,
            image_sizes: sizes(&["256x256", "512x512", "1024x1024"]),
        }
    );
    assert_eq!(settings.model_limits("gpt-3.5"), ModelLimits { max_output: 8192, ..usual.clone() });
    assert_eq!(
        settings.model_limits("dall-e-3"),
        ModelLimits { hold_factor: 3, part_tokens: 0, image_sizes: sizes(&["1024x1024", "1792x1024"]), ..usual }
    );
    assert_eq!(described(&settings, "model"), "dall-e-3,gpt-3.5");
    assert!(settings.image_sizes().into_iter().eq(["1024x1024", "1792x1024", "256x256", "512x512"]));
}

#[test]
fn a_secret_is_taken_as_it_is() {
    let settings = from_environment(&[("XIAOYI_SECRET_KEY", "007"), ("OPENAI_API_KEY", "1e5")]).unwrap();
    assert_eq!(settings.secret.key.unwrap().expose_secret(), "007");
    assert_eq!(settings.openai.api_key.unwrap().expose_secret(), "1e5");
    let settings = from_file("secret.key = [\"new\", \"old\"]\nopenai.api_key = 12\n").unwrap();
    assert_eq!(settings.secret.key.unwrap().expose_secret(), "new,old");
    assert_eq!(settings.openai.api_key.unwrap().expose_secret(), "12");
}

#[test]
fn good_secrets_show_nowhere() {
    let environment = [
        ("DATABASE_URL", format!("postgres://u:{SECRET}@db/x")),
        ("REDIS_URL", format!("redis://:{SECRET}@cache")),
        ("XIAOYI_MIGRATE_DATABASE_URL", format!("postgres://u:{SECRET}@db/x")),
        ("XIAOYI_SECRET_KEY", SECRET.to_owned()),
        ("OPENAI_API_KEY", SECRET.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let settings = Settings::load(&Sources { environment, ..Sources::default() }).unwrap();
    assert!(!format!("{settings:?} {settings:#?} {:?}", settings.describe()).contains(SECRET));
    let set: Vec<&str> =
        settings.describe().into_iter().filter(|(_, value)| value == "(set)").map(|(name, _)| name).collect();
    assert_eq!(set, ["redis.url", "migrate.database_url", "secret.key", "openai.api_key"]);
}
