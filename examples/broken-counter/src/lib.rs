//! A counter with a mistake of those that authors of replicated services make: it reads a clock, goes through a hash map in whatever order
//! that has, or panics. Tests of one process find neither of the first two; the simulator does.

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
    /// Notes when it was incremented last, by the clock of the machine.
    Clock,
    /// Notes who leads, and of several with one score whoever a hash map shows first.
    HashMap,
    /// Panics on the name "poison".
    Panic,
}

/// Counts for each name, and keeps a note that it should not.
#[derive(Clone, Copy, Debug)]
pub struct BrokenCounter(pub Mistake);

/// An increment of one of the names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Increment {
    /// Which.
    pub name: String,
    /// By how much.
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
            Mistake::Panic => assert!(!counts.contains_key("poison"), "this name was not thought of"),
        }
        Ok(answer)
    }

    fn sample(&self, number: u64, _: &[Address]) -> Increment {
        Increment { name: format!("n{}", number % 8), by: 1 }
    }
}
