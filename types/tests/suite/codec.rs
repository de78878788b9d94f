//! The encoding: one encoding of each value, bounds checked before allocation, and no bytes that make decoding panic (B14, B15).

use std::{cell::Cell, fmt, sync::OnceLock};

use proptest::{array::uniform32, collection::vec, option, prelude::*};
use quorate_types::{
    block::{Block, BlockContent, BlockHead, Proposal},
    codec::{self, Bounded, DecodeError},
    committee::{PerSigner, SignerSet},
    crypto::{Hash, PublicKey, Signature},
    genesis::{Genesis, GenesisValidator},
    header::Header,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    message::{
        CATCHUP_BLOCKS_MAX, CatchupRequest, CatchupResponse, FETCH_BLOCKS_MAX, FetchRequest, FetchResponse, MESSAGE_BYTES_MAX, Message,
        RecoveryAnswer, RecoveryRequest, SyncInfo, TransactionBatch,
    },
    proof::{CommitProof, TransactionProof, ValueProof},
    receipt::Receipt,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    settings::Settings,
    sighting::{SeenProposal, SeenTimeout, SeenVote, Sightings},
    timeout::{Timeout, TimeoutCert, TimeoutMessage},
    transaction::{Target, Transaction, TransactionContent},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor, value::Error as ValueError},
};

use crate::{
    fixture::Fixture,
    proofs::{self, header},
};

thread_local! {
    static ELEMENTS: Cell<usize> = const { Cell::new(0) };
}

/// An element that counts how many elements began to decode.
#[derive(Debug, PartialEq, Eq)]
struct Counted(u8);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ELEMENTS.set(ELEMENTS.get() + 1);
        u8::deserialize(deserializer).map(Self)
    }
}

fn elements_begun<const MAX: usize>(bytes: &[u8]) -> (usize, Result<usize, String>) {
    ELEMENTS.set(0);
    let decoded = codec::decode::<Bounded<Counted, MAX>>(bytes, 1 << 20);
    (ELEMENTS.get(), decoded.map(|elements| elements.len()).map_err(|error| error.to_string()))
}

/// A length prefix.
fn uleb(mut length: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes
}

#[test]
fn a_length_above_the_maximum_is_refused_before_the_first_element() {
    for announced in [9, 127, 128, 1 << 20, i32::MAX.cast_unsigned()] {
        let (begun, result) = elements_begun::<8>(&[uleb(announced), vec![0; 100]].concat());
        assert_eq!(begun, 0, "{announced}");
        assert!(result.unwrap_err().contains(&format!("{announced} elements, at most 8")), "{announced}");
    }
    let (begun, result) = elements_begun::<8>(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!((begun, result.is_err()), (0, true), "longer than any sequence may be");
    assert_eq!(elements_begun::<8>(&[8, 0, 0, 0, 0, 0, 0, 0, 0]), (8, Ok(8)));
    assert_eq!(elements_begun::<8>(&[0]), (0, Ok(0)));
}

/// A deserializer that announces more than it has.
struct Boaster(usize);

impl<'de> Deserializer<'de> for Boaster {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_seq(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Boaster {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<Option<T::Value>, ValueError> {
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0)
    }
}

#[test]
fn little_is_allocated_on_the_word_of_a_length_prefix() {
    const MAX: usize = 1 << 30;
    let elements = Bounded::<[u64; 16], MAX>::deserialize(Boaster(MAX)).unwrap().into_inner();
    assert!(elements.capacity() <= 64, "{}", elements.capacity());
    assert!(Bounded::<[u64; 16], MAX>::deserialize(Boaster(MAX + 1)).is_err());
}

/// Every sequence of a message, with a prefix that announces the largest possible length.
#[test]
fn huge_lengths_in_messages_are_refused() {
    let fixture = Fixture::new();
    let huge = uleb(i32::MAX.cast_unsigned());
    for (name, bytes) in encodings(&fixture) {
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged.splice(at..=at, huge.iter().copied());
            decode_all(&forged).for_each(|(kind, again)| {
                if let Some(again) = again {
                    assert_eq!(again, forged, "{name} read as {kind}");
                }
            });
        }
    }
}

#[test]
fn lengths_have_one_spelling() {
    let two = |prefix: &[u8]| codec::decode::<Bounded<u8, 300>>(&[prefix, &[7, 8]].concat(), 1 << 20);
    assert_eq!(two(&[2]).unwrap().to_vec(), [7, 8]);
    for prefix in [&[0x82, 0][..], &[0x82, 0x80, 0], &[0x82, 0x80, 0x80, 0x80, 0], &[0x82, 0x80, 0x80, 0x80, 0x80, 0]] {
        assert!(two(prefix).is_err(), "{prefix:?}");
    }
    assert!(codec::decode::<Option<u8>>(&[2, 0], 9).is_err(), "neither none nor some");
    assert!(codec::decode::<Message>(&[8, 0], 9).is_err(), "no such message");
    assert!(codec::decode::<Message>(&[0x84, 0], 9).is_err(), "a variant in more bytes than it needs");
}

#[test]
fn what_is_too_long_is_not_even_looked_at() {
    assert_eq!(codec::decode::<u64>(&[0; 9], 8), Err(DecodeError::TooLong { len: 9, max: 8 }));
    assert_eq!(
        Message::decode(&vec![0; MESSAGE_BYTES_MAX + 1]),
        Err(DecodeError::TooLong { len: MESSAGE_BYTES_MAX + 1, max: MESSAGE_BYTES_MAX })
    );
    let nine = vec![0u8; 9];
    assert_eq!(Bounded::<u8, 8>::try_from(nine.clone()), Err(DecodeError::TooLong { len: 9, max: 8 }));
    assert_eq!(Bounded::<u8, 8>::truncated(nine).len(), 8);
}

#[test]
fn a_sequence_in_json_is_bounded_as_well() {
    assert_eq!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3]").unwrap().to_vec(), [1, 2, 3]);
    assert!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3,4]").is_err());
}

