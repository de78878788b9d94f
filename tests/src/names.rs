//! A name server of the tests' own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Most bytes of a question that is answered.
const QUESTION_BYTES_MAX: usize = 512;
/// Length of a message without its question.
const HEADER_BYTES: usize = 12;

/// What is answered when somebody asks for a name.
#[derive(Clone, Debug)]
pub enum NameAnswer {
    /// These addresses.
    Addresses(Vec<Ipv4Addr>),
    /// An error, by its code: 3 means that there is no such name.
    Error(u8),
    /// Bytes that are no answer.
    Rubbish,
    /// Nothing.
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<BTreeMap<String, NameAnswer>>,
    asked: AtomicU64,
}

/// Answers questions for IPv4 addresses on a port of 127.0.0.1, and says that its answers hold for 68 years.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl NameServer {
    /// A server that knows no name.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("a bound socket");
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || serve(&socket, &serving));
        Self { address, shared }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is answered for a name.
    pub fn set(&self, name: &str, answer: NameAnswer) {
        answers(&self.shared).insert(name.to_owned(), answer);
    }

    /// How many questions have arrived.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

fn answers(shared: &Shared) -> MutexGuard<'_, BTreeMap<String, NameAnswer>> {
    shared.answers.lock().expect("no thread panics with it")
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut question = [0; QUESTION_BYTES_MAX];
    while let Ok((length, from)) = socket.recv_from(&mut question) {
        shared.asked.fetch_add(1, Ordering::SeqCst);
        let name = name(&question[HEADER_BYTES..length]);
        let answer = answers(shared).get(&name).cloned().unwrap_or(NameAnswer::Error(3));
        let message = match answer {
            NameAnswer::Addresses(addresses) => message(&question[..length], 0, &addresses),
            NameAnswer::Error(code) => message(&question[..length], code, &[]),
            NameAnswer::Rubbish => vec![0xff; 700],
            NameAnswer::Silence => continue,
        };
        // Whoever asked may be gone.
        drop(socket.send_to(&message, from));
    }
}

fn name(mut question: &[u8]) -> String {
    let mut labels = Vec::new();
    while let Some((length, rest)) = question.split_first().filter(|(length, _)| **length > 0) {
        let (label, rest) = rest.split_at(usize::from(*length));
        labels.push(String::from_utf8_lossy(label).into_owned());
        question = rest;
    }
    labels.join(".")
}

fn message(question: &[u8], code: u8, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let count = u16::try_from(addresses.len()).expect("a count of 16 bits").to_be_bytes();
    let head = [&question[..2], &[0x81, 0x80 | code, 0, 1], &count, &[0; 4], &question[HEADER_BYTES..]].concat();
    // Each record: the name of the question, A, IN, the longest time to live, four bytes.
    let record = |address: &Ipv4Addr| [&[0xc0, 12, 0, 1, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 4][..], &address.octets()].concat();
    [head, addresses.iter().flat_map(record).collect()].concat()
}
