//! Malicious clients and a malicious validator against real processes: what honest clients lose, how much memory an attack costs, and that
//! the node reports itself healthy throughout.
//!
//! Each attack is switched off and on for turns of equal length while honest clients send transfers continuously, and their commits in both
//! are compared. Ratios and memory are printed as one line of JSON per attack. `QUORATE_HOSTILE_SECONDS` sets the length of a turn (default
//! 1) and with it the size of the attacks; `make hostile` runs them at full size.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation, operation::KV_VALUE_BYTES_MAX};
use quorate_keygen::AccountKey;
use quorate_network::{Class, IncomingReceivers, PeerIndex};
use quorate_tests::{Cluster, DEADLINE, Traffic, eventually};
use quorate_types::{
    codec::{self, Bounded},
    ids::TxId,
    message::{CatchupRequest, Message, TransactionBatch},
    round::Height,
    transaction::Transaction,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Shortest turn, in seconds, at which attacks have their full size.
const FULL_SIZE_SECONDS: u64 = 6;
/// Number of times each attack is switched on.
const TURNS: u32 = 2;
/// A node's connection limit in these tests, low enough for small attacks to exhaust it.
const CONNECTIONS: usize = 128;
/// Bytes by which an attack may increase a node's memory: the budget of all answers (32 MiB), sixteen reads of at most a megabyte each, the
/// connections' buffers, and what the store retains of the honest traffic's own writes meanwhile (48 MiB).
const MEMORY_MAX: u64 = (32 + 16 + 16 + 48) << 20;
/// Share of their commits, in percent, that honest clients must keep when attacker, clients and four nodes share an otherwise idle machine.
/// Checked at full size only (`make hostile`), because a turn of a second measures the machine; shorter runs only require progress.
const KEPT_PERCENT_MIN: u64 = 60;

#[derive(Clone, Copy)]
struct Size {
    turn: Duration,
    /// Scales the attacks; larger for full-size turns.
    factor: usize,
}

impl Size {
    fn of_environment() -> Self {
        let seconds = std::env::var("QUORATE_HOSTILE_SECONDS").map_or(1, |text| text.parse().expect("a number of seconds"));
        Self { turn: Duration::from_secs(seconds), factor: if seconds >= FULL_SIZE_SECONDS { 4 } else { 1 } }
    }
}

/// Polls the health of nodes.
struct Health {
    asked: Arc<AtomicU64>,
    /// Most consecutive failures.
    worst: Arc<AtomicU64>,
    _asking: JoinSet<()>,
}

impl Health {
    /// Longest time for a health answer.
    const PATIENCE: Duration = Duration::from_secs(5);
    const EVERY: Duration = Duration::from_millis(50);

    fn of(addresses: &[SocketAddr]) -> Self {
        let (asked, worst) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut asking = JoinSet::new();
        for address in addresses.iter().copied() {
            let (asked, worst) = (Arc::clone(&asked), Arc::clone(&worst));
            asking.spawn(async move {
                let mut in_a_row = 0;
                loop {
                    let is_well =
                        timeout(Self::PATIENCE, get(address, "/livez")).await.is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"));
                    in_a_row = if is_well { 0 } else { in_a_row + 1 };
                    asked.fetch_add(1, Ordering::Relaxed);
                    worst.fetch_max(in_a_row, Ordering::Relaxed);
                    sleep(Self::EVERY).await;
                }
            });
        }
        Self { asked, worst, _asking: asking }
    }

    /// Allows single failures, as every orchestrator does.
    fn must_be_good(&self) {
        assert!(self.asked.load(Ordering::Relaxed) > 0, "no node was asked");
        assert!(
            self.worst.load(Ordering::Relaxed) <= 1,
            "a node failed its health check {} times in a row",
            self.worst.load(Ordering::Relaxed)
        );
    }
}

/// Switches an attack on and off, and compares.
async fn withstand(name: &str, size: Size, cluster: &Cluster, nodes: &[usize], traffic: &Traffic, attack: impl Fn() -> JoinSet<()>) {
    let memory = || nodes.iter().map(|node| cluster.resident_bytes(*node)).max().expect("there are nodes");
    let health = Health::of(&nodes.iter().map(|node| socket(cluster.metrics_url(*node))).collect::<Vec<_>>());
    let before = memory();
    let (mut off, mut on, mut most) = (0, 0, before);
    for _ in 0..TURNS {
        off += commits(traffic, size.turn).await;
        let attackers = attack();
        on += commits(traffic, size.turn).await;
        most = most.max(memory());
        drop(attackers);
        // Let the attack's effects pass before the next turn.
        traffic.goes_on(1).await;
    }
    let percent = (100 * on).checked_div(off).unwrap_or_default();
    let grown = most.saturating_sub(before);
    let asked = health.asked.load(Ordering::Relaxed);
    println!(
        "{}",
        serde_json::json!({
            "attack": name, "turn_seconds": size.turn.as_secs(), "commits_without": off, "commits_with": on, "kept_percent": percent,
            "memory_before_bytes": before, "memory_grown_bytes": grown, "health_asked": asked,
            "health_failures_in_a_row": health.worst.load(Ordering::Relaxed),
        })
    );
    health.must_be_good();
    assert!(grown <= MEMORY_MAX, "{name}: memory grew by {grown} bytes; at most {MEMORY_MAX} are allowed");
    let is_enough = if size.turn >= Duration::from_secs(FULL_SIZE_SECONDS) { percent >= KEPT_PERCENT_MIN } else { on > 0 };
    assert!(is_enough, "{name}: {on} commits during the attack, {off} without it");
}

async fn commits(traffic: &Traffic, turn: Duration) -> u64 {
    let before = traffic.count();
    sleep(turn).await;
    traffic.count() - before
}

fn socket(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}

fn head(method: &str, path: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n")
}

/// The whole answer, or as much of it as arrived.
async fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address).await else { return answer };
    let head = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    if stream.write_all(head.as_bytes()).await.is_ok() {
        // Bytes read before a reset count.
        drop(stream.read_to_end(&mut answer).await);
    }
    answer
}

