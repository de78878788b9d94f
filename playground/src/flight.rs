//! Messages in flight. They arrive only on command, and never cross a cut.

use std::collections::BTreeMap;

use quorate_harness::Content;

/// Most messages in flight; beyond, the oldest is lost.
pub(super) const FLIGHT_MAX: usize = 4_096;

/// Index of a process among all players; a twin has its own.
pub(super) type Seat = usize;

/// Kinds of messages, as typed in commands.
pub(super) const KINDS: &[&str] =
    &["proposal", "vote", "timeout", "sync-info", "fetch-request", "fetch-response", "catchup-request", "catchup-response", "transactions"];

/// One of [`KINDS`].
pub(super) fn kind_of(content: &Content) -> &'static str {
    match content {
        Content::Message(message) => message.kind(),
        Content::Transactions(_) => "transactions",
    }
}

/// A message in flight to one process.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: Seat,
    pub(super) to: Seat,
    pub(super) content: Content,
}

/// Selects messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// All now in flight.
    All,
    /// By number.
    Numbers(Vec<u64>),
    /// By sender, receiver and kind; `None` matches any.
    Like { from: Option<Seat>, to: Option<Seat>, kind: Option<&'static str> },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flight {
    letters: BTreeMap<u64, Letter>,
    sent: u64,
    /// The side of each process, while the network is cut.
    sides: Option<BTreeMap<Seat, usize>>,
}

impl Flight {
    /// Puts a message in flight. Returns its number, and the number of the message evicted to make room, if any.
    pub(super) fn send(&mut self, letter: Letter) -> (u64, Option<u64>) {
        self.sent = self.sent.saturating_add(1);
        self.letters.insert(self.sent, letter);
        let lost = if self.letters.len() > FLIGHT_MAX { self.letters.pop_first().map(|(number, _)| number) } else { None };
        (self.sent, lost)
    }

    pub(super) fn letters(&self) -> impl Iterator<Item = (u64, &Letter)> {
        self.letters.iter().map(|(number, letter)| (*number, letter))
    }

    pub(super) fn get(&self, number: u64) -> Option<&Letter> {
        self.letters.get(&number)
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Letter> {
        self.letters.remove(&number)
    }

    /// The oldest message that can arrive.
    pub(super) fn next(&self) -> Option<u64> {
        self.letters().find(|(_, letter)| !self.is_cut(letter)).map(|(number, _)| number)
    }

    /// The selected messages, oldest first.
    pub(super) fn pick(&self, pick: &Pick) -> Vec<u64> {
        let meant = |number: u64, letter: &Letter| match pick {
            Pick::All => true,
            Pick::Numbers(numbers) => numbers.contains(&number),
            Pick::Like { from, to, kind } => {
                from.is_none_or(|from| from == letter.from)
                    && to.is_none_or(|to| to == letter.to)
                    && kind.is_none_or(|kind| kind == kind_of(&letter.content))
            }
        };
        self.letters().filter(|(number, letter)| meant(*number, letter)).map(|(number, _)| number).collect()
    }

    /// Drops every message in flight to a process. Returns how many.
    pub(super) fn lose_to(&mut self, seat: Seat) -> usize {
        let before = self.letters.len();
        self.letters.retain(|_, letter| letter.to != seat);
        before.saturating_sub(self.letters.len())
    }

    pub(super) fn cut(&mut self, sides: BTreeMap<Seat, usize>) {
        self.sides = Some(sides);
    }

    /// Ends the cut. Returns whether there was one.
    pub(super) fn heal(&mut self) -> bool {
        self.sides.take().is_some()
    }

    /// Puts a twin on its original's side of the cut.
    pub(super) fn join_side(&mut self, twin: Seat, original: Seat) {
        if let Some(sides) = &mut self.sides
            && let Some(side) = sides.get(&original).copied()
        {
            sides.insert(twin, side);
        }
    }

    /// Whether a cut lies between sender and receiver.
    pub(super) fn is_cut(&self, letter: &Letter) -> bool {
        self.sides.as_ref().is_some_and(|sides| sides.get(&letter.from) != sides.get(&letter.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(from: Seat, to: Seat) -> Letter {
        Letter { from, to, content: Content::Transactions(Vec::new()) }
    }

    #[test]
    fn a_cut_holds_messages_back_until_it_is_healed() {
        let mut flight = Flight::default();
        flight.send(letter(0, 2));
        flight.send(letter(0, 1));
        flight.cut(BTreeMap::from([(0, 0), (1, 0), (2, 1)]));
        assert_eq!(flight.next(), Some(2));
        flight.take(2);
        assert_eq!(flight.next(), None);
        assert!(flight.heal());
        assert_eq!(flight.next(), Some(1));
    }

    #[test]
    fn messages_are_picked_by_number_ends_and_kind() {
        let mut flight = Flight::default();
        for (from, to) in [(0, 1), (0, 2), (1, 2)] {
            flight.send(letter(from, to));
        }
        assert_eq!(flight.pick(&Pick::All), [1, 2, 3]);
        assert_eq!(flight.pick(&Pick::Numbers(vec![3, 9])), [3]);
        assert_eq!(flight.pick(&Pick::Like { from: None, to: Some(2), kind: Some("transactions") }), [2, 3]);
        assert_eq!(flight.pick(&Pick::Like { from: None, to: Some(2), kind: Some("vote") }), [0u64; 0]);
        assert_eq!(flight.lose_to(2), 2);
    }

    #[test]
    fn without_room_the_oldest_message_is_lost() {
        let mut flight = Flight::default();
        for _ in 0..FLIGHT_MAX {
            assert_eq!(flight.send(letter(0, 1)).1, None);
        }
        assert_eq!(flight.send(letter(0, 1)).1, Some(1));
    }
}
