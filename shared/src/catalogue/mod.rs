//! What can be called, through which channels, and at what price: read from the database into one snapshot that the hot path looks at.

pub mod address;
pub mod changes;
pub mod channel;
mod echo_options;
pub mod price_list;
pub mod typed_channel;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use echo_options::EchoOptions;

use self::channel::{ChannelKind, OpenChannel};
use crate::db::{Connection, Database, DbError};
use crate::price::Price;
use crate::seal::Sealer;

/// One way to have a model answered.
#[derive(Debug, Clone)]
pub struct Route {
    /// The channel.
    pub channel: Arc<OpenChannel>,
    /// What the provider calls the model.
    pub upstream_model: String,
}

/// A model that at least one enabled channel serves.
#[derive(Debug, Clone, Default)]
pub struct ServedModel {
    /// The ways, lowest priority number first.
    pub routes: Vec<Route>,
}

impl ServedModel {
    /// Whether only the built-in echo answers. Echo obeys `max_tokens` in tokens of the estimate, so its hold needs no factor.
    pub fn is_echo(&self) -> bool {
        self.routes.iter().all(|route| route.channel.kind == ChannelKind::Echo)
    }
}

/// All of it at one moment.
#[derive(Debug)]
pub struct Snapshot {
    models: BTreeMap<String, ServedModel>,
    prices: HashMap<String, Price>,
    default_price: Price,
}

impl Snapshot {
    /// The model of this public name, if a channel serves it.
    pub fn model(&self, name: &str) -> Option<&ServedModel> {
        self.models.get(name)
    }

    /// The names of all models that are served, in order.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// The price of a model: its own, or the settings' default.
    pub fn price(&self, model: &str) -> Price {
        match self.prices.get(model) {
            Some(price) => price.clone(),
            None => Price { model: model.to_owned(), ..self.default_price.clone() },
        }
    }

    /// Whether the model has a price of its own.
    pub fn has_own_price(&self, model: &str) -> bool {
        self.prices.contains_key(model)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// [`DbError`]; also when there is no default price yet.
    pub fn load(connection: &mut Connection, sealer: &Sealer) -> Result<Self, DbError> {
        let mut models: BTreeMap<String, ServedModel> = BTreeMap::new();
        for (channel, served) in channel::open_enabled(connection, sealer)? {
            for (model, upstream_model) in served {
                models.entry(model).or_default().routes.push(Route { channel: Arc::clone(&channel), upstream_model });
            }
        }
        for model in models.values_mut() {
            // Echo never stands in for a real provider.
            if !model.is_echo() {
                model.routes.retain(|route| route.channel.kind != ChannelKind::Echo);
            }
            model.routes.sort_by_key(|route| route.channel.priority);
        }
        let prices = price_list::current(connection)?.into_iter().map(|price| (price.model.clone(), price)).collect();
        let default_price = price_list::default_price(connection)?.ok_or_else(|| {
            DbError::Corrupt("no default price: run `xiaoyi serve` or `xiaoyi migrate` once".to_owned())
        })?;
        Ok(Self { models, prices, default_price })
    }
}

/// The current snapshot. Cheap to clone and to look at.
#[derive(Debug, Clone)]
pub struct Catalogue {
    current: Arc<ArcSwap<Snapshot>>,
    sealer: Arc<Sealer>,
}

impl Catalogue {
    /// Reads the first snapshot.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn start(database: &Database, sealer: Arc<Sealer>) -> Result<Self, DbError> {
        let for_read = Arc::clone(&sealer);
        let snapshot = database.read(move |connection| Snapshot::load(connection, &for_read)).await?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(snapshot)), sealer })
    }

    /// The snapshot now. A call keeps the one that it started with.
    pub fn now(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Reads it again, when the epoch has moved.
    ///
    /// # Errors
    /// [`DbError`]; the old snapshot stays.
    pub async fn reload(&self, database: &Database) -> Result<(), DbError> {
        let sealer = Arc::clone(&self.sealer);
        let snapshot = database.read(move |connection| Snapshot::load(connection, &sealer)).await?;
        self.current.store(Arc::new(snapshot));
        Ok(())
    }
}