/// Posts repeatedly on one connection, each time after some bytes of an answer.
async fn post_for_ever(address: SocketAddr, path: &str, bodies: Vec<Bytes>) {
    let mut answer = vec![0; 64 << 10];
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        for body in bodies.iter().cycle() {
            let sent = stream.write_all(head("POST", path, body.len()).as_bytes()).await.and(stream.write_all(body).await);
            if sent.is_err() || stream.read(&mut answer).await.is_ok_and(|count| count == 0) {
                break;
            }
        }
    }
}

/// Transactions of the attacker, and the height of their block.
struct Prey {
    transactions: Vec<Transaction>,
    height: Height,
}

/// Makes a block with eight megabytes of receipts, for which the attacker pays once.
async fn big_block(cluster: &Cluster, mallory: &AccountKey) -> Prey {
    let operation = |action| Operation::Kv(KvOperation { space: KvSpace::Own, key: b"big".to_vec(), action });
    let put = cluster.sign(mallory, 0, &operation(KvAction::Put(vec![7; KV_VALUE_BYTES_MAX])));
    cluster.session(&[0]).submit_and_verify(&put, DEADLINE).await.expect("the attacker's transaction is valid");
    let transactions: Vec<_> = (1..=500).map(|sequence| cluster.sign(mallory, sequence, &operation(KvAction::Get))).collect();
    let answer = cluster.client(&[0]).submit_batch(&batch(&transactions)).await.expect("the batch is accepted");
    assert_eq!(answer.rejected, []);
    let last = transactions.last().expect("there are some").id();
    let session = cluster.session(&[0]);
    let proven = eventually("the attacker's block is committed", || async { session.transaction(last).await.ok() }).await;
    Prey { transactions, height: proven.certificate().header.height }
}

