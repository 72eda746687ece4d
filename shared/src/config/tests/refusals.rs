//! What stops the start, and in which words; and that no secret is among them.

use rstest::rstest;

use super::*;

#[rstest]
#[case("XIAOYI_QUEUE_CAPACITY", "0", "XIAOYI_QUEUE_CAPACITY=0: must be 1 to 1000000")]
#[case("XIAOYI_QUEUE_CAPACITY", "1000001", "XIAOYI_QUEUE_CAPACITY=1000001: must be 1 to 1000000")]
#[case("XIAOYI_QUEUE_CAPACITY", "1e3", "XIAOYI_QUEUE_CAPACITY=1e3: must be a whole number, 1 to 1000000")]
#[case("XIAOYI_QUEUE_CAPACITY", "a\nb", "XIAOYI_QUEUE_CAPACITY=a b: must be a whole number, 1 to 1000000")]
#[case("XIAOYI_LEDGER_BATCH", "257", "XIAOYI_LEDGER_BATCH=257: must be 1 to 256")]
#[case("XIAOYI_HTTP_WORKERS", "-1", "XIAOYI_HTTP_WORKERS=-1: must be 0 to 1024")]
#[case(
    "XIAOYI_API_LISTEN",
    "localhost:80",
    "XIAOYI_API_LISTEN=localhost:80: must be an IP address and a port, such as 127.0.0.1:8080"
)]
#[case(
    "XIAOYI_PUBLIC_URL",
    "example.com",
    "XIAOYI_PUBLIC_URL=example.com: must be a URL that begins with http:// or https://"
)]
#[case(
    "XIAOYI_TRUSTED_PROXIES",
    "10.0.0.0/8,proxy",
    "XIAOYI_TRUSTED_PROXIES=10.0.0.0/8,proxy: must be addresses and networks with commas between; \"proxy\" is no address such as 10.0.0.1 and no network such as 10.0.0.0/8 or fd00::/8"
)]
#[case("XIAOYI_CURRENCY", "yuan", "XIAOYI_CURRENCY=yuan: must be three capital letters, such as CNY")]
#[case("XIAOYI_CURRENCY", "元元元", "XIAOYI_CURRENCY=元元元: must be three capital letters, such as CNY")]
#[case("XIAOYI_TIMEZONE", "Peking", "XIAOYI_TIMEZONE=Peking: must be an IANA time zone, such as Asia/Shanghai or UTC")]
#[case(
    "XIAOYI_OPENAI_MODELS",
    "gpt-4",
    "XIAOYI_OPENAI_MODELS=gpt-4: must be public=upstream pairs with commas between; \"gpt-4\" is none"
)]
#[case(
    "XIAOYI_OPENAI_MODELS",
    "a=b,a=c",
    "XIAOYI_OPENAI_MODELS=a=b,a=c: must name \"a\" once; it is also mapped to \"b\""
)]
#[case(
    "XIAOYI_MODELS_IMAGE_SIZES",
    "1024",
    "XIAOYI_MODELS_IMAGE_SIZES=1024: must be sizes such as 1024x1024 with commas between; \"1024\" is none"
)]
#[case("XIAOYI_MODELS_IMAGE_SIZES", ",", "XIAOYI_MODELS_IMAGE_SIZES=,: must name at least one")]
#[case(
    "XIAOYI_PRICE_PROMPT",
    "-1.00",
    "XIAOYI_PRICE_PROMPT=-1.00: must be an amount in quotes with at most 9 places, such as \"10.00\""
)]
#[case(
    "XIAOYI_PRICE_PROMPT",
    "ten",
    "XIAOYI_PRICE_PROMPT=ten: must be an amount in quotes with at most 9 places, such as \"10.00\""
)]
#[case("XIAOYI_LOG_FORMAT", "xml", "XIAOYI_LOG_FORMAT=xml: must be auto, pretty or json")]
#[case("XIAOYI_DATA_DIR", "a\u{FFFD}", "XIAOYI_DATA_DIR=a\u{FFFD}: must be text in UTF-8")]
#[case(
    "DATABASE_URL",
    "mysql://db",
    "DATABASE_URL (value not shown): must begin with sqlite:// or postgres://, such as sqlite://data/xiaoyi.db"
)]
#[case(
    "XIAOYI_DATABASE_URL",
    "sqlite://",
    "XIAOYI_DATABASE_URL (value not shown): must name a file after sqlite://, such as sqlite://data/xiaoyi.db"
)]
#[case("REDIS_URL", "cache:6379", "REDIS_URL (value not shown): must begin with redis:// or rediss://")]
#[case(
    "OPENAI_BASE_URL",
    "https://me:pw@host/v1",
    "OPENAI_BASE_URL (value not shown): must not hold a user name or a password"
)]
#[case("XIAOYI_API_LISTN", "x", "XIAOYI_API_LISTN: no such setting; did you mean XIAOYI_API_LISTEN?")]
#[case("XIAOYI_NOTHING_LIKE_IT", "x", "XIAOYI_NOTHING_LIKE_IT: no such setting; remove it or correct its name")]
#[case(
    "XIAOYI_MODEL_GPT",
    "x",
    "XIAOYI_MODEL_GPT: no such setting; what holds for one model can only be set in the file: [model.\"NAME\"]"
)]
fn a_bad_variable_stops_the_start(#[case] variable: &str, #[case] value: &str, #[case] message: &str) {
    assert_eq!(from_environment(&[(variable, value)]).unwrap_err().to_string(), message);
}

