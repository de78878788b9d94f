//! The ledger itself: open, speculate, commit (paper §3.2).

use std::{collections::BTreeMap, sync::Arc};

use quorate_app::{App, Machine};
use quorate_types::{
    block::Block,
    epoch::EpochState,
    genesis::Genesis,
    header::Header,
    ids::{BlockId, StateId, TxId},
    merkle,
    receipt::Receipt,
    round::{Epoch, Height, Round},
    vote::{QuorumCert, genesis_block_id},
};

use crate::{
    error::LedgerError,
    poison::Poison,
    reader::LedgerReader,
    schema::{self, Column, EpochRecord},
    speculation::{InvalidBlock, Root, Speculated, Speculation},
    state_tree::StateTree,
    store::{Batch, Store},
    view::CommittedView,
};

/// The committed chain and the speculative states above it. Owned by one thread; others read through [`LedgerReader`] and [`CommittedView`].
#[derive(Debug)]
pub struct Ledger<S: Store> {
    store: S,
    machine: Machine,
    speculation: Speculation,
    /// The certificate that commits the root.
    commit_qc: QuorumCert,
    /// The rounds of blocks whose results were forgotten. The blocks stay in the pending column: we may have voted for them, and they may
    /// still be certified.
    forgotten: BTreeMap<BlockId, Round>,
    poison: Poison,
}

/// A block that has just been committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Its result.
    pub header: Header,
    /// The results of its transactions.
    pub receipts: Arc<[Receipt]>,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The newly committed blocks, oldest first.
    pub blocks: Vec<CommittedBlock>,
    /// The speculated blocks that never will be committed, because they do not descend from the new root.
    pub abandoned: Vec<BlockId>,
    /// The last of the blocks has ended its epoch.
    pub ends_epoch: bool,
    /// The new committed state.
    pub view: CommittedView,
}

/// Progress of opening a ledger, for people who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loading {
    /// Keys of the state read so far.
    pub keys: u64,
}

/// Keys between two reports of progress.
const LOADING_STEP: u64 = 1 << 16;

impl<S: Store> Ledger<S> {
    /// Opens the ledger on a store. Writes the genesis into a new store; otherwise rebuilds the state tree and checks that its root is the
    /// committed one.
    ///
    /// # Errors
    /// [`LedgerError`]; each names its fix.
    pub fn open(store: S, app: &App, genesis: &Genesis) -> Result<Self, LedgerError> {
        Self::open_with(store, app, genesis, |_| {})
    }

    /// Like [`Self::open`], but reports progress: opening takes about three microseconds per key of the state.
    ///
    /// # Errors
    /// [`LedgerError`]; each names its fix.
    pub fn open_with(store: S, app: &App, genesis: &Genesis, progress: impl FnMut(Loading)) -> Result<Self, LedgerError> {
        genesis.committee()?;
        let machine = app.open(genesis)?;
        let given = genesis.hash();
        let (root, commit_qc) = match schema::check_schema(&store)? {
            None => Self::create(&store, &machine, genesis)?,
            Some(found) if found != given => return Err(LedgerError::OtherGenesis { found, given }),
            Some(_) => Self::load(&store, progress)?,
        };
        let poison = Poison::load(&store)?;
        Ok(Self { store, machine, speculation: Speculation::new(root), commit_qc, forgotten: BTreeMap::new(), poison })
    }

    fn create(store: &S, machine: &Machine, genesis: &Genesis) -> Result<(Root, QuorumCert), LedgerError> {
        let (header, state) = first_header(machine, genesis)?;
        let commit_qc = genesis_qc(&header);
        let mut batch = Batch::new();
        schema::put_schema(&mut batch, genesis.hash());
        schema::put_committed(&mut batch, header.height);
        schema::put_header(&mut batch, &header, Some(&commit_qc));
        let epoch = genesis.epoch_state();
        schema::put_epoch(&mut batch, &EpochRecord { after: Height(0), state: epoch.clone() });
        for (key, value) in &state {
            batch.put(Column::State, key, &**value);
        }
        store.write_sync(batch)?;
        Ok((Root::new(header, state, Arc::new(epoch)), commit_qc))
    }

