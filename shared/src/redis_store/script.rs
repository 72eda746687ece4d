//! Lua scripts: what must happen in one step.

use std::time::Duration;

use redis::{Arg, Cmd, FromRedisValue, Pipeline, ToRedisArgs};

use super::{RedisPool, RedisStoreError};

/// A script. It gets the beginning of all keys (`{prefix}:`) as its one key, and as its first argument `1` if it may have run already,
/// because the connection broke before its answer came; else `0`. Its other keys are all in the slot of the first.
#[derive(Debug)]
pub struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    /// Makes a script of its code.
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }
}

/// A script and its arguments.
#[derive(Debug)]
pub struct Invocation<'a> {
    pool: &'a RedisPool,
    script: &'a Script,
    arguments: Vec<Vec<u8>>,
    before: Option<Cmd>,
    limit: Option<Duration>,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(pool: &'a RedisPool, script: &'a Script) -> Self {
        Self { pool, script, arguments: Vec::new(), before: None, limit: None }
    }

    /// Adds an argument (or several).
    #[must_use]
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }

    /// Runs this command just before, in the same round trip. It must bear being run twice.
    #[must_use]
    pub fn after(mut self, command: Cmd) -> Self {
        self.before = Some(command);
        self
    }

    /// Waits so long instead of the usual time.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs it. If the connection breaks, it is run again on another one while there is time: a script must bear that.
    ///
    /// # Errors
    /// [`RedisStoreError`]; it may have run all the same.
    pub async fn run<T: FromRedisValue>(self) -> Result<T, RedisStoreError> {
        let limit = self.limit.unwrap_or_else(|| self.pool.limit_of(self.bytes()));
        self.pool.run_script(&self, limit).await
    }

    /// The script behind what comes before it.
    pub(super) fn commands(&self, is_again: bool, with_code: bool) -> Pipeline {
        let arguments: usize = self.arguments.iter().map(Vec::len).sum();
        let mut command = Cmd::with_capacity(self.arguments.len() + 5, arguments + 128);
        if with_code {
            command.arg("EVAL").arg(self.script.code);
        } else {
            command.arg("EVALSHA").arg(&self.script.hash);
        }
        command.arg(1).arg(self.pool.base()).arg(if is_again { "1" } else { "0" });
        for argument in &self.arguments {
            command.arg(argument);
        }
        let mut commands = Pipeline::with_capacity(2);
        if let Some(before) = &self.before {
            commands.add_command(before.clone());
        }
        commands.add_command(command);
        commands
    }

    fn bytes(&self) -> usize {
        let before = self.before.iter().flat_map(Cmd::args_iter);
        let before = before.map(|argument| if let Arg::Simple(bytes) = argument { bytes.len() } else { 0 });
        before.chain(self.arguments.iter().map(Vec::len)).sum()
    }
}
