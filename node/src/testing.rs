//! Shared by the tests of this crate: a test network, a running node, and a minimal HTTP client.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use quorate_builtin::{BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation};
use quorate_keygen::{ValidatorKeys, ValidatorPublic};
use quorate_ledger::{MemoryStore, Store};
use quorate_replica::MemoryWitness;
use quorate_types::{
    codec,
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, Parameters},
    ids::{Address, ChainId, GenesisHash},
    proof::{TransactionProof, ValueProof},
    round::{Height, Sequence, UnixMillis},
    rpc::{ErrorBody, OutcomeView, Submitted, TransactionStatus},
    transaction::Transaction,
    verify::Verifier,
};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    Config, Node, Override, Setup,
    api::{error::CODES, openapi::rejections},
    event_loop::unix_now,
};

/// How long a test waits for a condition that must come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CHAIN: ChainId = ChainId(7);
pub(crate) const BALANCE: u64 = 1_000_000;

pub(crate) fn keys(number: u8) -> ValidatorKeys {
    ValidatorKeys::from_seeds(Zeroizing::new([number; 32]), Zeroizing::new([number + 100; 32]))
}

pub(crate) fn alice() -> SigningKey {
    SigningKey::from_seed(&[50; 32])
}

pub(crate) fn address_of(key: &SigningKey) -> Address {
    Address::of(&key.public())
}

/// A genesis with one validator, `one`.
pub(crate) fn genesis() -> Genesis {
    genesis_of(&[("one", keys(1), "/ip4/127.0.0.1/tcp/0".into())])
}

/// A genesis with these validators, and an account of Alice's with [`BALANCE`].
pub(crate) fn genesis_of(members: &[(&str, ValidatorKeys, String)]) -> Genesis {
    let networks: Vec<SigningKey> = members.iter().map(|(_, keys, _)| keys.network()).collect();
    let members = members.iter().zip(&networks).map(|((name, keys, address), network)| {
        let ValidatorPublic { consensus_key, network_key } = keys.public();
        let validator =
            Validator { name: (*name).into(), consensus_key, network_key, address: address.clone(), power: VotingPower(1), operator: None };
        (validator, &keys.consensus, network)
    });
    Genesis::draft(
        CHAIN,
        "test",
        UnixMillis(1),
        Parameters::default(),
        quorate_builtin::Settings::default()
            .with_accounts(vec![GenesisAccount { address: address_of(&alice()), balance: BALANCE }])
            .in_genesis(),
    )
    .with_validators(members)
}

/// The first epoch of [`genesis`].
pub(crate) fn epochs() -> std::sync::Arc<crate::epochs::Epochs> {
    let verifier = quorate_replica::verifier(&genesis(), &quorate_builtin::app()).unwrap();
    crate::epochs::Epochs::new(verifier, quorate_types::ids::ValidatorId(0))
}

/// The setup of validator `one`.
pub(crate) fn setup(settings: &[&str]) -> Setup {
    setup_of(keys(1), genesis(), settings)
}

pub(crate) fn setup_of(keys: ValidatorKeys, genesis: Genesis, settings: &[&str]) -> Setup {
    let mut overrides: Vec<_> =
        ["api.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0"].map(|setting| Override::from_set(setting).unwrap()).into();
    overrides.extend(settings.iter().map(|setting| Override::from_set(setting).unwrap()));
    let config = Config::default().with(&overrides).unwrap();
    let witness = Box::new(MemoryWitness::of_new_key(keys.public().consensus_key));
    Setup {
        join: false,
        app: quorate_builtin::app(),
        config,
        keys: keys.into(),
        witness,
        genesis,
        address_files: None,
        data_directory: None,
        #[cfg(feature = "faults")]
        faults_file: None,
        on_failure: |_| {},
    }
}

