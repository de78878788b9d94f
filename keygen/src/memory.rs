//! Secrets in the memory of this process: one copy each, wiped when dropped.
//!
//! A value that is moved is copied, and its old place is not wiped. So secrets lie on the heap, where a move copies a pointer, and the stack on
//! which they were read or made is overwritten afterwards. What the libraries keep of their own is said in docs/operate.md.

use zeroize::Zeroizing;

/// The seed of an ed25519 key.
pub(crate) type Seed = Box<Zeroizing<[u8; 32]>>;

/// More than reading, decrypting and deriving a key takes.
const STACK_BYTES: usize = 256 << 10;

/// Does something with secrets on a part of the stack that is overwritten afterwards.
pub(crate) fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    // Neither is inlined into the other, so that the second uses the memory that the first has left.
    #[inline(never)]
    fn call<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    #[expect(clippy::large_stack_arrays, reason = "to reach as far down as the work did is what it is for")]
    fn overwrite() {
        std::hint::black_box(&mut [0u8; STACK_BYTES]);
    }
    let done = call(work);
    overwrite();
    done
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "tests; clippy.toml knows only `cfg(test)` by itself")]
pub(crate) mod tests {
    use std::{
        fs::{self, File},
        io::{Read, Seek, SeekFrom},
    };

    use super::*;

    /// How often 32 bytes stand in the memory of this process. They are given inverted, so that the search does not find itself.
    pub(crate) fn copies_of_inverted(inverted: &[u8; 32]) -> usize {
        let mut memory = File::open("/proc/self/mem").unwrap();
        let mut count = 0;
        for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(start)).unwrap();
            // A part may have been unmapped by another thread meanwhile.
            if memory.read_exact(&mut bytes).is_err() {
                continue;
            }
            // What has been read holds the secret too, and must not be found by a later look.
            for byte in &mut bytes {
                *byte = !*byte;
            }
            count += bytes.windows(32).filter(|window| *window == inverted).count();
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
