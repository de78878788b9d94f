//! The first bytes of every stream: who we think we are talking to.
//!
//! The opener sends a hello, the acceptor compares it with its own and answers with one byte, followed by its own hello if they
//! differ, so that both operators read which value differs.
//!
//! ```text
//! hello   | magic "QRTH" | protocol_version u32 | chain_id u64 | genesis_hash [u8; 32] |    48 bytes, integers big-endian
//! answer  | 0 |                              accepted
//!         | 1 | hello of the acceptor |      refused
//! ```
//!
//! A peer with a valid key but another chain is a mistake of an operator, not an attack: it is told, and tried again later.

use thiserror::Error;

use crate::status::Refusal;

/// What two validators must agree on before they exchange anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Identifier of the chain.
    pub chain_id: u64,
    /// Hash of the genesis file.
    pub genesis_hash: [u8; 32],
    /// Version of the messages that travel in frames.
    pub protocol_version: u32,
}

/// Bytes of an encoded hello.
pub(crate) const HELLO_BYTES: usize = 48;

/// Answer of an acceptor that agrees.
pub(crate) const ANSWER_ACCEPTED: u8 = 0;

/// Answer of an acceptor that does not; its own hello follows.
pub(crate) const ANSWER_REFUSED: u8 = 1;

const MAGIC: [u8; 4] = *b"QRTH";

/// The bytes are not a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the stream does not begin with a quorate hello")]
pub(crate) struct MalformedHello;

impl Hello {
    pub(crate) fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.protocol_version.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[16..].copy_from_slice(&self.genesis_hash);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Hello, MalformedHello> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(MalformedHello)?;
        let (protocol_version, rest) = rest.split_first_chunk::<4>().ok_or(MalformedHello)?;
        let (chain_id, rest) = rest.split_first_chunk::<8>().ok_or(MalformedHello)?;
        let (genesis_hash, _) = rest.split_first_chunk::<32>().ok_or(MalformedHello)?;
        if *magic != MAGIC {
            return Err(MalformedHello);
        }
        Ok(Hello {
            chain_id: u64::from_be_bytes(*chain_id),
            genesis_hash: *genesis_hash,
            protocol_version: u32::from_be_bytes(*protocol_version),
        })
    }

    /// The first difference between our hello (`self`) and a peer's, or `None` if they agree.
    pub(crate) fn difference(&self, theirs: &Hello) -> Option<Refusal> {
        if self.protocol_version != theirs.protocol_version {
            Some(Refusal::ProtocolVersion { ours: self.protocol_version, theirs: theirs.protocol_version })
        } else if self.chain_id != theirs.chain_id {
            Some(Refusal::ChainId { ours: self.chain_id, theirs: theirs.chain_id })
        } else if self.genesis_hash != theirs.genesis_hash {
            Some(Refusal::GenesisHash { ours: self.genesis_hash, theirs: theirs.genesis_hash })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello = Hello { chain_id: 0x0102, genesis_hash: [7; 32], protocol_version: 3 };

    #[test]
    fn a_hello_has_these_golden_bytes() {
        let mut golden = b"QRTH\0\0\0\x03\0\0\0\0\0\0\x01\x02".to_vec();
        golden.extend([7; 32]);
        assert_eq!(HELLO.encode().to_vec(), golden);
        assert_eq!(Hello::decode(&HELLO.encode()), Ok(HELLO));
    }

    #[test]
    fn bytes_without_the_magic_are_not_a_hello() {
        assert_eq!(Hello::decode(&[0xff; HELLO_BYTES]), Err(MalformedHello));
    }

    #[test]
    fn the_difference_names_the_value_that_differs() {
        assert_eq!(HELLO.difference(&HELLO), None);
        let version = Hello { protocol_version: 4, ..HELLO };
        assert_eq!(HELLO.difference(&version), Some(Refusal::ProtocolVersion { ours: 3, theirs: 4 }));
        let chain = Hello { chain_id: 9, ..HELLO };
        assert_eq!(HELLO.difference(&chain), Some(Refusal::ChainId { ours: 0x0102, theirs: 9 }));
        let genesis = Hello { genesis_hash: [8; 32], ..HELLO };
        assert_eq!(HELLO.difference(&genesis), Some(Refusal::GenesisHash { ours: [7; 32], theirs: [8; 32] }));
    }
}
