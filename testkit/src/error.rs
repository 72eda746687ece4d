//! Why a server under test could not be started or did not do what it was told.

use std::path::PathBuf;

/// A failure, in words for whoever runs the tests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that a Debian package brings is not there.
    #[error("{program} is missing: install Debian's package {package} (apt-get install {package})")]
    Missing {
        /// What was looked for.
        program: String,
        /// The package that has it.
        package: &'static str,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A helping program ended badly.
    #[error("{what} failed: {output}")]
    Failed {
        /// What was tried.
        what: String,
        /// What the program said.
        output: String,
    },
    /// A server did not become ready.
    #[error("{what} was not ready within {seconds} s; the end of {}: {tail}", log.display())]
    NotReady {
        /// Which server.
        what: String,
        /// How long it was given.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of that file.
        tail: String,
    },
    /// What is asked for needs a running server.
    #[error("{0} is not running")]
    NotRunning(String),
}

impl Error {
    /// Wraps what the operating system said.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
