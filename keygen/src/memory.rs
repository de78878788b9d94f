//! Secrets in this process's memory: one copy each, wiped when dropped.
//!
//! Moving a value copies it and does not wipe the old place. So secrets live on the heap, where a move copies a pointer, and the stack used to
//! read or create them is overwritten afterwards. docs/operate.md says which copies the libraries keep.

use zeroize::Zeroizing;

/// The seed of an ed25519 key.
pub(crate) type Seed = Box<Zeroizing<[u8; 32]>>;

/// More stack than reading, decrypting and deriving a key uses.
const STACK_BYTES: usize = 256 << 10;

/// Runs `work` on a part of the stack that is overwritten afterwards.
pub(crate) fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    // Not inlined, so that `overwrite` gets the stack frames that `work` has left.
    #[inline(never)]
    fn call<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    #[expect(clippy::large_stack_arrays, reason = "it must reach at least as deep as the work did")]
    fn overwrite() {
        std::hint::black_box(&mut [0u8; STACK_BYTES]);
    }
    let done = call(work);
    overwrite();
    done
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "tests; clippy.toml's exemption covers a plain `cfg(test)` only")]
pub(crate) mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::FileExt,
    };

    use super::*;

    const SEED: usize = 32;
    const PAGE: usize = 4096;

    /// Number of copies of a seed in this process's memory. The seed is passed inverted, so that the search does not find its own argument.
    pub(crate) fn copies_of_inverted(inverted: &[u8; SEED]) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        // A page and the beginning of the next. The buffer itself is excluded from the search below.
        let mut seen = vec![0; PAGE + SEED - 1];
        let own = seen.as_ptr().addr()..seen.as_ptr().addr() + seen.len();
        let mut count = 0;
        for line in maps.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|number| usize::from_str_radix(number, 16).unwrap());
            for page in (start..end).step_by(PAGE) {
                // Short at the end of a range, and empty where another thread has unmapped the page in the meantime.
                let read = memory.read_at(&mut seen, page as u64).unwrap_or(0);
                for (address, byte) in (page..).zip(&mut seen[..read]) {
                    if own.contains(&address) {
                        *byte = 0;
                    }
                }
                let is_seed = |window: &[u8]| window.iter().zip(inverted).all(|(byte, inverted)| *byte == !inverted);
                count += seen[..read].windows(SEED).filter(|window| is_seed(window)).count();
                seen.fill(0);
            }
        }
        count
    }

    #[test]
    fn what_a_call_leaves_on_the_stack_is_overwritten() {
        #[inline(never)]
        fn leave(inverted: [u8; 32]) {
            let secret = inverted.map(|byte| !byte);
            std::hint::black_box(&secret);
        }
        let mut inverted = [0; 32];
        getrandom::fill(&mut inverted).unwrap();
        leave(inverted);
        on_wiped_stack(|| leave(inverted));
        assert_eq!(copies_of_inverted(&inverted), 0);
    }
}
