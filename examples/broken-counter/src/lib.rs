//! A counter with one of the mistakes that authors of replicated services make: it reads a clock, depends on the order of a hash map, or
//! panics. Tests of one process find neither of the first two; the simulator does.

use std::{
    collections::{BTreeMap, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

use quorate_app::{Application, Call, Item, Nothing, State};
use quorate_types::{failure::Failure, ids::Address};
use serde::{Deserialize, Serialize};

/// Which mistake it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Stores the time of the last increment, by the machine's clock.
    Clock,
    /// Stores the name with the highest count; among equals, the one that a hash map yields last.
    HashMap,
    /// Panics on the name "poison".
    Panic,
}

/// One count for each name, with a mistake.
#[derive(Clone, Copy, Debug)]
pub struct BrokenCounter(pub Mistake);

/// An increment of one of the names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Increment {
    /// The count to increment.
    pub name: String,
    /// Amount to add.
    pub by: u64,
}

const COUNTS: Item<BTreeMap<String, u64>> = Item::new(b'c');
const SEEN_AT: Item<u64> = Item::new(b't');
const LEADER: Item<String> = Item::new(b'l');

impl Application for BrokenCounter {
    const NAME: &'static str = "broken-counter";
    const VERSION: u32 = 1;
    type Settings = ();
    type Operation = Increment;
    type Answer = u64;
    type Query = Nothing;
    type Found = Nothing;

    fn execute(&self, _: &Call<'_, ()>, state: &mut State<'_>, Increment { name, by }: Increment) -> Result<u64, Failure> {
        let mut counts = COUNTS.get(state).unwrap_or_default();
        let count = counts.entry(name).or_default();
        *count = count.saturating_add(by);
        let answer = *count;
        COUNTS.put(state, &counts);
        match self.0 {
            Mistake::Clock => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                SEEN_AT.put(state, &u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
            }
            Mistake::HashMap => {
                let counts: HashMap<String, u64> = counts.into_iter().collect();
                let leader = counts.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name);
                LEADER.put(state, &leader.unwrap_or_default());
            }
            Mistake::Panic => assert!(!counts.contains_key("poison"), "this name was not expected"),
        }
        Ok(answer)
    }

    fn sample(&self, number: u64, _: &[Address]) -> Increment {
        Increment { name: format!("n{}", number % 8), by: 1 }
    }
}
