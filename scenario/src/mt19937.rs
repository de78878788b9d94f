//! Python's random number generator, as far as the course's `pseudorandom(seed, n)` needs it, to draw the same workloads as the course.
//!
//! MT19937 with `init_by_array` (Matsumoto and Nishimura, 1998), used as `CPython` 3 does in `random.seed(int)`, `randint` and `choice`: to
//! draw a number below n, it draws k-bit numbers, k the bit length of n, until one is below n.

const STATE: usize = 624;
const SHIFT: usize = 397;

/// The generator.
#[derive(Debug)]
pub(crate) struct Mt19937 {
    state: Vec<u32>,
    used: usize,
}

impl Mt19937 {
    /// Like `random.seed(seed)`, for a non-negative seed.
    pub(crate) fn new(seed: u64) -> Self {
        let low = (seed & 0xffff_ffff) as u32;
        let high = (seed >> 32) as u32;
        let key: Vec<u32> = if high == 0 { vec![low] } else { vec![low, high] };
        let mut random = Self { state: vec![19_650_218], used: STATE };
        for index in 1..STATE {
            let last = random.at(index.saturating_sub(1));
            let next = 1_812_433_253u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(number(index));
            random.state.push(next);
        }
        let (mut index, mut place) = (1usize, 0usize);
        for _ in 0..STATE {
            let last = random.at(index.saturating_sub(1));
            let added = key.get(place).copied().unwrap_or_default().wrapping_add(number(place));
            random.mix(&mut index, |now| (now ^ (last ^ (last >> 30)).wrapping_mul(1_664_525)).wrapping_add(added));
            place = place.saturating_add(1);
            if place >= key.len() {
                place = 0;
            }
        }
        for _ in 1..STATE {
            let last = random.at(index.saturating_sub(1));
            let taken = number(index);
            random.mix(&mut index, |now| (now ^ (last ^ (last >> 30)).wrapping_mul(1_566_083_941)).wrapping_sub(taken));
        }
        random.put(0, 0x8000_0000);
        random
    }

    /// Like `random.randint(low, high)`, bounds included.
    pub(crate) fn randint(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// Like `random.choice(letters)`.
    pub(crate) fn choice(&mut self, letters: &[u8]) -> u8 {
        let index = self.below(number(letters.len()));
        letters.get(usize::try_from(index).unwrap_or(0)).copied().unwrap_or_default()
    }

    fn below(&mut self, bound: u32) -> u32 {
        let bits = u32::BITS.saturating_sub(bound.leading_zeros());
        if bits == 0 {
            return 0;
        }
        loop {
            let drawn = self.next() >> u32::BITS.saturating_sub(bits);
            if drawn < bound {
                return drawn;
            }
        }
    }

    fn next(&mut self) -> u32 {
        if self.used >= STATE {
            for index in 0..STATE {
                let joined = (self.at(index) & 0x8000_0000) | (self.at(index.saturating_add(1) % STATE) & 0x7fff_ffff);
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                let next = self.at(index.saturating_add(SHIFT) % STATE) ^ (joined >> 1) ^ twist;
                self.put(index, next);
            }
            self.used = 0;
        }
        let mut drawn = self.at(self.used);
        self.used = self.used.saturating_add(1);
        drawn ^= drawn >> 11;
        drawn ^= (drawn << 7) & 0x9d2c_5680;
        drawn ^= (drawn << 15) & 0xefc6_0000;
        drawn ^ (drawn >> 18)
    }

    /// One seeding step: changes a word and moves to the next; the last word is copied to the front.
    fn mix(&mut self, index: &mut usize, change: impl FnOnce(u32) -> u32) {
        let changed = change(self.at(*index));
        self.put(*index, changed);
        *index = index.saturating_add(1);
        if *index >= STATE {
            self.put(0, changed);
            *index = 1;
        }
    }

    fn at(&self, index: usize) -> u32 {
        self.state.get(index).copied().unwrap_or_default()
    }

    fn put(&mut self, index: usize, word: u32) {
        if let Some(place) = self.state.get_mut(index) {
            *place = word;
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected values are CPython 3's: `random.seed(s); [random.getrandbits(32) for _ in range(4)]`, and
    // `str(random.randint(1, 4)) + ''.join(random.choice(string.ascii_lowercase) for _ in range(4))`.

    #[test]
    fn draws_what_python_draws() {
        let cases = [
            (0, [3_626_764_237, 1_654_615_998, 3_255_389_356, 3_823_568_514]),
            (1, [577_090_037, 2_444_712_010, 3_639_700_191, 3_445_702_192]),
            (233, [2_931_216_007, 3_446_561_803, 2_698_614_761, 748_818_161]),
            (4_294_967_301, [675_479_763, 2_085_189_291, 1_213_270_837, 3_822_202_474]),
            (18_446_744_073_709_551_615, [93_740_670, 1_068_495_656, 1_452_108_352, 2_657_516_307]),
        ];
        for (seed, expected) in cases {
            let mut random = Mt19937::new(seed);
            assert_eq!(expected.map(|_| random.next()), expected, "seed {seed}");
        }
        let mut late = Mt19937::new(7);
        assert_eq!((0..2_000).map(|_| late.next()).last(), Some(2_803_521_222));
    }

    #[test]
    fn chooses_what_python_chooses() {
        let mut random = Mt19937::new(233);
        let word = |random: &mut Mt19937| {
            let kind = random.randint(1, 4).to_string();
            (0..4).fold(kind, |word, _| format!("{word}{}", char::from(random.choice(b"abcdefghijklmnopqrstuvwxyz"))))
        };
        let words: Vec<String> = (0..6).map(|_| word(&mut random)).collect();
        assert_eq!(words, ["2qhzp", "2cdih", "1cvht", "2xjdp", "3gcjp", "2twkj"]);
    }
}
