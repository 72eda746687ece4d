//! The names of a setting: `queue.capacity` in the file, `XIAOYI_QUEUE_CAPACITY` in the environment,
//! `--queue-capacity` as a flag.

/// The variable that names the file of settings; it is no setting itself.
pub(super) const FILE_VARIABLE: &str = "XIAOYI_CONFIG";

/// Variables of ours begin with this.
pub(super) const PREFIX: &str = "XIAOYI_";

/// Names by which other programs know the same thing.
pub(super) const WELL_KNOWN: [(&str, &str); 7] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_PASSWORD_FILE", "database.password_file"),
    ("REDIS_URL", "redis.url"),
    ("REDIS_PASSWORD_FILE", "redis.password_file"),
    ("OPENAI_API_KEY", "openai.api_key"),
    ("OPENAI_BASE_URL", "openai.base_url"),
    ("RUST_LOG", "log.filter"),
];

/// Settings whose value appears in no message.
const SECRET: [&str; 5] = ["secret.key", "openai.api_key", "redis.url", "database.url", "migrate.database_url"];

/// Whether the value of `setting` must not be shown.
pub(super) fn is_secret(setting: &str) -> bool {
    // A value may also have been put one level too deep.
    SECRET.iter().any(|secret| setting == *secret || setting.starts_with(&format!("{secret}.")))
}

/// `XIAOYI_QUEUE_TENANT_SHARE` is `queue.tenant_share`. `None` when the variable is not one of ours.
pub(super) fn setting_of_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?;
    Some(name.to_ascii_lowercase().replacen('_', ".", 1))
}

/// `queue.tenant_share` is `XIAOYI_QUEUE_TENANT_SHARE`.
pub(super) fn variable_of_setting(setting: &str) -> String {
    format!("{PREFIX}{}", setting.replace('.', "_").to_ascii_uppercase())
}

/// `queue.tenant_share` is `--queue-tenant-share`.
pub(super) fn flag_of_setting(setting: &str) -> String {
    format!("--{}", setting.replace(['.', '_'], "-"))
}

/// A path of keys as it is written in TOML: `model."gpt-3.5".max_output`.
pub(super) fn toml_path(keys: &[&str]) -> String {
    let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let quoted: Vec<String> =
        keys.iter().map(|key| if bare(key) { (*key).to_owned() } else { format!("{key:?}") }).collect();
    quoted.join(".")
}

/// The known name that `name` was probably meant to be.
pub(super) fn nearest<'known>(name: &str, known: impl Iterator<Item = &'known str>) -> Option<&'known str> {
    // Comparing costs the product of the lengths, and a far longer name is none of ours anyway.
    if name.chars().count() > 64 {
        return None;
    }
    let (distance, nearest) = known.map(|candidate| (edits(name, candidate), candidate)).min()?;
    (distance <= 3).then_some(nearest)
}

/// The fewest letters to insert, delete or replace to get from one text to the other (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, left) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (right, cell) in to.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("queue.tenant_share", "XIAOYI_QUEUE_TENANT_SHARE", "--queue-tenant-share")]
    #[case("api.listen", "XIAOYI_API_LISTEN", "--api-listen")]
    #[case("currency", "XIAOYI_CURRENCY", "--currency")]
    fn names_of_a_setting(#[case] setting: &str, #[case] variable: &str, #[case] flag: &str) {
        assert_eq!(variable_of_setting(setting), variable);
        assert_eq!(setting_of_variable(variable).unwrap(), setting);
        assert_eq!(flag_of_setting(setting), flag);
    }

    #[rstest]
    #[case("", "abc", 3)]
    #[case("abc", "", 3)]
    #[case("abc", "abc", 0)]
    #[case("kitten", "sitting", 3)]
    #[case("listn", "listen", 1)]
    fn counts_edits(#[case] from: &str, #[case] to: &str, #[case] expected: usize) {
        assert_eq!(edits(from, to), expected);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = || ["api.listen", "admin.listen"].into_iter();
        assert_eq!(nearest("api.listn", known()), Some("api.listen"));
        assert_eq!(nearest("queue.size", known()), None);
    }

    #[test]
    fn quotes_what_toml_must_quote() {
        assert_eq!(toml_path(&["model", "gpt-3.5", "max_output"]), r#"model."gpt-3.5".max_output"#);
        assert_eq!(toml_path(&["model", "gpt-4"]), "model.gpt-4");
    }
}