/// Sequences of zero-sized elements would let a few bytes announce millions of them; unordered or floating values have many encodings.
#[test]
fn no_type_of_the_crate_has_what_the_encoding_cannot_make_canonical() {
    let mut directories = vec![std::path::PathBuf::from("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            // The memory of seen entries is never encoded.
            let is_memory = path.ends_with("seen.rs");
            for word in source.split(|c: char| !c.is_alphanumeric()).filter(|_| !is_memory) {
                assert!(!["HashMap", "HashSet", "f32", "f64"].contains(&word), "{} has {word}", path.display());
            }
            for empty in ["Vec<()>", "Bounded<()"] {
                assert!(!source.contains(empty), "{} has {empty}", path.display());
            }
        }
    }
}

/// Decodes bytes as a type and encodes the value again; `None` if they do not decode.
fn decode_as<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<Vec<u8>> {
    codec::decode::<T>(bytes, MESSAGE_BYTES_MAX).ok().map(|value| codec::encode(&value))
}

/// Decodes bytes as every type that we read from peers, clients and disks.
fn decode_all(bytes: &[u8]) -> impl Iterator<Item = (&'static str, Option<Vec<u8>>)> {
    [
        ("message", decode_as::<Message>(bytes)),
        ("proposal", decode_as::<Proposal>(bytes)),
        ("block", decode_as::<Block>(bytes)),
        ("vote", decode_as::<Vote>(bytes)),
        ("quorum certificate", decode_as::<QuorumCert>(bytes)),
        ("timeout", decode_as::<TimeoutMessage>(bytes)),
        ("timeout certificate", decode_as::<TimeoutCert>(bytes)),
        ("sync info", decode_as::<SyncInfo>(bytes)),
        ("fetch response", decode_as::<FetchResponse>(bytes)),
        ("catch-up response", decode_as::<CatchupResponse>(bytes)),
        ("batch", decode_as::<TransactionBatch>(bytes)),
        ("transaction", Transaction::decode(bytes.into()).ok().map(|transaction| transaction.raw().to_vec())),
        ("settings", decode_as::<Settings>(bytes)),
        ("header", decode_as::<Header>(bytes)),
        ("receipt", decode_as::<Receipt>(bytes)),
        ("commit proof", decode_as::<CommitProof>(bytes)),
        ("transaction proof", decode_as::<TransactionProof>(bytes)),
        ("value proof", decode_as::<ValueProof>(bytes)),
        ("genesis", decode_as::<Genesis>(bytes)),
        ("genesis entry", decode_as::<GenesisValidator>(bytes)),
    ]
    .into_iter()
}

