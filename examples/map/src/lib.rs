//! A replicated ordered map from text to text: insert, get, remove, size, keys by range. Any account may change any entry.

use std::ops::Bound;

use quorate_app::{Application, Call, Item, Map, Rules, State, StateRead};
use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
};
use serde::{Deserialize, Serialize};

/// The entries, by key.
pub const ENTRIES: Map<String, String> = Map::new(b'e');
/// Number of entries, kept up to date because counting takes a step for each.
pub const SIZE: Item<u64> = Item::new(b's');

/// Most keys in one answer.
pub const KEYS_MAX: u32 = 100;

/// The map.
#[derive(Debug)]
pub struct TextMap;

/// Settings that a network's founders choose.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most entries, 1 or more.
    pub entries_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { entries_max: 1_000_000 }
    }
}

/// What a transaction asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Sets the value of a key.
    Insert(String, String),
    /// Reads a key in the order of the chain.
    Get(String),
    /// Removes a key.
    Remove(String),
}

/// What a reader asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// How many entries there are.
    Size,
    /// The first `count` keys at or after `from`, at most [`KEYS_MAX`].
    Keys {
        /// Lower bound, included.
        from: String,
        /// Number of keys wanted.
        count: u32,
    },
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// How many entries there are.
    Size(u64),
    /// Keys in ascending order.
    Keys(Vec<String>),
}

impl Application for TextMap {
    const NAME: &'static str = "map";
    const VERSION: u32 = 1;
    type Settings = Settings;
    type Operation = Operation;
    /// The key's value before the operation.
    type Answer = Option<String>;
    type Query = Query;
    type Found = Found;

    fn check_settings(&self, rules: &Rules<'_, Settings>) -> Result<(), String> {
        if rules.settings.entries_max == 0 { Err("entries_max must be 1 or more".into()) } else { Ok(()) }
    }

    fn execute(&self, call: &Call<'_, Settings>, state: &mut State<'_>, operation: Operation) -> Result<Option<String>, Failure> {
        let size = SIZE.get(state).unwrap_or(0);
        match operation {
            Operation::Insert(key, value) => {
                let before = ENTRIES.get(state, &key);
                if before.is_none() {
                    let most = call.rules.settings.entries_max;
                    if size >= most {
                        return Err(Failure::new(Code::new("map-full"), &[most]));
                    }
                    SIZE.put(state, &size.saturating_add(1));
                }
                ENTRIES.put(state, &key, &value);
                Ok(before)
            }
            Operation::Get(key) => Ok(ENTRIES.get(state, &key)),
            Operation::Remove(key) => {
                let before = ENTRIES.get(state, &key);
                if before.is_some() {
                    ENTRIES.remove(state, &key);
                    SIZE.put(state, &size.saturating_sub(1));
                }
                Ok(before)
            }
        }
    }

    fn query(&self, _: &Rules<'_, Settings>, state: &dyn StateRead, query: Query) -> Result<Found, Failure> {
        match query {
            Query::Size => Ok(Found::Size(SIZE.get(state).unwrap_or(0))),
            Query::Keys { from, count } => {
                let entries = ENTRIES.range(state, Bound::Included(&from)).take(count.min(KEYS_MAX) as usize);
                Ok(Found::Keys(entries.map(|(key, _)| key).collect()))
            }
        }
    }

    fn sample(&self, number: u64, _: &[Address]) -> Operation {
        Operation::Insert(format!("key {}", number % 1_000), number.to_string())
    }

    fn explain(&self, failure: &Failure) -> Option<String> {
        match (failure.code(), failure.numbers()) {
            ("map-full", [most]) => Some(format!("the map is full with {most} entries; remove one first")),
            _ => None,
        }
    }
}
