//! The types of the HTTP API as JSON, and the text forms of ids, keys and amounts.

use quorate_types::{
    block::Block,
    crypto::{Hash, PublicKey, Signature},
    diagnosis::{ConsensusView, DropView, DroppedTransaction, DropsView, LastVote, LinkState, LinkView, Stall, ValidatorStanding},
    failure::{Code, Failure},
    ids::{Address, BlockId, ChainId, EvidenceId, GenesisHash, StateId, TxId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    rpc::{
        AccountView, BatchAnswer, BatchRejected, BlockView, ErrorBody, ErrorView, EvidenceList, EvidenceView, ListedOutcome, NodeStatus,
        OutcomeView, PeerView, ProofView, QueryView, StateView, Submitted, TransactionStatus, TransactionView, Wait,
    },
    sighting::StatementKind,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    evidence,
    fixture::{Fixture, hash},
    golden,
};

/// A value as a line of JSON; checks that it parses back to the value.
fn line<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> String {
    let line = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&line).unwrap(), value);
    line + "\n"
}

#[test]
fn the_words_of_the_api_have_golden_json() {
    let outcome = OutcomeView::new(&Outcome::Applied(vec![1, 0xab]), Failure::to_string);
    let failed = OutcomeView::new(&Outcome::failed(Code::new("state-key-too-large"), &[3, 5]), Failure::to_string);
    let committed = TransactionStatus::Committed { height: Height(3), index: 1, outcome };
    let dropped = TransactionStatus::Dropped { code: "expired".into(), reason: "too late".into() };
    let submitted = |status, proof| Submitted { tx_id: TxId(hash(1)), status, proof };
    let peer = |reason| PeerView { name: "validator-1".into(), address: "/ip4/127.0.0.1/tcp/6181".into(), connected: false, reason };
    let rejected = BatchRejected { index: 4, code: "signature".into(), reason: "the signature is not valid".into() };
    let text = [
        line(&Wait::None),
        line(&Wait::Accepted),
        line(&Wait::Committed),
        line(&TransactionStatus::Unknown),
        line(&TransactionStatus::Pending),
        line(&committed),
        line(&dropped),
        line(&failed),
        line(&submitted(TransactionStatus::Pending, None)),
        line(&submitted(committed, Some("00ff".into()))),
        line(&AccountView {
            address: Address(hash(2)),
            sequence: Sequence(3),
            next_sequence: Sequence(4),
            permission: quorate_types::permission::Permission::default(),
            height: Height(5),
            proof: "00".into(),
            value: None,
            shown: Some(json!({ "balance": "7" })),
        }),
        line(&StateView { key: "6b".into(), value: Some("ff".into()), height: Height(5), proof: "00".into(), shown: None }),
        line(&QueryView { answer: "07".into(), height: Height(5), shown: Some(json!(7)) }),
        line(&BlockView {
            height: Height(1),
            epoch: Epoch(0),
            round: Round(2),
            block_id: BlockId(hash(3)),
            state_id: StateId(hash(4)),
            state_root: StateId(hash(5)),
            parent: StateId(hash(6)),
            timestamp: UnixMillis(7),
            author: Some("validator-1".into()),
            transactions_total: 4,
            transactions: [Outcome::Applied(vec![1, 0xab]), Outcome::Applied(vec![2; 65])]
                .iter()
                .map(|outcome| TransactionView {
                    tx_id: TxId(hash(1)),
                    sender: Address(hash(2)),
                    sequence: Sequence(0),
                    receipt: hash(9),
                    outcome: ListedOutcome::new(outcome, Failure::to_string),
                })
                .collect(),
            next: Some(3),
        }),
        line(&NodeStatus {
            name: "validator-0".into(),
            version: "0.1.0".into(),
            application: "counter".into(),
            application_version: 1,
            network: "local".into(),
            chain_id: ChainId(7),
            genesis_hash: GenesisHash(hash(8)),
            epoch: Epoch(0),
            round: Round(9),
            height: Height(8),
            state_id: StateId(hash(4)),
            state_root: StateId(hash(5)),
            timestamp: UnixMillis(7),
            pool_transactions: 2,
            catching_up: false,
            peers: vec![peer(None), peer(Some("another genesis".into()))],
        }),
        line(&ErrorBody { error: ErrorView { code: "other-network".into(), message: "it is for another network".into(), hint: None } }),
        line(&ProofView { proof: "00".into() }),
        line(&EvidenceList {
            evidence: vec![EvidenceView {
                id: EvidenceId(hash(1)),
                validator: "validator-1".into(),
                kind: StatementKind::Timeout,
                epoch: Epoch(0),
                round: Round(9),
            }],
        }),
        evidence::all(&Fixture::new()).map(|evidence| line(&evidence)).concat(),
        line(&BatchAnswer { accepted: 4, rejected: vec![rejected] }),
    ];
    golden::check("api.jsonl", &text.concat());
}