/// Honest encodings of every kind.
fn encodings(fixture: &Fixture) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("proposal", codec::encode(&Message::Proposal(Box::new(fixture.proposal())))),
        ("vote", codec::encode(&Message::Vote(Box::new(fixture.vote())))),
        ("timeout", codec::encode(&Message::Timeout(Box::new(fixture.timeout())))),
        ("sync info", codec::encode(&Message::SyncInfo(Box::new(fixture.sync_info())))),
        ("fetch response", codec::encode(&Message::FetchResponse(Box::new(fixture.fetch_response())))),
        ("catch-up response", codec::encode(&Message::CatchupResponse(Box::new(fixture.catchup_response())))),
        ("batch", codec::encode(&TransactionBatch(Bounded::truncated(vec![fixture.transfer(0), fixture.put(1)])))),
        ("transaction", fixture.transfer(0).raw().to_vec()),
        ("transaction proof", codec::encode(&proofs::transaction_proof(fixture))),
        ("value proof", codec::encode(&proofs::value_proof(fixture))),
        ("genesis", codec::encode(&fixture.genesis)),
    ]
}

fn hash() -> impl Strategy<Value = Hash> {
    uniform32(any::<u8>()).prop_map(Hash)
}

fn signature() -> impl Strategy<Value = Signature> {
    (uniform32(any::<u8>()), uniform32(any::<u8>())).prop_map(|(r, s)| Signature([r, s].concat().try_into().unwrap()))
}

fn per_signer<T: fmt::Debug>(entry: impl Strategy<Value = T>) -> impl Strategy<Value = PerSigner<T>> {
    vec(entry, 0..6).prop_map(|entries| entries.try_into().unwrap())
}

fn signers() -> impl Strategy<Value = SignerSet> {
    vec(0u16..128, 0..6).prop_map(|ids| ids.into_iter().map(ValidatorId).collect())
}

fn quorum_cert() -> impl Strategy<Value = QuorumCert> {
    let vote_info = (hash(), any::<u64>(), hash(), any::<u64>(), hash()).prop_map(|(id, round, parent_id, parent_round, state)| VoteInfo {
        id: BlockId(id),
        round: Round(round),
        parent_id: BlockId(parent_id),
        parent_round: Round(parent_round),
        exec_state_id: StateId(state),
    });
    let commit_info = (hash(), any::<u64>(), option::of(hash()), hash()).prop_map(|(network, epoch, state, vote_info_hash)| {
        LedgerCommitInfo { genesis_hash: GenesisHash(network), epoch: Epoch(epoch), commit_state_id: state.map(StateId), vote_info_hash }
    });
    (vote_info, commit_info, signers(), per_signer(signature())).prop_map(|(vote_info, commit_info, signers, signatures)| QuorumCert {
        vote_info,
        commit_info,
        signers,
        signatures,
    })
}

fn timeout_cert() -> impl Strategy<Value = TimeoutCert> {
    (any::<u64>(), any::<u64>(), signers(), per_signer(any::<u64>().prop_map(Round)), per_signer(signature()), quorum_cert()).prop_map(
        |(epoch, round, signers, high_qc_rounds, signatures, high_qc)| TimeoutCert {
            epoch: Epoch(epoch),
            round: Round(round),
            signers,
            high_qc_rounds,
            signatures,
            high_qc,
        },
    )
}

fn transaction() -> impl Strategy<Value = Transaction> {
    (hash(), any::<(u64, u64, bool)>(), uniform32(any::<u8>()), vec(any::<u8>(), 0..200), signature()).prop_map(
        |(network, numbers, sender, payload, signature)| {
            let content = TransactionContent {
                genesis_hash: GenesisHash(network),
                sender: PublicKey(sender),
                sequence: Sequence(numbers.0),
                expires_at: UnixMillis(numbers.1),
                target: if numbers.2 { Target::Chain } else { Target::Application },
                payload,
            };
            Transaction::decode([codec::encode(&content), signature.0.to_vec()].concat().into()).unwrap()
        },
    )
}

