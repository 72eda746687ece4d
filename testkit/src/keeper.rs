//! Makes processes that end with ours, however ours ends.
//!
//! The kernel sends a process's parent-death signal when the *thread* that forked it ends, so all are forked by one thread that never
//! does.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Order = (Command, Sender<io::Result<Child>>);

static KEEPER: OnceLock<Sender<Order>> = OnceLock::new();

/// A command whose process is killed when ours ends, if it is started with [`Process::start`](crate::Process::start).
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// The same, as another user. Only root may.
pub(crate) fn mortal_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]);
    // A change of user clears the signal, so it is set by a second one behind it.
    command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts it from the thread that never ends.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let keeper = KEEPER.get_or_init(|| {
        let (orders, taken) = channel::<Order>();
        // If the thread cannot be started, the channel is closed, and that is reported below.
        let _ = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            while let Ok((mut command, answer)) = taken.recv() {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, answered) = channel();
    keeper.send((command, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}
