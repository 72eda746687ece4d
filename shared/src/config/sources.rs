//! Where settings come from, and which source wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::error::{SettingsError, place};
use super::names::{
    FILE_VARIABLE, PREFIX, WELL_KNOWN, flag_of_setting, nearest, setting_of_variable, toml_path, variable_of_setting,
};

/// The built-in defaults, which are also the documentation of every setting.
pub(super) const DEFAULTS: &str = include_str!("default.toml");

const DEFAULTS_NAME: &str = "the built-in defaults";

/// What the settings are made from. Nothing here is read from the process, so tests need not touch it.
///
/// It has no `Debug`, since the environment holds secrets.
#[derive(Default)]
pub struct Sources<'a> {
    /// The TOML file, if there is one; it has to exist then.
    pub file: Option<PathBuf>,
    /// The environment, as names and values. Variables of other programs are ignored.
    pub environment: Vec<(String, String)>,
    /// Flags of the command, as settings and values: `("api.listen", "127.0.0.1:0")`.
    pub flags: Vec<(&'a str, String)>,
}

impl<'a> Sources<'a> {
    /// The environment of this process, the file that its `XIAOYI_CONFIG` names, and the given flags.
    /// The only place in the workspace that reads the environment for settings.
    pub fn from_process(flags: Vec<(&'a str, String)>) -> Self {
        // A value that is not Unicode keeps a replacement character, which `layers` refuses by name.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| name.starts_with(PREFIX) || WELL_KNOWN.iter().any(|(known, _)| name == known))
            .collect();
        Self::from_environment(environment, flags)
    }

    fn from_environment(environment: Vec<(String, String)>, flags: Vec<(&'a str, String)>) -> Self {
        let file = environment
            .iter()
            .find(|(name, value)| name == FILE_VARIABLE && !value.trim().is_empty())
            .map(|(_, path)| PathBuf::from(path));
        Self { file, environment, flags }
    }

    /// All sources over one another, the strongest last. Every name in them is known.
    pub(super) fn layers(&self) -> Result<Figment, SettingsError> {
        let defaults = parse_toml(Path::new("default.toml"), DEFAULTS)?;
        let known = names_in(&defaults);
        let mut layers = vec![Layer::new(DEFAULTS_NAME, defaults)];
        if let Some(path) = &self.file {
            layers.push(file_layer(path, &known)?);
        }
        layers.push(self.well_known_variables()?);
        layers.push(self.own_variables(&known)?);
        layers.push(self.flag_layer(&known)?);
        Ok(layers.into_iter().fold(Figment::new(), Figment::merge))
    }

    fn well_known_variables(&self) -> Result<Layer, SettingsError> {
        let mut layer = Layer::new("environment", Dict::new());
        for (variable, value) in &self.environment {
            if let Some((_, setting)) = WELL_KNOWN.iter().find(|(known, _)| known == variable) {
                layer.put_variable(variable, setting, value)?;
            }
        }
        Ok(layer)
    }

    fn own_variables(&self, known: &[String]) -> Result<Layer, SettingsError> {
        let mut layer = Layer::new("environment", Dict::new());
        for (variable, value) in &self.environment {
            if variable == FILE_VARIABLE {
                continue;
            }
            let Some(setting) = setting_of_variable(variable) else { continue };
            if !known.contains(&setting) {
                return Err(unknown(variable, &setting, None, known, variable_of_setting));
            }
            layer.put_variable(variable, &setting, value)?;
        }
        Ok(layer)
    }

    fn flag_layer(&self, known: &[String]) -> Result<Layer, SettingsError> {
        let mut layer = Layer::new("flags", Dict::new());
        for (setting, value) in &self.flags {
            let flag = flag_of_setting(setting);
            if !known.iter().any(|name| name == setting) {
                return Err(unknown(&flag, setting, None, known, flag_of_setting));
            }
            layer.put(&flag, setting, value);
        }
        Ok(layer)
    }
}

/// Whether nobody gave `setting`, so that the built-in default counts.
pub(super) fn is_default(figment: &Figment, setting: &str) -> bool {
    figment.find_metadata(setting).is_none_or(|metadata| metadata.name == DEFAULTS_NAME)
}

/// Every setting of the built-in defaults, as `section.name`.
pub(super) fn names_in(defaults: &Dict) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in defaults {
        match value {
            Value::Dict(_, section) => names.extend(section.keys().map(|name| format!("{key}.{name}"))),
            _ => names.push(key.clone()),
        }
    }
    names
}

/// Reads TOML; `path` is for the message only.
pub(super) fn parse_toml(path: &Path, text: &str) -> Result<Dict, SettingsError> {
    Toml::from_str::<Dict>(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        // Only the parser's message: its full text quotes the line, which may hold a secret.
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        SettingsError::Syntax { path: path.to_owned(), line, message }
    })
}