#[test]
fn the_words_of_a_diagnosis_have_golden_json() {
    let nothing = ValidatorStanding {
        name: "validator-0".into(),
        power: 1,
        last_round: None,
        claimed_round: None,
        last_vote: None,
        link: None,
        heard_ms_ago: None,
    };
    let link = |state, reason| Some(LinkView { state, since_ms: 20_000, reason });
    let consensus = |stall| ConsensusView {
        name: "validator-0".into(),
        round: Round(9),
        leader: "validator-1".into(),
        high_qc_round: Round(8),
        height: Height(7),
        committed_round: Round(6),
        highest_vote_round: Round(9),
        locked_round: Round(7),
        catching_up: false,
        since_commit_ms: 24_000,
        patience_ms: 11_000,
        quorum_power: 3,
        total_power: 4,
        validators: vec![
            nothing.clone(),
            ValidatorStanding {
                last_round: Some(Round(8)),
                claimed_round: Some(Round(u64::MAX)),
                last_vote: Some(LastVote { round: Round(u64::MAX), block_id: BlockId(hash(3)) }),
                link: link(LinkState::Up, None),
                heard_ms_ago: Some(5),
                ..nothing.clone()
            },
            ValidatorStanding { link: link(LinkState::Greeting, Some("another genesis".into())), ..nothing.clone() },
            ValidatorStanding { link: link(LinkState::Down, Some("connection refused".into())), ..nothing.clone() },
        ],
        stall,
    };
    let stall = Stall {
        summary: "nothing was committed for 24 s".into(),
        answering_power: 2,
        missing: vec!["validator-2".into(), "validator-3".into()],
    };
    let drop =
        |validator| DropView { what: "message-refused".into(), reason: "signature".into(), validator, count: 3, last: UnixMillis(7) };
    let transaction = DroppedTransaction { tx_id: TxId(hash(1)), code: "expired".into(), reason: "too late".into(), at: UnixMillis(7) };
    let text = [
        line(&consensus(None)),
        line(&consensus(Some(stall))),
        line(&DropsView::default()),
        line(&DropsView { drops: vec![drop(None), drop(Some("validator-1".into()))], transactions: vec![transaction] }),
    ];
    golden::check("diagnosis.jsonl", &text.concat());
}

#[test]
fn ids_and_keys_are_prefixed_hexadecimal_text() {
    let digits = "ab".repeat(32);
    let id = TxId(hash(0xab));
    assert_eq!(serde_json::to_value(id).unwrap(), json!(format!("0x{digits}")));
    assert_eq!(serde_json::to_value(PublicKey([0xab; 32])).unwrap(), json!(format!("0x{digits}")));
    assert_eq!((id.to_string(), Hash([0xab; 32]).short()), (format!("0x{digits}"), "abababab".into()));
    for text in [format!("0x{digits}"), digits.clone(), digits.to_uppercase()] {
        assert_eq!(text.parse::<TxId>().unwrap(), id);
        assert_eq!(serde_json::from_value::<TxId>(json!(text)).unwrap(), id);
        assert_eq!(text.parse::<PublicKey>().unwrap(), PublicKey([0xab; 32]));
    }
    for text in
        ["", "0x", &digits[1..], &digits[2..], &format!("{digits}00"), &format!("0x0x{digits}"), &format!(" {digits}"), &"zz".repeat(32)]
    {
        assert!(text.parse::<TxId>().is_err(), "{text}");
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
        assert!(serde_json::from_value::<Address>(json!(text)).is_err(), "{text}");
    }
    for other in [json!(1), json!(null), json!([0xab]), json!({})] {
        assert!(serde_json::from_value::<BlockId>(other).is_err());
    }
}

#[test]
fn signatures_are_hexadecimal_text() {
    let signature = Signature([0xcd; 64]);
    assert_eq!(serde_json::to_value(signature).unwrap(), json!("cd".repeat(64)));
    assert_eq!(serde_json::from_value::<Signature>(json!("cd".repeat(64))).unwrap(), signature);
    for text in ["", "cd", &"cd".repeat(63), &"cd".repeat(65), &"c".repeat(127)] {
        assert!(serde_json::from_value::<Signature>(json!(text)).is_err(), "{text}");
    }
}

/// JSON numbers above 2^53 lose digits in many programs, so amounts are text; only plain decimal digits are an amount.
#[test]
fn amounts_are_decimal_text() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Account {
        #[serde(with = "quorate_types::codec::amount_text")]
        balance: u64,
    }
    let account = |balance| Account { balance };
    let json = |balance: serde_json::Value| json!({ "balance": balance });
    for balance in [0, 1, (1 << 53) + 1, u64::MAX] {
        assert_eq!(serde_json::to_value(account(balance)).unwrap(), json(json!(balance.to_string())));
        assert_eq!(serde_json::from_value::<Account>(json(json!(balance.to_string()))).unwrap(), account(balance));
    }
    let wrong = [
        json!(5),
        json!(5.0),
        json!(""),
        json!("+5"),
        json!("-5"),
        json!("5.0"),
        json!("1e3"),
        json!(" 5"),
        json!("0x5"),
        json!("٣"),
        json!("18446744073709551616"),
        json!(null),
    ];
    for balance in wrong {
        assert!(serde_json::from_value::<Account>(json(balance.clone())).is_err(), "{balance}");
    }
    let twice = r#"{"balance": "1", "balance": "2"}"#;
    assert!(serde_json::from_str::<Account>(twice).unwrap_err().to_string().contains("duplicate field"));
}

#[test]
fn blocks_are_not_read_from_json() {
    let block = Fixture::new().proposal().block;
    let json = serde_json::to_string(block.content()).unwrap();
    assert!(serde_json::from_str::<Block>(&json).unwrap_err().to_string().contains("canonical bytes"));
}
