//! The cost of this crate's checks on this machine, in microseconds: the tenth percentile, which other load on the machine disturbs least.
//!
//! `cargo run --release -p quorate-types --example crypto_cost`

#![expect(clippy::expect_used, reason = "a benchmark, not part of the product")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::{hint::black_box, sync::Arc, time::Instant};

use quorate_types::{
    block::{Block, BlockContent},
    codec,
    committee::{Committee, SignerSet, Validator, VotingPower},
    crypto::{BatchItem, Hash, SigningKey, verify_batch, verify_each},
    genesis::Parameters,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    round::{Epoch, Round, Sequence, UnixMillis},
    transaction::Transaction,
    verify::Verifier,
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};

const REPETITIONS: usize = 101;
const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));

/// The time of one call, divided by `parts`.
fn row(name: &str, parts: usize, mut call: impl FnMut()) {
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    let time = times.get(times.len() / 10).copied().unwrap_or_default();
    println!("{name:<52} {:>9.2}", time / f64::from(u32::try_from(parts).unwrap_or(u32::MAX)));
}

fn digest(number: usize) -> Hash {
    let mut bytes = [0; 32];
    for (byte, digit) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *byte = digit;
    }
    Hash(bytes)
}

fn committee(keys: &[SigningKey]) -> Arc<Committee> {
    let validators = keys.iter().zip(100u8..).map(|(key, n)| Validator {
        name: format!("validator-{n}"),
        consensus_key: key.public(),
        network_key: SigningKey::from_seed(&[n; 32]).public(),
        address: "/ip4/127.0.0.1/tcp/1".into(),
        power: VotingPower(1),
        operator: None,
    });
    Committee::new(Epoch(0), validators.collect()).expect("a committee")
}

fn certificate(keys: &[SigningKey], round: u64, signers: usize) -> QuorumCert {
    let vote_info = VoteInfo {
        id: BlockId(digest(1)),
        round: Round(round),
        parent_id: BlockId(digest(2)),
        parent_round: Round(round - 1),
        exec_state_id: StateId(digest(3)),
    };
    let commit_info = LedgerCommitInfo {
        genesis_hash: NETWORK,
        epoch: Epoch(0),
        commit_state_id: Some(StateId(digest(4))),
        vote_info_hash: vote_info.digest(),
    };
    let signatures: Vec<_> = keys.iter().take(signers).map(|key| key.sign(&commit_info.digest())).collect();
    let signers: SignerSet = (0u16..).take(signers).map(ValidatorId).collect();
    QuorumCert { vote_info, commit_info, signers, signatures: signatures.try_into().expect("few") }
}

fn main() {
    let senders: Vec<_> = (1..=255u8).map(|n| SigningKey::from_seed(&[n; 32])).collect();
    let decoded: Vec<_> = senders.iter().filter_map(|key| key.public().decode().ok()).collect();
    let items: Vec<BatchItem<'_>> = (0..1_024)
        .zip(senders.iter().zip(&decoded).cycle())
        .map(|(n, (signer, key))| BatchItem { key, digest: digest(n), signature: signer.sign(&digest(n)) })
        .collect();

    println!("{:<52} {:>9}", "", "µs");
    let (signer, key, first) = (&senders[0], &decoded[0], items[0]);
    row("sign", 10, || (0..10).for_each(|_| assert_ne!(black_box(signer.sign(&first.digest)).0, [0; 64])));
    row("decode a public key", 10, || (0..10).for_each(|_| drop(black_box(signer.public().decode()))));
    row("verify one signature", 10, || (0..10).for_each(|_| key.verify(&first.digest, &first.signature).expect("valid")));
    for size in [2, 3, 8, 16, 32, 64, 128, 256, 512, 1_024] {
        row(&format!("verify a batch of {size}, each"), size, || verify_batch(black_box(&items[..size])).expect("valid"));
    }
    let mut spoiled = items[..128].to_vec();
    spoiled[77].signature.0[40] ^= 1;
    row("find the bad signature among 128, each", 128, || drop(black_box(verify_each(&spoiled))));

    for (count, quorum) in [(4u8, 3), (100, 67)] {
        let mut keys: Vec<_> = (0..count).map(|n| SigningKey::from_seed(&[n; 32])).collect();
        keys.sort_by_key(SigningKey::public);
        let genesis = QuorumCert::genesis(Epoch(0), NETWORK, StateId::default());
        let verifier = Verifier::new(committee(&keys), genesis, Parameters::default());
        let certificates: Vec<_> = (1..=REPETITIONS as u64).map(|round| certificate(&keys, round, quorum)).collect();
        let mut next = certificates.iter();
        row(&format!("a new certificate, n = {count}"), 1, || drop(verifier.quorum_cert(next.next().expect("enough")).expect("valid")));
        row(&format!("a certificate seen before, n = {count}"), 1, || drop(verifier.quorum_cert(&certificates[0]).expect("valid")));
    }

    // As long as a bank transfer.
    let payload = vec![7; 42];
    let transactions: Vec<_> = (0..1_000u64)
        .zip(senders.iter().cycle())
        .map(|(n, key)| Transaction::sign(NETWORK, key, Sequence(n), UnixMillis(9), payload.clone()))
        .collect();
    println!("a transfer has {} bytes", transactions[0].raw().len());
    row("Transaction::decode", 1_000, || {
        for transaction in &transactions {
            drop(black_box(Transaction::decode(transaction.raw().clone())));
        }
    });
    let block = Block::new(BlockContent {
        genesis_hash: NETWORK,
        epoch: Epoch(0),
        author: ValidatorId(0),
        round: Round(5),
        timestamp: UnixMillis(1),
        payload: transactions.try_into().expect("few"),
        qc: certificate(&senders, 4, 3),
    });
    let bytes = codec::encode(&block);
    row("decode a block of 1,000 transfers, each", 1_000, || drop(black_box(codec::decode::<Block>(&bytes, bytes.len()))));
    row("encode a block of 1,000 transfers, each", 1_000, || drop(black_box(codec::encode(&block))));
}
