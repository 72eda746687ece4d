//! An asynchronous part with a thread of its own, so that it can be used from any test and is slowed down by none.

use std::future::Future;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::Error;

/// The running part. Dropping it ends it, with all tasks that it spawned.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Runs what `part` gives until it ends or is dropped.
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &str,
        part: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, Error> {
        let failed = || Error::system(format!("cannot start the {name}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = part() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { stop: Some(stop), thread: Some(thread.map_err(failed())?) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