/// A running node, and the verifier for its proofs.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) verifier: Arc<Verifier>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    pub(crate) fn code(&self) -> String {
        let ErrorBody { error } = self.json();
        assert!(!error.message.is_empty());
        let is_listed = CODES.iter().any(|(code, ..)| *code == error.code) || rejections().contains(&&*error.code);
        assert!(is_listed, "{} is not in the description of the API", error.code);
        error.code
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the node closes the connection.
pub(crate) fn read_reply(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // A reset after the answer also ends it: the node has closed the connection while we had more to send.
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = bytes[split + 4..].to_vec();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        body = dechunked(&body);
    }
    Some(Reply { status, head, body })
}

pub(crate) fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
    body
}

pub(crate) fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Reply {
    let mut stream = connect(address);
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // The node may answer and close before it has read everything.
    drop(stream.write_all(body));
    read_reply(&mut stream).unwrap()
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::with(&[], MemoryStore::new())
    }

    pub(crate) fn with<S: Store>(settings: &[&str], store: S) -> Self {
        Self::of(setup(settings), store)
    }

    pub(crate) fn verifier(setup: &Setup) -> Arc<Verifier> {
        quorate_replica::verifier(&setup.genesis, &quorate_builtin::app()).unwrap()
    }

    pub(crate) fn of<S: Store>(setup: Setup, store: S) -> Self {
        let verifier = Self::verifier(&setup);
        Self { node: Node::start(setup, store).unwrap(), verifier }
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        request(self.node.api_address(), method, path, body)
    }

    pub(crate) fn metrics(&self) -> String {
        let reply = request(self.node.metrics_address(), "GET", "/metrics", &[]);
        assert_eq!(reply.status, 200);
        String::from_utf8(reply.body).unwrap()
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let reply = self.request("GET", path, &[]);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    pub(crate) fn submit(&self, transaction: &Transaction, wait: &str) -> Reply {
        self.request("POST", &format!("/v1/transactions?wait={wait}&timeout_ms=60000"), transaction.raw())
    }

    /// Submits, waits for the commit, and verifies the proof.
    pub(crate) fn commit(&self, transaction: &Transaction) -> (Height, OutcomeView) {
        let reply = self.submit(transaction, "committed");
        assert_eq!(reply.status, 200, "{reply:?}");
        let submitted: Submitted = reply.json();
        let proof: TransactionProof = codec::decode(&hex::decode(submitted.proof.unwrap()).unwrap(), 1 << 20).unwrap();
        let header = proof.verify(&self.verifier, transaction.id()).unwrap();
        match submitted.status {
            TransactionStatus::Committed { height, outcome, .. } => {
                assert_eq!(header.height, height);
                assert_eq!(OutcomeView::new(&proof.receipt.outcome, |failure| quorate_builtin::app().explain(failure)), outcome);
                (height, outcome)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn value_proof(&self, proof: &str, key: &[u8], value: Option<&[u8]>) {
        let proof: ValueProof = codec::decode(&hex::decode(proof).unwrap(), 1 << 20).unwrap();
        proof.verify(&self.verifier, key, value).unwrap();
    }

    pub(crate) fn eventually(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn in_a_minute() -> UnixMillis {
    UnixMillis(unix_now().0 + 60_000)
}

pub(crate) fn sign(sequence: u64, operation: &Operation) -> Transaction {
    sign_for(genesis().hash(), sequence, in_a_minute(), operation.encode())
}

pub(crate) fn sign_for(network: GenesisHash, sequence: u64, expires_at: UnixMillis, payload: Vec<u8>) -> Transaction {
    Transaction::sign(network, &alice(), Sequence(sequence), expires_at, payload)
}

pub(crate) fn transfer(sequence: u64) -> Transaction {
    sign(sequence, &Operation::Bank(BankOperation::Transfer { to: address_of(&SigningKey::from_seed(&[51; 32])), amount: 10 }))
}

pub(crate) fn put(sequence: u64, space: KvSpace, key: &[u8], value: &[u8]) -> Transaction {
    sign(sequence, &Operation::Kv(KvOperation { space, key: key.into(), action: KvAction::Put(value.into()) }))
}