fn block() -> impl Strategy<Value = Block> {
    (hash(), any::<(u64, u16, u64, u64)>(), vec(transaction(), 0..4), quorum_cert()).prop_map(|(network, numbers, payload, qc)| {
        Block::new(BlockContent {
            genesis_hash: GenesisHash(network),
            epoch: Epoch(numbers.0),
            author: ValidatorId(numbers.1),
            round: Round(numbers.2),
            timestamp: UnixMillis(numbers.3),
            payload: payload.try_into().unwrap(),
            qc,
        })
    })
}

fn message() -> impl Strategy<Value = Message> {
    let proposal =
        (block(), option::of(timeout_cert()), quorum_cert(), signature()).prop_map(|(block, last_round_tc, high_commit_qc, signature)| {
            Message::Proposal(Box::new(Proposal { block, last_round_tc, high_commit_qc, signature }))
        });
    let vote = (quorum_cert(), quorum_cert(), any::<u16>(), signature()).prop_map(|(of, high_commit_qc, sender, signature)| {
        let sender = ValidatorId(sender);
        Message::Vote(Box::new(Vote { vote_info: of.vote_info, commit_info: of.commit_info, high_commit_qc, sender, signature }))
    });
    let timeout = (any::<(u64, u64, u16)>(), quorum_cert(), signature(), option::of(timeout_cert()), quorum_cert()).prop_map(
        |((epoch, round, sender), high_qc, signature, last_round_tc, high_commit_qc)| {
            let timeout = Timeout { epoch: Epoch(epoch), round: Round(round), high_qc, sender: ValidatorId(sender), signature };
            Message::Timeout(Box::new(TimeoutMessage { timeout, last_round_tc, high_commit_qc }))
        },
    );
    let sync_info = (quorum_cert(), quorum_cert(), option::of(timeout_cert())).prop_map(|(high_qc, high_commit_qc, last_round_tc)| {
        Message::SyncInfo(Box::new(SyncInfo { high_qc, high_commit_qc, last_round_tc }))
    });
    let recovery_answer =
        (hash(), quorum_cert(), quorum_cert(), option::of(timeout_cert())).prop_map(|(nonce, high_qc, high_commit_qc, last_round_tc)| {
            let certificates = SyncInfo { high_qc, high_commit_qc, last_round_tc };
            Message::RecoveryAnswer(Box::new(RecoveryAnswer { nonce, certificates }))
        });
    let fetch = (hash(), vec(block(), 0..3)).prop_map(|(id, blocks)| {
        assert!(blocks.len() <= FETCH_BLOCKS_MAX);
        Message::FetchResponse(Box::new(FetchResponse { block_id: BlockId(id), blocks: blocks.try_into().unwrap() }))
    });
    let catchup = (any::<u64>(), vec(block(), 0..3), 0..3u8, option::of(quorum_cert())).prop_map(|(from, blocks, headers, commit_qc)| {
        assert!(blocks.len() <= CATCHUP_BLOCKS_MAX);
        let headers: Vec<Header> = (1..=headers).map(header).collect();
        let (blocks, headers) = (blocks.try_into().unwrap(), headers.try_into().unwrap());
        Message::CatchupResponse(Box::new(CatchupResponse { from: Height(from), blocks, headers, commit_qc }))
    });
    prop_oneof![
        proposal,
        vote,
        timeout,
        sync_info,
        (hash(), any::<u64>()).prop_map(|(id, above)| Message::FetchRequest(FetchRequest { block_id: BlockId(id), above: Round(above) })),
        fetch,
        any::<u64>().prop_map(|from| Message::CatchupRequest(CatchupRequest { from: Height(from) })),
        catchup,
        Just(Message::SightingsRequest),
        sightings(),
        hash().prop_map(|nonce| Message::RecoveryRequest(RecoveryRequest { nonce })),
        recovery_answer,
    ]
}

