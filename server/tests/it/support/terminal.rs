//! A terminal of the test's own, at which the program serves as it does before a person.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::Place;

/// More than a start takes on the slowest machine.
const LIMIT: Duration = Duration::from_secs(30);

/// What of the program is at the terminal; the other is a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtTerminal {
    /// Its standard output.
    Stdout,
    /// Its standard error output.
    Stderr,
}

/// A program that serves at a terminal. Dropping it kills it.
pub(crate) struct Terminal {
    child: Child,
    pieces: Receiver<String>,
    shown: String,
}

impl Terminal {
    /// Starts a command that serves.
    pub(crate) fn start(place: &Place, arguments: &[&str], which: AtTerminal) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        let mut command = place.program(arguments);
        command.stdin(Stdio::null());
        match which {
            AtTerminal::Stdout => command.stdout(terminal).stderr(Stdio::piped()),
            AtTerminal::Stderr => command.stdout(Stdio::piped()).stderr(terminal),
        };
        let mut child = command.spawn().unwrap();
        let piped: Box<dyn Read + Send> = match which {
            AtTerminal::Stdout => Box::new(child.stderr.take().unwrap()),
            AtTerminal::Stderr => Box::new(child.stdout.take().unwrap()),
        };
        let (sender, pieces) = mpsc::channel();
        // Both, so that nothing of it waits; a test sees only what is at the terminal.
        std::thread::spawn(move || BufReader::new(piped).lines().for_each(drop));
        std::thread::spawn(move || {
            let mut screen = File::from(screen);
            let mut buffer = [0; 4096];
            // Ends with an error when the program has left the terminal.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, pieces, shown: String::new() }
    }

    /// Waits until the program has shown this, and gives all that it has shown.
    pub(crate) fn shows(&mut self, text: &str) -> &str {
        let started = Instant::now();
        while !self.shown.contains(text) {
            match self.pieces.recv_timeout(LIMIT.saturating_sub(started.elapsed())) {
                Ok(piece) => self.shown.push_str(&piece),
                Err(_) => panic!("it did not show {text:?}:\n{}", self.shown),
            }
        }
        &self.shown
    }

    /// Ends the program as Ctrl-C does, and gives all that it has shown.
    pub(crate) fn stop(mut self) -> String {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
        while let Ok(piece) = self.pieces.recv_timeout(LIMIT) {
            self.shown.push_str(&piece);
        }
        assert!(self.child.wait().unwrap().success(), "{}", self.shown);
        std::mem::take(&mut self.shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a line was written by the logger.
pub(crate) fn is_log(line: &str) -> bool {
    serde_json::from_str::<Value>(line.trim()).is_ok_and(|line| line["level"].is_string())
}
