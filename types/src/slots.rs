//! A small file of two slots that are written in turn: a write that is torn spares the older slot.
//!
//! ```text
//! file   | slot 0, padded to 4,096 bytes | slot 1, padded to 4,096 bytes |
//! slot   | body | checksum 32 |      the body holds a counter; its parity selects the slot
//! ```

use crate::crypto::{Hash, Tag};

/// Length of the file, in bytes.
pub const FILE_BYTES: usize = 2 * STRIDE;

/// Puts the slots into different pages and sectors.
const STRIDE: usize = 4_096;

/// A slot to write to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWrite {
    /// Offset in the file, in bytes.
    pub at: usize,
    /// The slot.
    pub bytes: Vec<u8>,
}

/// The slot of a body with this counter, which is one above that of the last write.
#[must_use]
pub fn slot(checksums: &'static Tag, counter: u64, mut bytes: Vec<u8>) -> SlotWrite {
    let checksum = Hash::of(checksums, &bytes);
    bytes.extend(checksum.0);
    SlotWrite { at: if counter.is_multiple_of(2) { 0 } else { STRIDE }, bytes }
}

/// A whole file, of its first two slots.
#[must_use]
pub fn whole(slots: [SlotWrite; 2]) -> Vec<u8> {
    let mut file = Vec::with_capacity(FILE_BYTES);
    for slot in slots {
        file.extend(slot.bytes);
        file.resize(file.len().next_multiple_of(STRIDE), 0);
    }
    file
}

/// The newest intact slot whose body, of this length, decodes to a counter and a value.
#[must_use]
pub fn newest<T>(checksums: &'static Tag, file: &[u8], length: usize, decode: impl Fn(&[u8]) -> Option<(u64, T)>) -> Option<(u64, T)> {
    let intact = |at| {
        let (body, rest) = file.get(at..)?.split_at_checked(length)?;
        let checksum = rest.split_first_chunk::<32>()?.0;
        (Hash::of(checksums, body).0 == *checksum).then(|| decode(body)).flatten()
    };
    [0, STRIDE].into_iter().filter_map(intact).max_by_key(|(counter, _)| *counter)
}
