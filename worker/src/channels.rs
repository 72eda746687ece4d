//! Which channels to try for a call, in which order, and the adapter of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use shared::catalogue::channel::{ChannelKind, OpenChannel};
use shared::catalogue::{EchoOptions, Route, ServedModel};
use shared::clock::Clock;
use shared::config::Settings;
use shared::id::RequestId;

use crate::upstream::{Echo, Limits, OpenAi, Upstream, http_client};

/// Adapters that are kept; above this all are made anew.
const MOST_ADAPTERS: usize = 1_000;

/// By the channel's id: the channel as it was when the adapter was made, and the adapter.
type Adapters = HashMap<i64, (Arc<OpenChannel>, Arc<dyn Upstream>)>;

/// Makes adapters and keeps them while their channel stays as it is.
pub(crate) struct Channels {
    connect_timeout: Duration,
    limits: Limits,
    clock: Clock,
    client: OnceLock<reqwest::Client>,
    adapters: Mutex<Adapters>,
}

impl Channels {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Self {
        Self {
            connect_timeout: Duration::from_secs(settings.deadline.connect_s),
            limits: Limits { whole: settings.upstream.answer_bytes, line: settings.upstream.line_bytes },
            clock,
            client: OnceLock::new(),
            adapters: Mutex::default(),
        }
    }

    /// The adapter of a channel. An error says, for the log, why the channel cannot be used.
    pub(crate) fn adapter(&self, channel: &Arc<OpenChannel>) -> Result<Arc<dyn Upstream>, String> {
        if let Some((known, adapter)) = self.lock().get(&channel.id)
            && Arc::ptr_eq(known, channel)
        {
            return Ok(Arc::clone(adapter));
        }
        let adapter = self.make(channel)?;
        let mut adapters = self.lock();
        if adapters.len() >= MOST_ADAPTERS {
            adapters.clear();
        }
        adapters.insert(channel.id, (Arc::clone(channel), Arc::clone(&adapter)));
        Ok(adapter)
    }

    fn make(&self, channel: &OpenChannel) -> Result<Arc<dyn Upstream>, String> {
        Ok(match channel.kind {
            ChannelKind::Echo => Arc::new(Echo::new(EchoOptions::parse(&channel.base_url)?, self.clock.clone())),
            ChannelKind::OpenAi => {
                let openai = OpenAi::new(self.client()?, &channel.base_url, channel.api_key.clone(), self.limits);
                Arc::new(openai.map_err(|error| error.to_string())?)
            }
        })
    }

    /// One client for all channels, made when the first one needs it: without CA certificates it cannot be made, and echo works all the same.
    fn client(&self) -> Result<reqwest::Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = http_client(self.connect_timeout)
            .map_err(|error| format!("no HTTPS client can be made (is ca-certificates installed?): {error}"))?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Adapters> {
        self.adapters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ways to a model in the order in which a call tries them: by priority, and among equals by a draw that the weights decide.
/// The draw comes from the call's id, which is random enough and the same whenever it is asked again.
pub(crate) fn in_turn(served: &ServedModel, request_id: RequestId) -> Vec<&Route> {
    let mut draw = u64::from_le_bytes(request_id.as_bytes()[8..].try_into().unwrap_or_default());
    let mut left: Vec<&Route> = served.routes.iter().collect();
    let mut order = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let priority = first.channel.priority;
        let equals = left.iter().take_while(|route| route.channel.priority == priority).count();
        let weights = left[..equals].iter().map(|route| u64::try_from(route.channel.weight).unwrap_or(1).max(1));
        let total: u64 = weights.clone().sum();
        draw = mixed(draw);
        let mut place = draw % total;
        let chosen = weights.take_while(|weight| place.checked_sub(*weight).map(|rest| place = rest).is_some()).count();
        order.push(left.remove(chosen.min(equals - 1)));
    }
    order
}

/// Spreads the bits of a number that is partly a counter (the finaliser of SplitMix64).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, priority: i64, weight: i64) -> Route {
        let channel = OpenChannel {
            id: 1,
            name: name.to_owned(),
            kind: ChannelKind::Echo,
            base_url: "echo:".to_owned(),
            api_key: None,
            priority,
            weight,
        };
        Route { channel: Arc::new(channel), upstream_model: "m".to_owned() }
    }

    #[test]
    fn priority_decides_first_and_weight_among_equals() {
        let served = ServedModel { routes: vec![route("a", 1, 3), route("b", 1, 1), route("c", 2, 1000)] };
        let mut first = HashMap::new();
        for _ in 0..4_000 {
            let order: Vec<String> =
                in_turn(&served, RequestId::new()).into_iter().map(|route| route.channel.name.clone()).collect();
            assert_eq!(order.len(), 3);
            assert_eq!(order[2], "c");
            *first.entry(order[0].clone()).or_insert(0) += 1;
        }
        let share_of_a = first["a"];
        assert!((2_700..3_300).contains(&share_of_a), "a has three quarters of the weight: {share_of_a} of 4000");
    }
}
