//! docs/formats.md, followed to the letter: every hash is built here from bytes and SHA3-256, as another implementation would do it, and
//! compared with what this program computes. The vectors on the page are the golden ones.

use quorate_types::{
    block::Block,
    committee::Validator,
    crypto::{Hash, SigningKey},
    evidence::Contradiction,
    header::Header,
    ids::Address,
    receipt::{Outcome, Receipt},
    sighting::{SeenProposal, SeenTimeout, SeenVote},
    timeout::timeout_digest,
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo},
};
use sha3::{Digest, Sha3_256};

use crate::{
    fixture::{Fixture, network},
    golden::receipts,
    proofs::header,
};

const PAGE: &str = include_str!("../../../docs/formats.md");

fn h(tag: &str, data: &[&[u8]]) -> Hash {
    let mut padded = [0; 32];
    padded[..tag.len()].copy_from_slice(tag.as_bytes());
    let mut hasher = Sha3_256::new();
    hasher.update(padded);
    for part in data {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// A length as ULEB128.
fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [length(bytes.len()), bytes.to_vec()].concat()
}

fn numbers<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.map(u64::to_le_bytes).concat()
}

fn validator(one: &Validator) -> Vec<u8> {
    let keys = [one.consensus_key.0, one.network_key.0].concat();
    let operator = one.operator.map_or(vec![0], |operator| [&[1][..], &operator.0.0].concat());
    [string(one.name.as_bytes()), keys, string(one.address.as_bytes()), numbers([one.power.0]), operator].concat()
}

fn vote_info(info: &VoteInfo) -> Vec<u8> {
    let (block, parent) =
        ([&info.id.0.0[..], &numbers([info.round.0])].concat(), [&info.parent_id.0.0[..], &numbers([info.parent_round.0])].concat());
    [block, parent, info.exec_state_id.0.0.to_vec()].concat()
}

fn commit_info(info: &LedgerCommitInfo) -> Vec<u8> {
    let state = info.commit_state_id.map_or(vec![0], |state| [&[1][..], &state.0.0].concat());
    [&info.genesis_hash.0.0[..], &numbers([info.epoch.0]), &state, &info.vote_info_hash.0].concat()
}

fn certificate(qc: &QuorumCert) -> Vec<u8> {
    // Validator i is bit i; bit 0 is the lowest bit of the first byte.
    let mut signers = [0u8; 16];
    for id in qc.signers.iter() {
        signers[usize::from(id.0) / 8] |= 1 << (id.0 % 8);
    }
    let signatures: Vec<u8> = qc.signatures.iter().flat_map(|signature| signature.0).collect();
    [vote_info(&qc.vote_info), commit_info(&qc.commit_info), signers.to_vec(), length(qc.signatures.len()), signatures].concat()
}

fn block_id(block: &Block) -> Hash {
    let content = block.content();
    let payload: Vec<u8> = content.payload.iter().flat_map(|tx| [numbers([tx.raw().len() as u64]), tx.raw().to_vec()].concat()).collect();
    h(
        "quorate/block",
        &[
            &content.genesis_hash.0.0,
            &numbers([content.epoch.0]),
            &content.author.0.to_le_bytes(),
            &numbers([content.round.0, content.timestamp.0, content.payload.len() as u64]),
            &h("quorate/payload", &[&payload]).0,
            &h("quorate/certificate", &[&certificate(&content.qc)]).0,
        ],
    )
}

fn state_id(of: &Header) -> Hash {
    let roots = [of.transactions_root, of.receipts_root, of.state_root, of.epoch_state].map(|root| root.0).concat();
    let bytes = [
        of.genesis_hash.0.0.to_vec(),
        numbers([of.epoch.0, of.height.0, of.round.0]),
        [of.block_id.0.0, of.parent.0.0].concat(),
        numbers([of.timestamp.0]),
        roots,
    ]
    .concat();
    assert_eq!(bytes.len(), 256);
    h("quorate/header", &[&bytes])
}

fn leaf(receipt: &Receipt) -> Hash {
    let outcome = match &receipt.outcome {
        Outcome::Applied(answer) => [vec![0], string(answer)].concat(),
        Outcome::Failed(failure) => {
            let numbers: Vec<u8> = failure.numbers().iter().flat_map(|number| number.to_le_bytes()).collect();
            [vec![1], string(failure.code().as_bytes()), length(failure.numbers().len()), numbers].concat()
        }
    };
    h("quorate/list-leaf", &[&receipt.tx_id.0.0, &outcome])
}