fn sightings() -> impl Strategy<Value = Message> {
    let vote = (quorum_cert(), signature()).prop_map(|(of, signature)| SeenVote {
        vote_info: of.vote_info,
        commit_info: of.commit_info,
        signature,
    });
    let timeout = (any::<(u64, u64, u64)>(), signature()).prop_map(|((epoch, round, high_qc_round), signature)| SeenTimeout {
        epoch: Epoch(epoch),
        round: Round(round),
        high_qc_round: Round(high_qc_round),
        signature,
    });
    let proposal = (any::<(u16, u64, u64, u64)>(), hash(), hash(), signature()).prop_map(
        |((author, round, timestamp, transactions), payload, qc, signature)| {
            let (author, round, timestamp) = (ValidatorId(author), Round(round), UnixMillis(timestamp));
            SeenProposal { head: BlockHead { author, round, timestamp, transactions, payload, qc }, signature }
        },
    );
    (0u16..6, option::of(vote), option::of(timeout), option::of(proposal)).prop_map(|(of, vote, timeout, proposal)| {
        Message::Sightings(Box::new(Sightings { epoch: Epoch(0), of: ValidatorId(of), vote, timeout, proposal }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_read_as_it_was_written(message in message()) {
        let bytes = codec::encode(&message);
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
        prop_assert!(Message::decode(&[&bytes[..], &[0]].concat()).is_err());
        prop_assert!(Message::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    /// The verifier returns a verdict on everything that decodes, whoever sends it.
    #[test]
    fn the_verifier_refuses_nonsense_without_a_panic(message in message(), from: u16) {
        let verdict = Fixture::new().verifier().message(ValidatorId(from % 5), message.clone());
        let harmless = match message {
            Message::FetchRequest(_) | Message::CatchupRequest(_) | Message::SightingsRequest | Message::RecoveryRequest(_) => true,
            Message::Sightings(seen) => seen.of.0 < 4 && seen.vote.is_none() && seen.timeout.is_none() && seen.proposal.is_none(),
            Message::FetchResponse(response) => response.blocks.is_empty(),
            Message::CatchupResponse(response) => {
                response.blocks.is_empty() && response.headers.is_empty() && response.commit_qc.is_none()
            }
            Message::Proposal(_) | Message::Vote(_) | Message::Timeout(_) | Message::SyncInfo(_) | Message::RecoveryAnswer(_) => false,
        };
        prop_assert_eq!(verdict.is_ok(), harmless && from % 5 < 4);
    }

    #[test]
    fn random_bytes_are_refused_or_are_the_one_encoding_of_a_value(bytes in vec(any::<u8>(), 0..600)) {
        for (kind, again) in decode_all(&bytes) {
            if let Some(again) = again {
                prop_assert_eq!(&again, &bytes, "{}", kind);
            }
        }
    }

    /// Honest bytes, cut, overwritten, stretched and recombined.
    #[test]
    fn mutated_bytes_are_refused_or_are_the_one_encoding_of_a_value(
        which: prop::sample::Index,
        other: prop::sample::Index,
        edits in vec((any::<prop::sample::Index>(), 0usize..4, vec(any::<u8>(), 0..12)), 1..4),
        splice in option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        static HONEST: OnceLock<Vec<(&'static str, Vec<u8>)>> = OnceLock::new();
        let honest = HONEST.get_or_init(|| encodings(&Fixture::new()));
        let mut bytes = which.get(honest).1.clone();
        if let Some((cut, from)) = splice {
            let other = &other.get(honest).1;
            bytes.truncate(cut.index(bytes.len()));
            bytes.extend_from_slice(&other[from.index(other.len())..]);
        }
        for (at, removed, inserted) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        for (kind, again) in decode_all(&bytes) {
            if let Some(again) = again {
                prop_assert_eq!(&again, &bytes, "{}", kind);
            }
        }
        if let Ok(message) = Message::decode(&bytes) {
            let _ = Fixture::new().verifier().message(ValidatorId(0), message).is_ok();
        }
    }
}