#[rstest]
#[case("queue.capacity = 0", "queue.capacity = 0 in FILE: must be 1 to 1000000")]
#[case("[queue]\ncapacity = 1.5", "queue.capacity = 1.5 in FILE: must be a whole number, 1 to 1000000")]
#[case("[queue]\ncapacity = [1, 2]", "queue.capacity = [1, 2] in FILE: must be a single value")]
#[case("[queue]\ncapacities = 1", "queue.capacities in FILE: no such setting; did you mean queue.capacity?")]
#[case("quue = 1", "quue in FILE: no such setting; remove it or correct its name")]
#[case("queue = 1", "queue in FILE: must be a section of settings: [queue]")]
#[case("model = 1", "model in FILE: must be a section of settings: [model]")]
#[case("[currency]\na = 1", "currency = a section in FILE: must be a single value")]
#[case(
    "price.prompt = 10.0",
    "price.prompt = 10.0 in FILE: must be an amount in quotes with at most 9 places, such as \"10.00\""
)]
#[case(
    "[trusted.proxies]\na = 1",
    "trusted.proxies = a section in FILE: must be a list: text with commas, or an array"
)]
#[case("[model.\"gpt-3.5\"]\nmax_output = 0", "model.\"gpt-3.5\".max_output = 0 in FILE: must be 1 to 10000000")]
#[case("model.gpt-4 = 1", "model.gpt-4 = 1 in FILE: must be a section of settings")]
#[case(
    "[model.gpt-3.5]\nmax_output = 1",
    "model.gpt-3.5 in FILE: no such setting; one model has max_output, hold_factor, part_tokens, image_sizes; a model name with a dot is quoted: [model.\"gpt-3.5\"]"
)]
#[case("\n\n[queue]\ncapacity 1", "FILE, line 4: the settings file is not valid TOML: expected `.`, `=`")]
fn a_bad_file_stops_the_start(#[case] text: &str, #[case] message: &str) {
    assert_eq!(from_file(text).unwrap_err(), message);
}

#[test]
fn a_missing_file_stops_the_start() {
    let sources = Sources { file: Some("/nowhere/xiaoyi.toml".into()), ..Sources::default() };
    let message = Settings::load(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("/nowhere/xiaoyi.toml: the settings file (XIAOYI_CONFIG) cannot be read: "),
        "{message}"
    );
}

#[test]
fn a_bad_flag_stops_the_start() {
    let with = |setting: &'static str| {
        let sources = Sources { flags: vec![(setting, "x".to_owned())], ..Sources::default() };
        Settings::load(&sources).unwrap_err().to_string()
    };
    assert!(with("api.listen").starts_with("--api-listen=x: must be an IP address"));
    assert_eq!(with("api.listne"), "--api-listne: no such setting; did you mean --api-listen?");
}

#[rstest]
#[case("DATABASE_URL", "oops://u:SECRET@db")]
#[case("DATABASE_URL", "sqlite://SECRET?")]
#[case("REDIS_URL", "http://SECRET")]
#[case("XIAOYI_REDIS_URL", "SECRET")]
#[case("XIAOYI_MIGRATE_DATABASE_URL", "SECRET")]
#[case("XIAOYI_PUBLIC_URL", "https://u:SECRET@host")]
#[case("OPENAI_BASE_URL", "https://SECRET@host")]
#[case("XIAOYI_SECRET_KEY", "SECRET\u{FFFD}")]
#[case("XIAOYI_SECRET_KYE", "SECRET")]
#[case("XIAOYI_TRUSTED_PROXIES", "redis://u:SECRET@cache")]
#[case("XIAOYI_OPENAI_MODELS", "https://u:SECRET@host")]
fn a_bad_variable_never_shows_its_secret(#[case] variable: &str, #[case] value: &str) {
    let error = from_environment(&[(variable, &value.replace("SECRET", SECRET))]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}

#[rstest]
#[case("secret.key = SECRET")]
#[case("secret.key = \"SECRET")]
#[case("secret.key = \"\\SECRET\"")]
#[case("[secret]\nkey: SECRET")]
#[case("[secret]\nkey SECRET")]
#[case("SECRET==")]
#[case("[redis.url]\na = \"SECRET\"")]
#[case("[redis]\nurl = [\"SECRET\"]")]
#[case("[database]\nurl = [\"SECRET\"]")]
#[case("[secret]\nkye = \"SECRET\"")]
#[case("secret = \"SECRET\"")]
#[case("openai = \"SECRET\"")]
#[case("api.listen = \"redis://u:SECRET@cache\"")]
fn a_bad_file_never_shows_its_secret(#[case] text: &str) {
    let message = from_file(&text.replace("SECRET", SECRET)).unwrap_err();
    assert!(!message.contains(SECRET), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}