fn batch(transactions: &[Transaction]) -> TransactionBatch {
    TransactionBatch(Bounded::truncated(transactions.to_vec()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_clients_cost_the_others_little_and_never_a_healthy_answer() {
    let size = Size::of_environment();
    quorate_tests::raise_file_limit();
    let connections = format!("api.connections_max={CONNECTIONS}");
    let cluster = Cluster::start(4, &["--accounts", "6", "--set", &connections]).await;
    let mut keys = cluster.keys();
    let (Some(mallory), Some(gap)) = (keys.pop(), keys.pop()) else { panic!("six accounts") };
    let to = mallory.public().address;
    let honest = keys.len();
    let prey = big_block(&cluster, &mallory).await;
    let traffic = Traffic::start(&cluster, keys, to);
    traffic.goes_on(20).await;
    let nodes = [0, 1, 2, 3];
    let addresses = nodes.map(|node| socket(cluster.url(node)));
    let ids: Vec<TxId> = prey.transactions.iter().map(Transaction::id).collect();

    withstand("resubmission", size, &cluster, &nodes, &traffic, || {
        let copies: Bytes = codec::encode(&batch(&vec![prey.transactions[0].clone(); 1_024])).into();
        let different: Bytes = codec::encode(&batch(&prey.transactions)).into();
        let single = prey.transactions.iter().map(|transaction| Bytes::copy_from_slice(transaction.raw())).collect::<Vec<_>>();
        let mut attackers = JoinSet::new();
        for address in &addresses[..2] {
            attackers.spawn(post_for_ever(*address, "/v1/transactions/batch", vec![copies.clone(), different.clone()]));
            attackers.spawn(post_for_ever(*address, "/v1/transactions?wait=accepted", single.clone()));
        }
        attackers
    })
    .await;

    withstand("readers that do not read", size, &cluster, &nodes, &traffic, || {
        let mut attackers = JoinSet::new();
        for (index, address) in (0..100 * size.factor).zip(addresses.iter().cycle().copied()) {
            let id = ids[index % ids.len()];
            let paths = [
                format!("/v1/blocks/{}", prey.height),
                format!("/v1/transactions/{id}"),
                format!("/v1/transactions/{id}/output"),
                format!("/v1/transactions/{id}/proof"),
                "/v1/genesis".into(),
            ];
            let requests = paths.iter().map(|path| head("GET", path, 0)).collect::<String>().repeat(20);
            attackers.spawn(async move {
                loop {
                    // Write as much as the node takes, then leave the connection open until the node closes it.
                    if let Ok(mut stream) = TcpStream::connect(address).await
                        && stream.write_all(requests.as_bytes()).await.is_ok()
                    {
                        until_closed(&stream).await;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            });
        }
        attackers
    })
    .await;

    withstand("slow senders", size, &cluster, &nodes, &traffic, || {
        let mut attackers = JoinSet::new();
        for (index, address) in (0..3 * CONNECTIONS * size.factor).zip(addresses[..2].iter().cycle().copied()) {
            let beginning = if index % 4 < 2 { "GET /v1/sta".to_owned() } else { head("POST", "/v1/transactions", 1_000) };
            attackers.spawn(async move {
                loop {
                    if let Ok(mut stream) = TcpStream::connect(address).await
                        && stream.write_all(beginning.as_bytes()).await.is_ok()
                    {
                        drop(stream.read(&mut [0; 64]).await);
                    }
                    // Opening connections costs an attacker something as well.
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        attackers
    })
    .await;

    withstand("waiting for a gap", size, &cluster, &nodes, &traffic, || {
        let waiting = cluster.transfer(&gap, 5, to, 1);
        let body = Bytes::copy_from_slice(waiting.raw());
        let mut attackers = JoinSet::new();
        for address in addresses[..2].iter().cycle().copied().take(3 * CONNECTIONS) {
            let body = body.clone();
            attackers.spawn(async move {
                loop {
                    if let Ok(mut stream) = TcpStream::connect(address).await {
                        let head = head("POST", "/v1/transactions?wait=committed&timeout_ms=60000", body.len());
                        if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(&body).await.is_ok() {
                            drop(stream.read(&mut [0; 1_024]).await);
                        }
                    }
                    sleep(Duration::from_millis(500)).await;
                }
            });
        }
        attackers
    })
    .await;

    traffic.goes_on(u64::try_from(honest).expect("few")).await;
    let acknowledged = traffic.stop().await;
    assert!(acknowledged.iter().all(|transfers| !transfers.is_empty()), "every honest client was served");
    let height = cluster.height().await;
    cluster.equal_roots(&nodes, height).await;
}

/// Waits without reading until the peer has closed the connection.
async fn until_closed(stream: &TcpStream) {
    loop {
        let closed = stream.ready(tokio::io::Interest::ERROR | tokio::io::Interest::READABLE).await;
        if closed.map_or(true, |ready| ready.is_read_closed() || ready.is_error()) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_asks_for_blocks_without_end_costs_the_others_little() {
    const ATTACKER: usize = 3;
    let size = Size::of_environment();
    let mut cluster = Cluster::create(4, &["--accounts", "5"]);
    let nodes = [0, 1, 2];
    for node in nodes {
        cluster.spawn(node);
    }
    for node in nodes {
        cluster.ready(node).await;
    }
    let mut keys = cluster.keys();
    let mallory = keys.pop().expect("five accounts");
    // A megabyte of blocks: more than the longest answer holds.
    let session = cluster.session(&nodes);
    for round in 0..8u64 {
        let put = |offset| {
            let key = vec![u8::try_from(offset).expect("few")];
            let action = KvAction::Put(vec![7; KV_VALUE_BYTES_MAX]);
            cluster.sign(&mallory, round * 10 + offset, &Operation::Kv(KvOperation { space: KvSpace::Own, key, action }))
        };
        let puts: Vec<_> = (0..10).map(put).collect();
        assert_eq!(cluster.client(&nodes).submit_batch(&batch(&puts)).await.expect("the batch is accepted").rejected, []);
        let last = puts.last().expect("there are some").id();
        eventually("the blocks are committed", || async { session.transaction(last).await.ok() }).await;
    }
    let traffic = Traffic::start_at(&cluster, &nodes, keys, mallory.public().address);
    traffic.goes_on(10).await;

    let (network, receivers) = cluster.impersonate(ATTACKER);
    let IncomingReceivers { consensus, sync, gossip } = receivers;
    // Received messages are discarded; the threads end when the network shuts down.
    for mut receiver in [consensus, sync, gossip] {
        std::thread::spawn(move || while receiver.blocking_recv().is_some() {});
    }
    eventually("the attacker is linked to all", || async {
        network.status().iter().all(quorate_network::PeerStatus::is_connected).then_some(())
    })
    .await;
    let request = Bytes::from(codec::encode(&Message::CatchupRequest(CatchupRequest { from: Height(1) })));
    let victims: Vec<PeerIndex> = network.status().into_iter().map(|peer| peer.index).collect();
    withstand("catch-up requests", size, &cluster, &nodes, &traffic, || {
        let (network, request, victims) = (network.clone(), request.clone(), victims.clone());
        let mut attackers = JoinSet::new();
        attackers.spawn(async move {
            loop {
                for victim in &victims {
                    for _ in 0..10 {
                        network.send(*victim, Class::Sync, request.clone());
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        attackers
    })
    .await;
    network.shutdown();
    traffic.goes_on(10).await;
    traffic.stop().await;
}