fn file_layer(path: &Path, known: &[String]) -> Result<Layer, SettingsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    let settings = parse_toml(path, &text)?;
    refuse_unknown_names(&settings, path, known)?;
    let mut layer = Layer::new("file", settings);
    layer.file = Some(path.to_owned());
    Ok(layer)
}

fn refuse_unknown_names(settings: &Dict, path: &Path, known: &[String]) -> Result<(), SettingsError> {
    for (key, value) in settings {
        let is_section = known.iter().any(|name| name.split_once('.').is_some_and(|(section, _)| section == key));
        match value {
            // The names in it are the models'; what one model may have is checked when it is read.
            Value::Dict(..) if key == "model" => {}
            Value::Dict(_, section) if is_section => {
                for name in section.keys() {
                    let setting = format!("{key}.{name}");
                    if !known.contains(&setting) {
                        return Err(unknown(&toml_path(&[key, name]), &setting, Some(path), known, str::to_owned));
                    }
                }
            }
            _ if is_section || key == "model" => {
                let allowed = format!("must be a section of settings: [{key}]");
                let place = place(key, key, None, Some(path));
                return Err(SettingsError::Invalid { place, allowed });
            }
            _ if known.contains(key) => {}
            _ => return Err(unknown(&toml_path(&[key]), key, Some(path), known, str::to_owned)),
        }
    }
    Ok(())
}

/// `written_as` turns a known setting into the kind of name that the person used.
fn unknown(
    written: &str,
    setting: &str,
    file: Option<&Path>,
    known: &[String],
    written_as: impl Fn(&str) -> String,
) -> SettingsError {
    let hint = match nearest(setting, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {}?", written_as(meant)),
        None if setting.starts_with("model.") => {
            "what holds for one model can only be set in the file: [model.\"NAME\"]".to_owned()
        }
        None => "remove it or correct its name".to_owned(),
    };
    SettingsError::unknown(written, file, hint)
}

/// One source. It remembers how the person wrote each name, for messages.
struct Layer {
    name: &'static str,
    file: Option<PathBuf>,
    settings: Dict,
    written: BTreeMap<String, String>,
}

impl Layer {
    fn new(name: &'static str, settings: Dict) -> Self {
        Self { name, file: None, settings, written: BTreeMap::new() }
    }

    /// Takes a variable, unless it is empty, which is as good as unset.
    fn put_variable(&mut self, variable: &str, setting: &str, value: &str) -> Result<(), SettingsError> {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            let place = place(setting, variable, Some(&Value::from(value)), None);
            return Err(SettingsError::Invalid { place, allowed: "must be text in UTF-8".to_owned() });
        }
        if !value.trim().is_empty() {
            self.put(variable, setting, value);
        }
        Ok(())
    }

    /// Values stay text, and whoever reads them makes numbers of them: figment's guess at the type would
    /// turn a secret of digits or an amount into a number and lose zeros.
    fn put(&mut self, written: &str, setting: &str, value: &str) {
        self.written.insert(setting.to_owned(), written.to_owned());
        let Some((section, name)) = setting.split_once('.') else {
            self.settings.insert(setting.to_owned(), Value::from(value));
            return;
        };
        let section = self.settings.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, settings) = section {
            settings.insert(name.to_owned(), Value::from(value));
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let written = self.written.clone();
        let metadata = Metadata::named(self.name).interpolater(move |_: &Profile, keys: &[&str]| {
            written.get(&keys.join(".")).cloned().unwrap_or_else(|| toml_path(keys))
        });
        match &self.file {
            Some(path) => metadata.source(Source::File(path.clone())),
            None => metadata,
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_the_variable_names() {
        let named = |value: &str| {
            Sources::from_environment(vec![(FILE_VARIABLE.to_owned(), value.to_owned())], Vec::new()).file
        };
        assert_eq!(named("/etc/xiaoyi.toml"), Some(PathBuf::from("/etc/xiaoyi.toml")));
        assert_eq!(named(""), None);
    }

    #[test]
    fn the_process_brings_only_variables_that_concern_it() {
        let sources = Sources::from_process(Vec::new());
        assert!(!sources.environment.iter().any(|(name, _)| name == "PATH"));
    }
}
