//! The simulator's only source of randomness: `SplitMix64`, written out so that a seed means the same for ever and on every machine.
//!
//! The state is one 64-bit number that grows by a fixed odd constant; each output is that number mixed (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", 2014). [`Random::fork`] makes an independent stream for each part of the simulator, so that a
//! change in how one part draws does not affect the others.

/// 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of pseudorandom numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream for `purpose`, which does not depend on draws from other forks.
    #[must_use]
    pub fn fork(&self, purpose: &str) -> Self {
        // FNV-1a of the purpose, mixed into the state.
        let label = purpose.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { state: mix(self.state ^ mix(label)) }
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `bound`; 0 if `bound` is 0. It takes the high half of a 128-bit product, which needs no division and has a bias below
    /// 2^-32 for every bound used here.
    pub fn below(&mut self, bound: u64) -> u64 {
        (u128::from(self.next()).wrapping_mul(u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, inclusive.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// True with a probability of `per_mille` / 1000.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A random element; `None` if there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// Shuffles the elements.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            let other = self.index(last.saturating_add(1));
            elements.swap(last, other);
        }
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn forks_depend_on_seed_and_purpose_only() {
        let mut drawn = Random::new(1);
        let before = drawn.fork("network").next();
        assert_ne!(before, drawn.fork("disk").next());
        assert_ne!(before, Random::new(2).fork("network").next());
        assert_eq!(before, Random::new(1).fork("network").next());
        drawn.next();
        assert_ne!(before, drawn.fork("network").next());
    }

    #[test]
    fn draws_stay_in_their_ranges_and_reach_their_ends() {
        let mut random = Random::new(3);
        let (mut seen, mut certain, mut order) = ([0; 5], 0, [0, 1, 2, 3, 4, 5, 6, 7]);
        for _ in 0..1_000 {
            let drawn = random.between(10, 14);
            seen[usize::try_from(drawn - 10).unwrap()] += 1;
            certain += usize::from(random.chance(1_000));
            assert!(!random.chance(0));
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!(certain, 1_000);
        assert_eq!(random.below(0), 0);
        random.shuffle(&mut order);
        assert_ne!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(random.pick::<u8>(&[]), None);
    }
}
