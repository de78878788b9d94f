//! The first bytes of every stream, which check that both ends belong to the same network.
//!
//! The opener sends a hello. The acceptor compares it with its own and answers with one byte, followed by its own hello if they differ, so
//! that both operators see which value differs.
//!
//! ```text
//! hello   | magic "QRTH" | protocol_version u32 | application [u8; 32] | application_version u32 | chain_id u64 | genesis_hash [u8; 32] |
//!                                                                                            84 bytes, integers big-endian
//! answer  | 0 |                              accepted
//!         | 1 | hello of the acceptor |      refused
//!         | 2 |                              accepted, and another connection with this identity was up until a moment ago
//! ```
//!
//! A peer with a valid key but another chain is an operator's mistake, not an attack: it gets an explanation, and the link is retried later.

use std::fmt;

use thiserror::Error;

use crate::status::Refusal;

/// What two validators must agree on before they exchange anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the network replicates.
    pub application: ApplicationId,
    /// The chain id in the genesis.
    pub chain_id: u64,
    /// The hash of the genesis.
    pub genesis_hash: [u8; 32],
    /// Version of the messages carried in frames.
    pub protocol_version: u32,
}

/// An application and the version of its rules. The genesis hash covers both; they are repeated here so that a difference can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationId {
    /// Padded with zeros.
    name: [u8; 32],
    version: u32,
}

impl ApplicationId {
    /// Only the first 32 bytes of `name` count.
    #[must_use]
    pub fn new(name: &str, version: u32) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        Self { name: bytes, version }
    }
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // These may be a peer's bytes: only characters that are legal in a name get into a log.
        let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let name: String =
            self.name.iter().take_while(|byte| **byte != 0).map(|byte| if is_plain(byte) { char::from(*byte) } else { '?' }).collect();
        write!(f, "{name} version {}", self.version)
    }
}

/// Length of an encoded hello.
pub(crate) const HELLO_BYTES: usize = 84;

/// Answer of an acceptor whose hello is equal.
pub(crate) const ANSWER_ACCEPTED: u8 = 0;

/// Answer of an acceptor whose hello differs; its hello follows.
pub(crate) const ANSWER_REFUSED: u8 = 1;

/// Answer of an acceptor whose hello is equal, if a node with the opener's identity was still connected when the opener connected. It is a
/// hint and proves nothing: the opener may have restarted, or two nodes may run with its key.
pub(crate) const ANSWER_DOUBLED: u8 = 2;

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
        bytes[8..40].copy_from_slice(&self.application.name);
        bytes[40..44].copy_from_slice(&self.application.version.to_be_bytes());
        bytes[44..52].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[52..].copy_from_slice(&self.genesis_hash);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Hello, MalformedHello> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(MalformedHello)?;
        let (protocol_version, rest) = rest.split_first_chunk::<4>().ok_or(MalformedHello)?;
        let (name, rest) = rest.split_first_chunk::<32>().ok_or(MalformedHello)?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(MalformedHello)?;
        let (chain_id, rest) = rest.split_first_chunk::<8>().ok_or(MalformedHello)?;
        let (genesis_hash, _) = rest.split_first_chunk::<32>().ok_or(MalformedHello)?;
        if *magic != MAGIC {
            return Err(MalformedHello);
        }
        Ok(Hello {
            application: ApplicationId { name: *name, version: u32::from_be_bytes(*version) },
            chain_id: u64::from_be_bytes(*chain_id),
            genesis_hash: *genesis_hash,
            protocol_version: u32::from_be_bytes(*protocol_version),
        })
    }

    /// The first difference between our hello (`self`) and a peer's, or `None` if they are equal.
    pub(crate) fn difference(&self, theirs: &Hello) -> Option<Refusal> {
        if self.protocol_version != theirs.protocol_version {
            Some(Refusal::ProtocolVersion { ours: self.protocol_version, theirs: theirs.protocol_version })
        } else if self.application != theirs.application {
            Some(Refusal::Application { ours: self.application, theirs: theirs.application })
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

    fn hello() -> Hello {
        Hello { application: ApplicationId::new("counter", 5), chain_id: 0x0102, genesis_hash: [7; 32], protocol_version: 3 }
    }

    #[test]
    fn a_hello_has_these_golden_bytes() {
        let mut golden = b"QRTH\0\0\0\x03counter".to_vec();
        golden.extend([0; 25]);
        golden.extend(b"\0\0\0\x05\0\0\0\0\0\0\x01\x02");
        golden.extend([7; 32]);
        assert_eq!(hello().encode().to_vec(), golden);
        assert_eq!(Hello::decode(&hello().encode()), Ok(hello()));
    }

    #[test]
    fn bytes_without_the_magic_are_not_a_hello() {
        assert_eq!(Hello::decode(&[0xff; HELLO_BYTES]), Err(MalformedHello));
    }

    #[test]
    fn the_difference_names_the_value_that_differs() {
        assert_eq!(hello().difference(&hello()), None);
        let version = Hello { protocol_version: 4, ..hello() };
        assert_eq!(hello().difference(&version), Some(Refusal::ProtocolVersion { ours: 3, theirs: 4 }));
        let application = Hello { application: ApplicationId::new("bell\x07", 1), ..hello() };
        let refusal = hello().difference(&application).unwrap();
        assert_eq!(refusal.to_string(), "application differs: ours counter version 5, theirs bell? version 1");
        let chain = Hello { chain_id: 9, ..hello() };
        assert_eq!(hello().difference(&chain), Some(Refusal::ChainId { ours: 0x0102, theirs: 9 }));
        let genesis = Hello { genesis_hash: [8; 32], ..hello() };
        assert_eq!(hello().difference(&genesis), Some(Refusal::GenesisHash { ours: [7; 32], theirs: [8; 32] }));
    }
}
