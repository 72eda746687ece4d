//! What a command prints: one JSON value for scripts, or text for people. Everything else goes to the standard error output.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// The result of a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    printed: Option<(Value, String)>,
    good: bool,
}

impl Report {
    /// A result with its text for people.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, which is a fault of the program.
    pub(crate) fn of(value: &impl Serialize, text: impl Into<String>) -> Result<Self, Failure> {
        let value = serde_json::to_value(value).map_err(Failure::internal)?;
        Ok(Self { printed: Some((value, text.into())), good: true })
    }

    /// Nothing more is printed: whatever there was to say has been said.
    pub(crate) fn silent() -> Self {
        Self { printed: None, good: true }
    }

    /// The same, ending with status 1 unless `good`: what was looked for was found, and it is bad.
    #[must_use]
    pub(crate) fn good_if(self, good: bool) -> Self {
        Self { good, ..self }
    }
}

/// Prints how a command ended, and gives the exit status.
pub(crate) fn finish(outcome: Result<Report, Failure>, json: bool) -> ExitCode {
    match outcome {
        Ok(Report { printed, good }) => {
            if let Some((value, text)) = printed {
                print(if json { value.to_string() } else { text }.trim_end());
            }
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            if json {
                print(&error_object(failure.code, &failure.message).to_string());
            }
            note(&format!("xiaoyi: {}", failure.message));
            ExitCode::from(failure.status)
        }
    }
}

/// Prints clap's help, version or complaint, and gives the exit status.
pub(crate) fn refuse(error: &clap::Error, json: bool) -> ExitCode {
    // A closed pipe (`xiaoyi --help | head`) leaves nothing to do.
    let _ = error.print();
    if error.use_stderr() && json {
        print(&error_object("usage", &complaint(&error.to_string())).to_string());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints one line (or table) on the standard output, where results go.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have left; the work is done all the same.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Says something to the person at the terminal, on the standard error output.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn error_object(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

/// The first paragraph of clap's message, as one line.
fn complaint(message: &str) -> String {
    let paragraph = message.trim_start_matches("error: ").lines().take_while(|line| !line.trim().is_empty());
    paragraph.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_first_paragraph() {
        let message =
            "error: the following required arguments were not provided:\n  --tenant <NAME>\n\nUsage: xiaoyi\n";
        assert_eq!(complaint(message), "the following required arguments were not provided: --tenant <NAME>");
    }

    #[test]
    fn a_bad_finding_is_a_failure() {
        let report = Report::of(&json!({"ok": false}), "").unwrap();
        assert!(report.good);
        assert!(!report.good_if(false).good);
    }
}