    fn load(store: &S, mut progress: impl FnMut(Loading)) -> Result<(Root, QuorumCert), LedgerError> {
        let height = schema::committed(store)?;
        let missing = LedgerError::Missing { column: Column::Header };
        let record = schema::header(store, height)?.ok_or_else(|| missing.clone())?;
        // The last block of every commit is stored with its certificate.
        let commit_qc = record.commit_qc.ok_or(missing)?;

        let mut failure = None;
        let mut keys = 0u64;
        let entries = store.iter(Column::State, &[]).map_while(|entry| {
            keys = keys.saturating_add(1);
            if keys.is_multiple_of(LOADING_STEP) {
                progress(Loading { keys });
            }
            entry.map_err(|error| failure = Some(error)).ok()
        });
        let state = StateTree::from_entries(entries);
        if let Some(error) = failure {
            return Err(error.into());
        }
        let header = record.header;
        if commit_qc.commits().is_none_or(|(_, _, state_id)| state_id != header.state_id()) {
            return Err(LedgerError::HeaderAltered { height });
        }
        if state.root_hash() != header.state_root {
            return Err(LedgerError::StateAltered { height, found: state.root_hash(), committed: header.state_root });
        }
        let epoch = quorate_app::governance::epoch_state(&state).ok_or(LedgerError::Missing { column: Column::State })?;
        Ok((Root::new(header, state, Arc::new(epoch)), commit_qc))
    }

    /// The same committed chain on `store`, a copy of this ledger's store, without the speculated blocks. Lets a simulator open the genesis
    /// once for all of its validators.
    #[must_use]
    pub fn on_copy(&self, store: S) -> Self {
        Self {
            store,
            machine: self.machine.clone(),
            speculation: Speculation::new(self.speculation.root.clone()),
            commit_qc: self.commit_qc.clone(),
            forgotten: BTreeMap::new(),
            poison: self.poison.clone(),
        }
    }

    /// Executes a block on its parent's state and keeps the result (paper: `speculate`). Returns the kept result for a known block. The caller
    /// bounds the number of speculated blocks with [`Self::forget`].
    ///
    /// # Errors
    /// [`InvalidBlock`]; nothing is kept.
    pub fn speculate(&mut self, block: &Block) -> Result<StateId, InvalidBlock> {
        self.speculation.speculate(&self.machine, block)
    }

    /// Whether the application has panicked on a transaction here.
    #[must_use]
    pub fn is_poison(&self, id: &TxId) -> bool {
        self.poison.contains(id)
    }

    /// A transaction of this block on which the application has panicked here, in this block or in another.
    #[must_use]
    pub fn poison_in(&self, block: &Block) -> Option<TxId> {
        self.poison.find(block)
    }

    /// The transaction on which the application panicked when exactly this block was executed here.
    #[must_use]
    pub fn panicked_in(&self, id: &BlockId) -> Option<TxId> {
        self.poison.of_block(id)
    }

