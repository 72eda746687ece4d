//! Starting programs that serve, and waiting until they do.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use testkit::Process;

/// How long a start may take.
pub(super) const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Starts a program that prints one line of JSON when it is ready, and gives that line. Its log goes into `folder`.
pub(super) async fn start_announced(name: &str, command: Command, folder: &Path) -> anyhow::Result<(Process, Value)> {
    let (output, log) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.log")));
    let mut process = Process::start_with_output(name, command, &output, &log)?;
    let mut line = None;
    wait_until(&format!("{name} is ready"), START_LIMIT, async || {
        expect_alive(&mut process)?;
        let text = std::fs::read_to_string(&output)?;
        line = text.split_once('\n').map(|(first, _)| first.to_owned());
        Ok(line.is_some())
    })
    .await?;
    let line = line.unwrap_or_default();
    let ready = serde_json::from_str(&line).with_context(|| format!("{name} printed: {line}"))?;
    Ok((process, ready))
}

/// Fails when the process has ended.
pub(super) fn expect_alive(process: &mut Process) -> anyhow::Result<()> {
    match process.ended() {
        None => Ok(()),
        Some(status) => bail!("{} ended ({status}):\n{}", process.name(), process.log_tail()),
    }
}

/// Asks again and again until it is so.
///
/// # Errors
/// With `what` when it is not so within `limit`, and with the error of a look that fails.
pub(super) async fn wait_until(
    what: &str,
    limit: Duration,
    mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_so().await? {
        if begun.elapsed() > limit {
            bail!("not within {} s: {what}", limit.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use testkit::{Folder, mortal};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = mortal("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_ready_line_is_read() {
        let folder = Folder::new("bench").unwrap();
        let script = r#"echo '{"event":"ready","api":"http://here"}'; echo more; exec sleep 60"#;
        let (mut process, ready) = start_announced("ready", shell(script), folder.path()).await.unwrap();
        assert_eq!(ready["api"], "http://here");
        expect_alive(&mut process).unwrap();
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_named_with_its_last_words() {
        let folder = Folder::new("bench").unwrap();
        let started = start_announced("early", shell("echo no such luck >&2; exit 3"), folder.path()).await;
        let message = format!("{:#}", started.unwrap_err());
        assert!(message.contains("early ended") && message.contains("no such luck"), "{message}");
    }

    #[tokio::test]
    async fn waiting_has_a_limit() {
        wait_until("never", Duration::from_millis(1), async || Ok(false)).await.unwrap_err();
        wait_until("now", Duration::ZERO, async || Ok(true)).await.unwrap();
    }
}
