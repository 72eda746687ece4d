//! Which fault comes when: a pure function of the seed and the settings.

use std::fmt;

use serde::Serialize;
use testkit::Failure;

use super::Settings;
use super::random::Random;

/// How long a worker is stopped, in milliseconds: longer than any lease.
pub(super) const STOP_MS: u64 = 40_000;
/// What a part needs to be back, at most, before the trial may end.
const RESERVE_MS: u64 = 8_000;
/// The first fault comes when load is running.
const FIRST_MS: u64 = 2_000;

/// Which processes make up the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One process on SQLite.
    Embedded,
    /// API processes and workers on PostgreSQL and Redis.
    Distributed,
}

impl Form {
    /// Processes that serve the API.
    pub(super) const fn apis(self) -> usize {
        match self {
            Self::Embedded => 1,
            Self::Distributed => 2,
        }
    }

    /// Processes that are only workers.
    pub(super) const fn workers(self) -> usize {
        match self {
            Self::Embedded => 0,
            Self::Distributed => 3,
        }
    }
}

/// Where a proxy stands: before this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// The model provider.
    Provider,
}

/// What is done to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// `kill -9` of a worker.
    KillWorker {
        /// Which one.
        number: usize,
    },
    /// `kill -9` of a process that serves the API.
    KillApi {
        /// Which one.
        number: usize,
    },
    /// `kill -9` of Redis, which comes back with what it had written.
    KillRedis,
    /// `kill -9` of PostgreSQL.
    KillPostgres,
    /// SIGSTOP of a worker, and SIGCONT 40 s later.
    StopWorker {
        /// Which one.
        number: usize,
    },
    /// FLUSHALL.
    FlushRedis,
    /// All connections to it are reset.
    Cut {
        /// To what.
        link: Link,
    },
    /// Nothing moves to and from it for a while.
    Stall {
        /// To and from what.
        link: Link,
    },
    /// The provider does something wrong with every call for a while.
    Misbehave {
        /// The name of a [`Failure`].
        failure: &'static str,
    },
}

/// One line of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Not before this many milliseconds since the load began.
    pub at_ms: u64,
    /// For how long the part is away, stalled or misbehaves, in milliseconds.
    pub away_ms: u64,
    /// What is done.
    pub fault: Fault,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Provider => "provider",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillWorker { number } => write!(f, "kill -9 worker {number}"),
            Self::KillApi { number } => write!(f, "kill -9 api {number}"),
            Self::KillRedis => f.write_str("kill -9 redis"),
            Self::KillPostgres => f.write_str("kill -9 postgres"),
            Self::StopWorker { number } => write!(f, "SIGSTOP worker {number}"),
            Self::FlushRedis => f.write_str("redis FLUSHALL"),
            Self::Cut { link } => write!(f, "cut {link}"),
            Self::Stall { link } => write!(f, "stall {link}"),
            Self::Misbehave { failure } => write!(f, "provider: {failure}"),
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ms, away_ms, fault } = self;
        write!(f, "{:3}.{:03} s  {fault}", at_ms / 1000, at_ms % 1000)?;
        if *away_ms > 0 { write!(f, " for {away_ms} ms") } else { Ok(()) }
    }
}

/// What a deck of cards has on it. Decks are dealt one after the other, so that also a short trial meets every kind.
#[derive(Debug, Clone, Copy)]
enum Card {
    KillWorker,
    KillApi,
    KillRedis,
    KillPostgres,
    StopWorker,
    FlushRedis,
    Cut(Link),
    Stall(Link),
    Misbehave,
}

const EMBEDDED: &[Card] = &[Card::KillApi, Card::Cut(Link::Provider), Card::KillApi];
const DISTRIBUTED: &[Card] = &[
    Card::KillWorker,
    Card::KillWorker,
    Card::KillApi,
    Card::KillApi,
    Card::KillRedis,
    Card::KillPostgres,
    Card::StopWorker,
    Card::FlushRedis,
    Card::Cut(Link::Postgres),
    Card::Cut(Link::Redis),
    Card::Cut(Link::Provider),
    Card::Stall(Link::Postgres),
    Card::Stall(Link::Redis),
    Card::Stall(Link::Provider),
    Card::Misbehave,
];

/// The schedule.
pub(super) fn plan(settings: &Settings) -> Vec<Planned> {
    let mut random = Random::new(settings.seed, 1);
    let cards = match settings.form {
        Form::Embedded => EMBEDDED,
        Form::Distributed => DISTRIBUTED,
    };
    let end_ms = settings.seconds * 1000;
    let (least_ms, most_ms) = (settings.faults_every.0 * 1000, settings.faults_every.1 * 1000);
    let mut deck: Vec<Card> = Vec::new();
    let mut stopped: Option<(usize, u64)> = None;
    let mut planned = Vec::new();
    let mut at_ms = FIRST_MS;
    while at_ms + RESERVE_MS <= end_ms {
        if stopped.is_some_and(|(_, until_ms)| until_ms <= at_ms) {
            stopped = None;
        }
        let card = loop {
            let card = deck.pop();
            match card {
                None => {
                    deck = cards.to_vec();
                    random.shuffle(&mut deck);
                }
                // It needs its time, and one is enough at a time.
                Some(Card::StopWorker) if stopped.is_some() || at_ms + STOP_MS + RESERVE_MS > end_ms => {}
                Some(card) => break card,
            }
        };
        let (fault, away_ms) = draw(&mut random, card, settings.form, stopped.map(|(number, _)| number));
        if let Fault::StopWorker { number } = fault {
            // Faults may begin later than planned, so nothing else is planned for it until well behind its return.
            stopped = Some((number, at_ms + STOP_MS + 20_000));
        }
        planned.push(Planned { at_ms, away_ms, fault });
        at_ms += random.between(least_ms, most_ms);
    }
    planned
}

/// The fault on a card, and for how long.
fn draw(random: &mut Random, card: Card, form: Form, stopped: Option<usize>) -> (Fault, u64) {
    let mut worker = || loop {
        let number = random.index(form.workers());
        if stopped != Some(number) {
            return number;
        }
    };
    let fault = match card {
        Card::KillWorker => Fault::KillWorker { number: worker() },
        Card::StopWorker => Fault::StopWorker { number: worker() },
        Card::KillApi => Fault::KillApi { number: random.index(form.apis()) },
        Card::KillRedis => Fault::KillRedis,
        Card::KillPostgres => Fault::KillPostgres,
        Card::FlushRedis => Fault::FlushRedis,
        Card::Cut(link) => Fault::Cut { link },
        Card::Stall(link) => Fault::Stall { link },
        Card::Misbehave => Fault::Misbehave { failure: Failure::ALL[random.index(Failure::ALL.len())].name() },
    };
    let away_ms = match fault {
        Fault::FlushRedis | Fault::Cut { .. } => 0,
        Fault::StopWorker { .. } => STOP_MS,
        Fault::Stall { .. } | Fault::Misbehave { .. } => random.between(1_000, 4_000),
        _ => random.between(500, 2_000),
    };
    (fault, away_ms)
}

#[cfg(test)]
mod tests;