fn top(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash([0; 32]),
        [one] => *one,
        many => {
            let mut left = 1;
            while left * 2 < many.len() {
                left *= 2;
            }
            h("quorate/list-branch", &[&top(&many[..left]).0, &top(&many[left..]).0])
        }
    }
}

fn root(leaves: &[Hash]) -> Hash {
    h("quorate/list-root", &[&numbers([leaves.len() as u64]), &top(leaves).0])
}

#[test]
fn every_hash_is_what_the_page_says() {
    let fixture = Fixture::new();
    let (vote, proposal, genesis) = (fixture.vote(), fixture.proposal(), &fixture.genesis);
    let timeout = fixture.timeout().timeout;
    let (round, high) = (timeout.round, timeout.high_qc.round());
    assert_eq!(h("quorate/vote-info", &[&vote_info(&vote.vote_info)]), vote.vote_info.digest());
    assert_eq!(h("quorate/vote", &[&commit_info(&vote.commit_info)]), vote.commit_info.digest());
    let signed = [network().0.0.to_vec(), numbers([0, round.0, high.0])].concat();
    assert_eq!(h("quorate/timeout", &[&signed]), timeout_digest(network(), timeout.epoch, round, high));
    for qc in [fixture.qc(4, 3), fixture.qc(9, 3), fixture.genesis_qc.clone()] {
        assert_eq!(h("quorate/certificate", &[&certificate(&qc)]), qc.digest());
    }
    assert_eq!(block_id(&proposal.block), proposal.block.id().0);
    assert_eq!(h("quorate/proposal", &[&block_id(&proposal.block).0]), proposal.block.proposal_digest());
    assert_eq!(state_id(&header(3)), header(3).state_id().0);
    assert_eq!(h("quorate/genesis-block", &[&network().0.0]), fixture.genesis_qc.block_id().0);

    let transaction = fixture.transfer(0);
    let (content, signature) = transaction.raw().split_at(transaction.raw().len() - 64);
    assert_eq!((h("quorate/transaction", &[content]), signature), (transaction.id().0, &transaction.signature().0[..]));
    let signed = transaction.content();
    let fields = [
        signed.genesis_hash.0.0.to_vec(),
        signed.sender.0.to_vec(),
        numbers([signed.sequence.0, signed.expires_at.0]),
        vec![0],
        string(&signed.payload),
    ];
    assert_eq!(fields.concat(), content);
    assert_eq!(h("quorate/address", &[&signed.sender.0]), Address::of(&signed.sender).0);

    let leaves = receipts().each_ref().map(leaf);
    assert_eq!(leaves, receipts().each_ref().map(Receipt::leaf));
    let many: Vec<Hash> = (0..13).map(|number| Hash([number; 32])).collect();
    for count in 0..many.len() {
        assert_eq!(root(&many[..count]), quorate_types::merkle::root(&many[..count]), "{count} leaves");
    }

    let p = &genesis.parameters;
    let parameters = [
        p.block_transactions_max,
        p.block_bytes_max,
        p.timeout_base_ms,
        p.timeout_growth_percent,
        p.timeout_max_ms,
        p.heartbeat_ms,
        p.window_size,
    ]
    .map(u32::to_le_bytes)
    .concat();
    assert_eq!(p.exclude_size, None);
    let limits = &p.state;
    let limits = [numbers([limits.bytes_max]), limits.block_effect_bytes_max.to_le_bytes().to_vec()].concat();
    // No exclude size, an open chain; the operators decide.
    let parameters = [parameters, vec![0, 0], p.account_block_percent.to_le_bytes().to_vec(), limits].concat();
    let authority = [0];
    let seat =
        |(id, entry): (u16, &quorate_types::genesis::GenesisValidator)| [id.to_le_bytes().to_vec(), validator(&entry.validator)].concat();
    let seats: Vec<u8> = (0..).zip(&genesis.validators).flat_map(seat).collect();
    let version = genesis.protocol_version.to_le_bytes();
    let state = [&numbers([0]), &version[..], &parameters, &authority, &length(genesis.validators.len()), &seats];
    assert_eq!(h("quorate/epoch-state", &state), genesis.epoch_state().hash());
    let last = header(3).state_id();
    assert_eq!(
        h("quorate/epoch-block", &[&numbers([1]), &last.0.0]),
        quorate_types::epoch::epoch_block_id(quorate_types::round::Epoch(1), last).0
    );
    let before = [
        genesis.protocol_version.to_le_bytes().to_vec(),
        numbers([genesis.chain_id.0]),
        string(genesis.name.as_bytes()),
        numbers([genesis.timestamp.0]),
        parameters,
        authority.to_vec(),
        // No permissions.
        vec![0],
    ]
    .concat();
    let application = &genesis.application;
    let application =
        [string(application.name.as_bytes()), application.version.to_le_bytes().to_vec(), string(br#"{"limit":7,"names":["b","a"]}"#)]
            .concat();
    let draft = h("quorate/genesis-draft", &[&before, &application]);
    assert_eq!(draft, genesis.draft_hash().0);
    let entries: Vec<u8> = genesis
        .validators
        .iter()
        .flat_map(|entry| [validator(&entry.validator), entry.consensus_proof.0.to_vec(), entry.network_proof.0.to_vec()].concat())
        .collect();
    assert_eq!(h("quorate/genesis", &[&before, &length(genesis.validators.len()), &entries, &application]), network().0);
    let entry = &genesis.validators[0];
    let possession = h("quorate/possession", &[&draft.0, &validator(&entry.validator)]);
    let key: &SigningKey = &fixture.keys[0];
    assert_eq!(key.sign(&possession), entry.consensus_proof);
}

#[test]
fn what_changes_a_committee_is_what_the_page_says() {
    use quorate_types::{
        codec::encode,
        committee::VotingPower,
        genesis::ParametersChange,
        governance::{Authority, Board, ChainOperation, Change, OpenProposal, Proposal, ProposalId, Proposals, proposal_key},
        ids::{Address, ValidatorId},
        permission::{Access, PermissionChange, Role},
        state_key::{ADDRESSES_KEY, EPOCH_KEY, PROPOSALS_KEY, VERSIONS_KEY, permitted_key},
    };
    let fixture = Fixture::new();
    let entry = fixture.genesis.validators[1].clone();
    let signed = [validator(&entry.validator), entry.consensus_proof.0.to_vec(), entry.network_proof.0.to_vec()].concat();
    let seat = ValidatorId(3);
    let [one, two] = [1, 2].map(|byte| Address(quorate_types::crypto::Hash([byte; 32])));
    let evidence = crate::evidence::all(&fixture)[0];
    let changes = [
        (Change::Power { seat, power: VotingPower(7) }, [&[0, 3, 0][..], &numbers([7])].concat()),
        (Change::Add(entry.clone()), [&[1][..], &signed].concat()),
        (Change::Remove { seat, evidence: None }, vec![2, 3, 0, 0]),
        (Change::Remove { seat, evidence: Some(Box::new(evidence)) }, [&[2, 3, 0, 1][..], &encode(&evidence)].concat()),
        (Change::Replace { seat, entry }, [&[3, 3, 0][..], &signed].concat()),
        (Change::Parameters(Box::default()), [&[4][..], &[0; 12]].concat()),
        (
            Change::Parameters(Box::new(ParametersChange {
                block_bytes_max: Some(0x0102_0304),
                access: Some(Access::Permissioned),
                state_bytes_max: Some(9),
                ..ParametersChange::default()
            })),
            [&[4, 0, 1, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1][..], &numbers([9]), &[0]].concat(),
        ),
        (Change::Permit { account: one, change: PermissionChange::Grant(Role::Grant) }, [&[5][..], one.0.as_bytes(), &[0, 1]].concat()),
        (Change::Authority(Authority::Operators), vec![6, 0]),
        (
            Change::Authority(Authority::Board(Board { members: [two, one].into(), needed: 2 })),
            [&[6, 1, 2][..], one.0.as_bytes(), two.0.as_bytes(), &[2, 0]].concat(),
        ),
        (Change::Version(2), vec![7, 2, 0, 0, 0]),
    ];
    for (change, bytes) in changes {
        assert_eq!(encode(&ChainOperation::Propose(Box::new(change.clone()))), [&[0][..], &bytes].concat());
        let proposal = Proposal { by: one, change, approvals: [two, one].into(), rejections: [two].into() };
        let accounts = [&[2][..], one.0.as_bytes(), two.0.as_bytes(), &[1], two.0.as_bytes()].concat();
        assert_eq!(encode(&proposal), [one.0.as_bytes().as_slice(), &bytes, &accounts].concat());
    }
    let votes: [fn(ProposalId) -> ChainOperation; 3] = [ChainOperation::Approve, ChainOperation::Reject, ChainOperation::Withdraw];
    for (number, vote) in (1..).zip(votes) {
        assert_eq!(encode(&vote(ProposalId(5))), [&[number][..], &numbers([5])].concat());
    }
    let changes = [
        (PermissionChange::Grant(Role::Send), vec![0, 0]),
        (PermissionChange::Revoke(Role::Grant), vec![1, 1]),
        (PermissionChange::Freeze, vec![2]),
        (PermissionChange::Unfreeze, vec![3]),
        (PermissionChange::LimitTransactions(0x0102), vec![4, 2, 1]),
        (PermissionChange::LimitState(7), [&[5][..], &numbers([7])].concat()),
    ];
    for (change, bytes) in changes {
        assert_eq!(encode(&ChainOperation::Permit { account: one, change }), [&[4][..], one.0.as_bytes(), &bytes].concat());
    }
    assert_eq!(encode(&ChainOperation::Move { seat, address: "/ip4".into() }), [&[5, 3, 0][..], &string(b"/ip4")].concat());
    assert_eq!(encode(&ChainOperation::Speak(2)), [6, 2, 0, 0, 0]);
    // A set has one encoding.
    let board = |members: &[Address]| {
        [&[1, u8::try_from(members.len()).unwrap()][..], &members.iter().flat_map(|of| of.0.0).collect::<Vec<_>>(), &[1, 0]].concat()
    };
    let read = |bytes: &[u8]| quorate_types::codec::decode::<Authority>(bytes, 1_000).is_ok();
    assert!(read(&board(&[one, two])) && !read(&board(&[two, one])) && !read(&board(&[one, one])));
    let json = |members: [Address; 2]| serde_json::from_value::<Board>(serde_json::json!({ "members": members, "needed": 1 })).is_ok();
    assert!(json([two, one]) && !json([one, one]));
    let open = Proposals {
        next: ProposalId(9),
        open: vec![OpenProposal { id: ProposalId(4), by: one }],
        changed: quorate_types::round::Height(77),
    };
    assert_eq!(encode(&open), [&numbers([9])[..], &length(1), &numbers([4]), one.0.as_bytes(), &numbers([77])].concat());
    assert_eq!(proposal_key(ProposalId(0x0102)), [&[0][..], b"proposal", &[0, 0, 0, 0, 0, 0, 1, 2]].concat());
    let keys = [EPOCH_KEY, PROPOSALS_KEY, ADDRESSES_KEY, VERSIONS_KEY];
    assert_eq!(keys, [&b"\0epoch"[..], b"\0proposals", b"\0addresses", b"\0versions"]);
    assert_eq!(permitted_key(&one), [&[0][..], b"permitted", one.0.as_bytes()].concat());
}

#[test]
fn evidence_is_what_the_page_says() {
    let fixture = Fixture::new();
    for evidence in crate::evidence::all(&fixture) {
        let (number, statements) = match &evidence.contradiction {
            Contradiction::Votes(votes) => {
                let bytes =
                    |vote: &SeenVote| [vote_info(&vote.vote_info), commit_info(&vote.commit_info), vote.signature.0.to_vec()].concat();
                (0, votes.each_ref().map(bytes))
            }
            Contradiction::Timeouts(timeouts) => {
                let bytes = |timeout: &SeenTimeout| {
                    let SeenTimeout { epoch, round, high_qc_round, signature } = timeout;
                    [numbers([epoch.0, round.0, high_qc_round.0]), signature.0.to_vec()].concat()
                };
                (1, timeouts.each_ref().map(bytes))
            }
            Contradiction::Proposals(proposals) => {
                let bytes = |proposal: &SeenProposal| {
                    let head = &proposal.head;
                    let fields = numbers([head.round.0, head.timestamp.0, head.transactions]);
                    [head.author.0.to_le_bytes().to_vec(), fields, [head.payload.0, head.qc.0].concat(), proposal.signature.0.to_vec()]
                        .concat()
                };
                (2, proposals.each_ref().map(bytes))
            }
        };
        let head = [network().0.0.to_vec(), numbers([0]), evidence.culprit.0.to_le_bytes().to_vec(), vec![number]].concat();
        assert_eq!(h("quorate/evidence", &[&head, &statements.concat()]), evidence.id().0);
        let [first, second] = evidence.digests();
        assert!(first.0 < second.0);
    }
}

#[test]
fn the_vectors_and_the_domains_of_the_page_are_the_golden_ones() {
    for line in include_str!("../golden/hashes.txt").lines() {
        assert!(PAGE.contains(line), "docs/formats.md lacks the vector\n{line}");
    }
    for line in include_str!("../golden/domains.txt").lines() {
        let tag = line.split(' ').next().unwrap();
        let (family, last) = tag.rsplit_once('-').unwrap_or((tag, ""));
        let named = PAGE.contains(&format!("`{tag}`")) || (PAGE.contains(&format!("`{family}-")) && PAGE.contains(&format!("`-{last}`")));
        assert!(named, "docs/formats.md does not say what {tag} is for");
    }
}
