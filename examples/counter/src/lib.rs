//! A replicated counter: the smallest possible service.

use quorate_app::{Application, Call, Item, Rules, State, StateRead};
use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
};

/// The value of the counter.
pub const VALUE: Item<u64> = Item::new(b'v');

/// Each transaction adds to the counter and answers the new value.
#[derive(Debug)]
pub struct Counter;

impl Application for Counter {
    const NAME: &'static str = "counter";
    const VERSION: u32 = 1;
    type Settings = ();
    type Operation = u64;
    type Answer = u64;
    type Query = ();
    type Found = u64;

    fn execute(&self, _: &Call<'_, ()>, state: &mut State<'_>, by: u64) -> Result<u64, Failure> {
        let value = VALUE.get(state).unwrap_or(0);
        let sum = value.checked_add(by).ok_or_else(|| Failure::new(Code::new("overflow"), &[value, by]))?;
        if by > 0 {
            VALUE.put(state, &sum);
        }
        Ok(sum)
    }

    fn query(&self, _: &Rules<'_, ()>, state: &dyn StateRead, (): ()) -> Result<u64, Failure> {
        Ok(VALUE.get(state).unwrap_or(0))
    }

    fn sample(&self, number: u64, _: &[Address]) -> u64 {
        number.min(1)
    }
}