    /// Remembers a transaction on which the application panicked, and its block. Durable once this returns.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn remember_poison(&mut self, id: TxId, block: BlockId) -> Result<(), LedgerError> {
        self.poison.remember(&self.store, id, block)
    }

    /// The result of a speculated block or of the committed root (paper: `pending_state`).
    #[must_use]
    pub fn pending_state(&self, id: &BlockId) -> Option<StateId> {
        self.speculation.node(id).map(|node| node.state_id)
    }

    /// The header of a speculated block or of the committed root.
    #[must_use]
    pub fn header(&self, id: &BlockId) -> Option<&Header> {
        self.speculation.node(id).map(|node| node.header)
    }

    /// The state after a speculated block or the committed root: what a leader builds the next payload on.
    #[must_use]
    pub fn state(&self, id: &BlockId) -> Option<&StateTree> {
        self.speculation.node(id).map(|node| node.state)
    }

    /// The receipts of a speculated block; none for the root and for unknown blocks.
    #[must_use]
    pub fn receipts(&self, id: &BlockId) -> Option<&Arc<[Receipt]>> {
        self.speculation.block(id).map(|block| &block.results.receipts)
    }

    /// The block that the next one builds on, and its round: the newest committed block, or the one that the epoch begins with.
    #[must_use]
    pub const fn tip(&self) -> (BlockId, Round) {
        (self.speculation.root.id, self.speculation.root.round)
    }

    /// What governs the next block on the committed chain.
    #[must_use]
    pub const fn epoch(&self) -> &Arc<EpochState> {
        &self.speculation.root.epoch
    }

    /// Whether a speculated block, or one before it, is the last of its epoch: what follows it carries no transactions.
    #[must_use]
    pub fn ends_epoch(&self, id: &BlockId) -> bool {
        self.speculation.block(id).is_some_and(|block| block.epoch.epoch != block.header.epoch)
    }

    /// The header of the last committed block.
    #[must_use]
    pub const fn root(&self) -> &Header {
        &self.speculation.root.header
    }

    /// The certificate that commits the root.
    #[must_use]
    pub const fn commit_qc(&self) -> &QuorumCert {
        &self.commit_qc
    }

    /// The number of speculated blocks.
    #[must_use]
    pub fn speculated(&self) -> usize {
        self.speculation.len()
    }

    /// Drops the results of the blocks that the caller does not keep. The caller must not keep descendants of those either.
    pub fn forget(&mut self, keeps: impl Fn(&BlockId) -> bool) {
        self.forgotten.extend(self.speculation.forget(keeps));
    }

    /// The round of a block whose result was forgotten, while it may still be certified. [`LedgerReader::block`] reads the block by it.
    #[must_use]
    pub fn forgotten(&self, id: &BlockId) -> Option<Round> {
        self.forgotten.get(id).copied()
    }

    /// Commits speculated blocks, oldest first, the first of them on the root. `qc` commits the last of them, and with it the others (paper:
    /// `commit`). Blocks that follow the last one of an epoch leave no trace; after it, the next epoch begins. Everything is one batch; a comment in the body explains why it needs no sync of its own.
    ///
    /// # Errors
    /// [`LedgerError`]; fatal, because the store and this value may then differ.
    pub fn commit(&mut self, blocks: &[&Block], qc: &QuorumCert) -> Result<Committed, LedgerError> {
        let last = blocks.last().ok_or(LedgerError::NothingToCommit)?.id();
        let path = self.speculation.path_to(&last).ok_or(LedgerError::NotNext(last))?;
        // The root itself has an empty path: committing it again is the caller's bug (E10).
        if path.len() != blocks.len() {
            return Err(LedgerError::NotNext(last));
        }
        let parents = [self.speculation.root.id].into_iter().chain(blocks.iter().map(|block| block.id()));
        if let Some((block, _)) = blocks.iter().zip(parents).find(|(block, parent)| block.parent_id() != *parent) {
            return Err(LedgerError::NotNext(block.id()));
        }
        let new = path.last().ok_or(LedgerError::NotNext(last))?;
        match qc.commits() {
            Some((_, _, certified)) if certified == new.state_id => {}
            Some((id, _, certified)) if id == last => return Err(LedgerError::Diverged { block: last, ours: new.state_id, certified }),
            Some(_) | None => return Err(LedgerError::NotCommitted(last)),
        }
        let ends_epoch = new.epoch.epoch != new.header.epoch;
        // The blocks with a result of their own.
        let path: Vec<&Speculated> =
            path.into_iter().zip(blocks).filter(|(result, block)| result.header.block_id == block.id()).map(|(result, _)| result).collect();
        let blocks = blocks.get(..path.len()).unwrap_or_default();
        let new = path.last().ok_or(LedgerError::NotNext(last))?;
        let last = new.header.block_id;

        let mut batch = Batch::new();
        let mut writes = quorate_app::Writes::new();
        for (at, (block, result)) in blocks.iter().zip(&path).enumerate() {
            // Its grandchild holds the certificate of its child, which commits it directly if their rounds are consecutive.
            let grandchild = at.checked_add(2).and_then(|at| blocks.get(at));
            let ours = (block.id(), block.round(), result.state_id);
            let within = grandchild.map(|block| block.qc()).filter(|qc| qc.commits() == Some(ours));
            let commit_qc = if block.id() == last { Some(qc) } else { within };
            schema::put_block(&mut batch, block, &result.header, commit_qc, &result.results);
            writes.extend(result.writes.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        for (key, value) in writes {
            match value {
                Some(value) => batch.put(Column::State, &*key, &*value),
                None => batch.delete(Column::State, &*key),
            }
        }
        let committed = path
            .iter()
            .map(|result| CommittedBlock { header: result.header.clone(), receipts: Arc::clone(&result.results.receipts) })
            .collect();
        let root = Root::new(new.header.clone(), new.state.clone(), Arc::clone(&new.epoch));
        schema::put_committed(&mut batch, root.header.height);
        if ends_epoch {
            schema::put_epoch(&mut batch, &EpochRecord { after: root.header.height, state: EpochState::clone(&root.epoch) });
        }
        // Remove what has a round up to the new root's, which is committed now or never, and what does not descend from the new root. Nothing of
        // an epoch that is over can be committed any more.
        let round = if ends_epoch { Round::LIMIT } else { root.round };
        for key in schema::pending_keys(&self.store, self.speculation.root.round, round)? {
            batch.delete(Column::Pending, key);
        }
        let pruned = self.speculation.not_descending_from(&last);
        let path_ids: Vec<BlockId> = path.iter().map(|result| result.header.block_id).collect();
        let mut abandoned = Vec::new();
        for (id, block) in pruned {
            if !path_ids.contains(&id) {
                schema::delete_pending(&mut batch, block.round, id);
                abandoned.push(id);
            }
        }

        // No sync. A commit needs a certificate for a child of the block, so before its votes for that child left, a quorum had synced the
        // child, the block, and the block's certificate (in the child) to its pending columns. If all validators lose power at once, this
        // quorum comes back with them: everything certified from then on extends the block, a certificate on a descendant commits it again,
        // and `speculate` computes the same result (EXEC-1). A validator that had the blocks from catch-up gets them that way again.
        // Batches reach the disk in order, so the next synced vote makes this commit durable as well. One batch both removes the block from
        // the pending column and adds it to the committed ones, so it is in one of them after any crash.
        self.store.write(batch)?;
        self.speculation.advance(root);
        self.forgotten.retain(|_, forgotten| *forgotten > round);
        self.commit_qc = qc.clone();
        Ok(Committed { blocks: committed, abandoned, ends_epoch, view: self.view() })
    }

    /// The committed state with its proof, for other threads; cheap to clone.
    #[must_use]
    pub fn view(&self) -> CommittedView {
        let Root { header, state, epoch, .. } = &self.speculation.root;
        CommittedView::new(header.clone(), self.commit_qc.clone(), state.clone(), Arc::clone(epoch))
    }

    /// The committed chain, for any thread.
    #[must_use]
    pub fn reader(&self) -> LedgerReader<S> {
        LedgerReader::new(self.store.clone())
    }

    /// The store, where the replica keeps records of its own.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The application, with the settings of the network.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The blocks of the pending column above the root, parents before children, for a restart to speculate on again. Removes older blocks
    /// that a crash between two writes has left behind.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn load_pending(&self) -> Result<Vec<Block>, LedgerError> {
        let (_, root) = self.tip();
        let mut stale = Batch::new();
        for key in schema::pending_keys(&self.store, Round(0), root)? {
            stale.delete(Column::Pending, key);
        }
        if !stale.is_empty() {
            self.store.write(stale)?;
        }
        schema::pending(&self.store).filter(|block| !matches!(block, Ok(block) if block.round() <= root)).collect()
    }
}

/// The first header of a network and the state under it.
///
/// # Errors
/// [`LedgerError::Genesis`], [`LedgerError::Committee`].
pub fn genesis_header(app: &App, genesis: &Genesis) -> Result<(Header, StateTree), LedgerError> {
    first_header(&app.open(genesis)?, genesis)
}

fn first_header(machine: &Machine, genesis: &Genesis) -> Result<(Header, StateTree), LedgerError> {
    let state = StateTree::default().update(machine.genesis_state()?);
    let genesis_hash = genesis.hash();
    let header = Header {
        genesis_hash,
        epoch: Epoch(0),
        height: Height(0),
        round: Round(0),
        block_id: genesis_block_id(genesis_hash),
        parent: StateId::default(),
        timestamp: genesis.timestamp,
        transactions_root: merkle::root(&[]),
        receipts_root: merkle::root(&[]),
        state_root: state.root_hash(),
        epoch_state: genesis.epoch_state().hash(),
    };
    Ok((header, state))
}

/// The certificate of genesis, which nobody signed (S3).
#[must_use]
pub fn genesis_qc(header: &Header) -> QuorumCert {
    QuorumCert::genesis(header.epoch, header.genesis_hash, header.state_id())
}
