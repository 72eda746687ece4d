//! Why the settings cannot be used. Each is one line that names the setting as the person wrote it.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::value::Value;
use figment::{Figment, Profile};

use super::names::is_secret;
use super::value::{one_line, shown};

/// A setting, or the file of settings, that stops the start. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file that `XIAOYI_CONFIG` names cannot be read.
    #[error("{}: the settings file (XIAOYI_CONFIG) cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: the settings file is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The first line that cannot be read, counted from 1.
        line: usize,
        /// What is wrong there, without quoting the line.
        message: String,
    },
    /// There is no setting of this name.
    #[error("{place}: no such setting; {hint}")]
    Unknown {
        /// The name as it was written, and the file if it was in one.
        place: String,
        /// What to do about it.
        hint: String,
    },
    /// The value is not allowed.
    #[error("{place}: {allowed}")]
    Invalid {
        /// The name as it was written with its value (unless secret), and the file if it was in one.
        place: String,
        /// What would be allowed.
        allowed: String,
    },
}

impl SettingsError {
    pub(super) fn unknown(name: &str, file: Option<&Path>, hint: String) -> Self {
        Self::Unknown { place: one_line(name) + &in_file(file), hint }
    }

    /// Puts the name, the value and the origin of the setting to what figment found wrong with it.
    pub(super) fn from_figment(figment: &Figment, error: figment::Error) -> Self {
        let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        let value = figment.extract::<Value>().ok().and_then(|all| value_at(&all, &path).cloned());
        let metadata = value.as_ref().and_then(|value| figment.get_metadata(value.tag())).or(error.metadata.as_ref());
        let file = metadata.and_then(|metadata| metadata.source.as_ref()).and_then(|source| source.file_path());
        let name = match metadata {
            Some(metadata) => metadata.interpolate(&Profile::Default, &path),
            None => path.join("."),
        };
        let allowed = match &error.kind {
            // Behind a semicolon the readers quote the item of a list that they refuse.
            Kind::Message(allowed) if value.as_ref().is_some_and(holds_credentials) => {
                allowed.split(';').next().unwrap_or_default().to_owned()
            }
            Kind::Message(allowed) => allowed.clone(),
            Kind::UnknownField(_, known) => {
                let hint = format!(
                    "one model has {}; a model name with a dot is quoted: [model.\"gpt-3.5\"]",
                    known.join(", ")
                );
                return Self::unknown(&name, file, hint);
            }
            Kind::MissingField(field) => format!("has no default for {field}"),
            // Every single value is read by this module's own readers, which say what is allowed.
            _ => "must be a section of settings".to_owned(),
        };
        Self::Invalid { place: place(&path.join("."), &name, value.as_ref(), file), allowed }
    }
}

/// `XIAOYI_QUEUE_CAPACITY=0`, `queue.capacity = 0 in /etc/xiaoyi.toml`, `OPENAI_API_KEY (value not shown)`.
pub(super) fn place(setting: &str, name: &str, value: Option<&Value>, file: Option<&Path>) -> String {
    let value = match value {
        None => String::new(),
        Some(value) if is_secret(setting) || holds_credentials(value) => " (value not shown)".to_owned(),
        Some(value) if file.is_some() => format!(" = {}", shown(value)),
        Some(value) => format!("={}", shown(value)),
    };
    format!("{}{value}{}", one_line(name), in_file(file))
}

fn in_file(file: Option<&Path>) -> String {
    file.map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

/// A URL with a user or a password, wherever it was put.
fn holds_credentials(value: &Value) -> bool {
    let text = shown(value);
    text.contains("://") && text.contains('@')
}

/// Model names contain dots, so figment's own search by a dotted path would miss them.
fn value_at<'value>(value: &'value Value, path: &[&str]) -> Option<&'value Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Dict(_, settings) => settings.get(*key),
        _ => None,
    })
}
