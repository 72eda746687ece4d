//! Who is measured, and what has to run for that.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Serialize;
use testkit::{Folder, Postgres, Process, Redis, mortal};

use super::arguments::{Form, Options};
use super::nginx::Nginx;
use super::process::start_announced;
use super::wrk::Load;
use super::xiaoyi::Installation;

/// A key of the same form and length as a real one, for those who read none.
const NO_KEY: &str = "sk-xy000000000000000000000000000000000000000000000000000000000000000";

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Name {
    Provider,
    Nginx,
    Embedded,
    Separate,
}

impl Name {
    /// In a table.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Provider => "provider alone",
            Self::Nginx => "nginx",
            Self::Embedded => "xiaoyi embedded",
            Self::Separate => "xiaoyi on PostgreSQL + Redis",
        }
    }

    /// In a sentence.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Nginx => "nginx",
            Self::Embedded => "embedded",
            Self::Separate => "PostgreSQL + Redis",
        }
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: Name,
    pub(super) load: Load,
    /// The roots of all processes that it consists of, a database included, and the provider not.
    pub(super) processes: Vec<u32>,
}

/// All of them, running. They stop in this order when it is dropped.
#[derive(Debug)]
pub(super) struct Subjects {
    subjects: Vec<Subject>,
    embedded: Option<Installation>,
    separate: Option<(Installation, Postgres, Redis)>,
    _nginx: Nginx,
    _provider: Process,
    folder: Folder,
}

impl Subjects {
    /// Starts everything that is to be measured.
    pub(super) async fn start(options: &Options) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let program = options.xiaoyi.clone().unwrap_or_else(|| own.with_file_name("xiaoyi"));
        let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        let folder = Folder::new("bench")?;
        let place = folder.path();

        let (provider, provider_base) = start_provider(&own, place).await?;
        let nginx = Nginx::start(provider_base.trim_start_matches("http://"), place).await?;
        let mut subjects = vec![
            Subject {
                name: Name::Provider,
                load: Load::new("provider", &provider_base, NO_KEY, place)?,
                processes: vec![provider.pid()],
            },
            Subject {
                name: Name::Nginx,
                load: Load::new("nginx", &nginx.base, NO_KEY, place)?,
                processes: vec![nginx.pid()],
            },
        ];
        let mut embedded = None;
        if options.measures(Form::Embedded) {
            let installation = Installation::embedded(&program, &provider_base, place).await?;
            subjects.push(Subject::of(Name::Embedded, &installation, Vec::new(), place)?);
            embedded = Some(installation);
        }
        let mut separate = None;
        if options.measures(Form::Separate) {
            let (postgres, redis) = (Postgres::start()?, Redis::start()?);
            let urls = (postgres.url(), redis.url());
            let installation = Installation::separate(&program, &provider_base, place, urls.0, urls.1).await?;
            let stores = postgres.pid().into_iter().chain(redis.pid()).collect();
            subjects.push(Subject::of(Name::Separate, &installation, stores, place)?);
            separate = Some((installation, postgres, redis));
        }
        Ok(Self { subjects, embedded, separate, _nginx: nginx, _provider: provider, folder })
    }

    /// All, in the order in which they take turns.
    pub(super) fn all(&self) -> &[Subject] {
        &self.subjects
    }

    /// The installation behind a name that has one.
    pub(super) fn installation(&self, name: Name) -> Option<&Installation> {
        match name {
            Name::Embedded => self.embedded.as_ref(),
            Name::Separate => self.separate.as_ref().map(|(installation, ..)| installation),
            Name::Provider | Name::Nginx => None,
        }
    }

    /// All installations.
    pub(super) fn installations(&self) -> impl Iterator<Item = &Installation> {
        [Name::Embedded, Name::Separate].into_iter().filter_map(|name| self.installation(name))
    }

    /// On what all this was measured, in a line.
    pub(super) fn setting(&self) -> anyhow::Result<String> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut parts = vec![
            format!("{cores} cores for everything, the load included"),
            format!("databases on {}", file_system(self.folder.path())?),
            Nginx::version()?,
        ];
        if let Some((_, postgres, redis)) = &self.separate {
            parts.push(format!("PostgreSQL {}", postgres.query("postgres", "SHOW server_version")?));
            let settings =
                redis.order(&["EVAL", "return redis.call('INFO', 'server'):match('redis_version:(%S+)')", "0"]);
            parts.push(format!("Redis {}", settings.map(|answer| answer.trim_start_matches('+').to_owned())?));
        }
        Ok(parts.join("; "))
    }
}

impl Subject {
    fn of(name: Name, installation: &Installation, stores: Vec<u32>, folder: &Path) -> anyhow::Result<Self> {
        let file = if name == Name::Embedded { "embedded" } else { "separate" };
        let load = Load::new(file, &installation.base, &installation.key, folder)?;
        Ok(Self { name, load, processes: [installation.pids(), stores].concat() })
    }
}

async fn start_provider(own: &PathBuf, folder: &Path) -> anyhow::Result<(Process, String)> {
    let mut command = mortal(own);
    command.arg("provider");
    let (process, ready) = start_announced("provider", command, folder).await?;
    let base = ready["api"].as_str().context("a provider without an address")?;
    Ok((process, base.to_owned()))
}

/// The kind of the file system in which `folder` lies.
fn file_system(folder: &Path) -> anyhow::Result<String> {
    let asked = Command::new("df").arg("--output=fstype").arg(folder).output().context("cannot run df")?;
    ensure!(asked.status.success(), "df: {}", String::from_utf8_lossy(&asked.stderr));
    let said = String::from_utf8_lossy(&asked.stdout);
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_those_who_read_none_is_as_long_as_a_real_one() {
        // `sk-xy`, 12 of the id, 43 of the secret, 8 of the tag.
        assert_eq!(NO_KEY.len(), 5 + 12 + 43 + 8);
    }

    #[test]
    fn a_file_system_has_a_name() {
        assert!(!file_system(Path::new("/proc")).unwrap().is_empty());
    }
}
