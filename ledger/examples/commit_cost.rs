//! The cost of a transfer in the ledger: µs of speculation and of commit, on `RocksDB`, for blocks of several sizes.
//!
//! `cargo run --release -p quorate-ledger --features rocks --example commit_cost -- [accounts] [transfers]`

use std::{collections::BTreeMap, error::Error, time::Instant};

use quorate_builtin::{BankOperation, GenesisAccount, Operation};
use quorate_ledger::{Batch, Ledger, RocksOptions, RocksStore, Store, genesis_header, genesis_qc, schema};
use quorate_types::{
    block::{Block, BlockContent, Payload},
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, Parameters},
    ids::{Address, ChainId, ValidatorId},
    round::{Epoch, Round, Sequence, UnixMillis},
    transaction::Transaction,
    verify::{Verified, Verifier},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

const BLOCK_SIZES: [usize; 4] = [1, 10, 100, 1_000];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let accounts: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let transfers: usize = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    println!("{accounts} accounts, {transfers} transfers per block size (1/100 of that for blocks of 1, 1/10 for blocks of 10)");
    println!("{:>10} {:>14} {:>14} {:>14} {:>14}", "block", "speculate µs", "commit µs", "sum µs/tx", "vote sync µs");
    for size in BLOCK_SIZES {
        let count = match size {
            1 => transfers / 100,
            10 => transfers / 10,
            _ => transfers,
        };
        run(size, accounts, count)?;
    }
    Ok(())
}

/// Sends `count` transfers between random-looking accounts, in blocks of `size`, and prints the median cost of one.
fn run(size: usize, accounts: usize, count: usize) -> Result<(), Box<dyn Error>> {
    let validator = SigningKey::from_seed(&[1; 32]);
    let senders: Vec<SigningKey> = (0..accounts).map(sender).collect();
    let addresses: Vec<Address> = senders.iter().map(|key| Address::of(&key.public())).collect();
    let genesis = genesis(&validator, &addresses);
    let (header, _) = genesis_header(&quorate_builtin::app(), &genesis)?;
    let verifier = Verifier::new(genesis.committee()?, genesis_qc(&header), genesis.parameters);
    let mut next = vec![0u64; accounts];
    let txs: Vec<Transaction> = (0..count)
        .filter_map(|i| {
            let (from, to) = (scatter(2 * i, accounts), scatter(2 * i + 1, accounts));
            let sequence = next.get_mut(from)?;
            let operation = Operation::Bank(BankOperation::Transfer { to: *addresses.get(to)?, amount: 1 });
            let tx = Transaction::sign(
                verifier.genesis_hash(),
                senders.get(from)?,
                Sequence(*sequence),
                UnixMillis(u64::MAX),
                operation.encode(),
            );
            *sequence += 1;
            Some(tx)
        })
        .collect();

    let home = tempfile::tempdir()?;
    let store = RocksStore::open(home.path().join("data"), RocksOptions::default())?;
    let mut ledger = Ledger::open(store, &quorate_builtin::app(), &genesis)?;
    let (mut speculate, mut commit, mut sync) = (Vec::new(), Vec::new(), Vec::new());
    let mut qc = verifier.genesis_qc().into_inner();
    let mut parent: Option<Block> = None;
    for (round, payload) in (1u64..).zip(txs.chunks(size)) {
        let block = Block::new(BlockContent {
            genesis_hash: verifier.genesis_hash(),
            epoch: Epoch(0),
            author: ValidatorId(0),
            round: Round(round),
            timestamp: UnixMillis(round),
            payload: Payload::try_from(payload.to_vec())?,
            qc,
        });
        let start = Instant::now();
        let state_id = ledger.speculate(&block)?;
        speculate.push(micros(start));

        // The replica does this before its vote leaves.
        let start = Instant::now();
        let mut batch = Batch::new();
        schema::put_pending(&mut batch, &block);
        ledger.store().write_sync(batch)?;
        sync.push(micros(start));

        qc = certify(&verifier, &validator, &block, state_id)?;
        let start = Instant::now();
        if let Some(parent) = parent.replace(block) {
            ledger.commit(&[&parent], &qc)?;
            commit.push(micros(start));
        }
    }
    let size = f64::from(u32::try_from(size)?);
    let (speculate, commit, sync) = (median(speculate), median(commit), median(sync));
    println!("{size:>10} {:>14.2} {:>14.2} {:>14.2} {sync:>14.0}", speculate / size, commit / size, (speculate + commit) / size);
    Ok(())
}

/// Other load on the machine disturbs a median over blocks less than a mean.
fn median(mut micros: Vec<f64>) -> f64 {
    micros.sort_by(f64::total_cmp);
    micros.get(micros.len() / 2).copied().unwrap_or_default()
}

fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

fn sender(index: usize) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&index.to_le_bytes());
    SigningKey::from_seed(&seed)
}

/// Spreads indexes over the accounts, the same in every run.
fn scatter(index: usize, accounts: usize) -> usize {
    (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % accounts
}

fn genesis(key: &SigningKey, addresses: &[Address]) -> Genesis {
    let network = SigningKey::from_seed(&[2; 32]);
    let validator = Validator {
        name: "only".into(),
        consensus_key: key.public(),
        network_key: network.public(),
        address: "/ip4/127.0.0.1/tcp/1".into(),
        power: VotingPower(1),
        operator: None,
    };
    let accounts: Vec<_> = addresses.iter().map(|address| GenesisAccount { address: *address, balance: 1 << 32 }).collect();
    Genesis::draft(
        ChainId(1),
        "cost",
        UnixMillis(0),
        Parameters::default(),
        quorate_builtin::Settings::default().with_accounts(accounts).in_genesis(),
    )
    .with_validators([(validator, key, &network)])
}

fn certify(
    verifier: &Verifier,
    key: &SigningKey,
    block: &Block,
    exec_state_id: quorate_types::ids::StateId,
) -> Result<QuorumCert, Box<dyn Error>> {
    let parent = block.qc().vote_info;
    let vote_info = VoteInfo { id: block.id(), round: block.round(), parent_id: parent.id, parent_round: parent.round, exec_state_id };
    let commit_state_id = vote_info.commits_parent().then_some(parent.exec_state_id);
    let commit_info =
        LedgerCommitInfo { genesis_hash: verifier.genesis_hash(), epoch: Epoch(0), commit_state_id, vote_info_hash: vote_info.digest() };
    let vote = Verified::<Vote>::sign(vote_info, commit_info, &verifier.genesis_qc(), ValidatorId(0), key).ok_or("a key signs")?;
    let votes = BTreeMap::from([(ValidatorId(0), vote)]);
    Ok(Verified::<QuorumCert>::aggregate(verifier.committee(), &votes).ok_or("one validator is a quorum of one")?.into_inner())
}
