use std::{
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use quorate_consensus::keeper::{Keeper, Record, Refusal};
use quorate_keygen::{PassphraseSource, Sealing, ValidatorKeys};
use quorate_types::{
    crypto::{Hash, PublicKey, Signature, SigningKey},
    ids::GenesisHash,
    round::{Epoch, Round},
    signing::{Signer, Unsigned},
};
use tempfile::TempDir;

use super::*;
use crate::wire::{Answer, Question};

const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));

fn timeout(round: u64, high_qc_round: u64) -> Unsigned {
    Unsigned::Timeout { genesis_hash: NETWORK, epoch: Epoch(0), round: Round(round), high_qc_round: Round(high_qc_round) }
}

fn source() -> PassphraseSource {
    PassphraseSource::Usual { file: None }
}

struct Place {
    _directory: TempDir,
    home: SignerHome,
    keys: ValidatorKeys,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = SignerHome::new(directory.path().join("signer"));
        let keys = ValidatorKeys::generate().unwrap();
        home.create(&keys, &Record::new(NETWORK, Epoch(0)), &Sealing::InsecurePlaintext).unwrap();
        Self { _directory: directory, home, keys }
    }

    /// Runs the signer. Its thread stays until the process ends, and so does its lock.
    fn serve(&self) {
        let server = Server::listen(&self.home.socket(), 0o600, self.home.open(&source()).unwrap(), || {}).unwrap();
        thread::spawn(move || server.run());
    }

    fn link(&self) -> RemoteSigner {
        RemoteSigner::new(self.home.socket(), self.keys.consensus.public(), NETWORK)
    }
}

/// Asks until the link has waited for long enough after its last failure.
fn patiently(link: &RemoteSigner, unsigned: &Unsigned) -> Signature {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(signature) = link.sign(unsigned) {
            return signature;
        }
        assert!(Instant::now() < deadline, "{:?}", link.absence());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_node_gets_the_signature_that_the_key_itself_would_make_and_no_second_one_that_contradicts_it() {
    let place = Place::new();
    let link = place.link();
    assert_eq!(link.sign(&timeout(1, 0)), None);
    let absence = link.absence().unwrap();
    assert!(absence.contains("quorate signer run") && absence.contains("signer.sock"), "{absence}");
    place.serve();
    assert_eq!(patiently(&link, &timeout(1, 0)), place.keys.consensus.sign(&timeout(1, 0).digest()));
    assert_eq!(link.absence(), None);

    // Another node, of the same key.
    let other = place.link();
    assert_eq!(other.sign(&timeout(1, 0)), link.sign(&timeout(1, 0)), "the same again");
    other.sign(&timeout(5, 4)).unwrap();
    assert_eq!(other.sign(&timeout(5, 3)), None);
    assert!(other.absence().unwrap().contains("another node"), "{:?}", other.absence());
    // A refusal is about one statement.
    assert_eq!(link.sign(&timeout(4, 3)), None);
    link.sign(&timeout(6, 4)).unwrap();
    let (key, record) = place.home.show().unwrap();
    assert_eq!((key, record.highest_round()), (place.keys.consensus.public(), Round(6)));
}

#[test]
fn a_second_signer_a_foreign_record_and_a_missing_one_are_refused() {
    let place = Place::new();
    let held = place.home.open(&source()).unwrap();
    assert!(matches!(place.home.open(&source()), Err(HomeError::InUse(_))));
    drop(held);
    // Once more, as after an interruption; but not over another past.
    place.home.create(&place.keys, &Record::new(NETWORK, Epoch(0)), &Sealing::InsecurePlaintext).unwrap();
    let later = Record::new(NETWORK, Epoch(3));
    assert!(matches!(place.home.create(&place.keys, &later, &Sealing::InsecurePlaintext), Err(HomeError::Taken(_))));
    let other = Place::new();
    let record = place.home.path().join("consensus.signed");
    fs::copy(other.home.path().join("consensus.signed"), &record).unwrap();
    assert!(matches!(place.home.open(&source()), Err(HomeError::Damaged { .. })));
    fs::remove_file(&record).unwrap();
    assert!(matches!(place.home.open(&source()), Err(HomeError::Missing(_))));
}

/// The node forgets the key once this succeeds.
#[test]
fn a_home_with_the_key_of_another_validator_is_not_taken_for_complete() {
    let (place, other) = (Place::new(), Place::new());
    for name in ["consensus.signed", "consensus.key"] {
        fs::remove_file(place.home.path().join(name)).unwrap();
    }
    fs::copy(other.home.path().join("consensus.key"), place.home.path().join("consensus.key")).unwrap();
    let record = Record::new(NETWORK, Epoch(0));
    assert!(matches!(place.home.create(&place.keys, &record, &Sealing::InsecurePlaintext), Err(HomeError::Taken(_))));
    fs::remove_file(place.home.path().join("consensus.key")).unwrap();
    place.home.create(&place.keys, &record, &Sealing::InsecurePlaintext).unwrap();
    place.home.open(&source()).unwrap();
}

#[test]
fn a_file_and_the_socket_of_a_living_signer_are_left_alone() {
    let (place, other) = (Place::new(), Place::new());
    place.serve();
    let record = other.home.path().join("consensus.signed");
    for path in [place.home.socket(), record.clone()] {
        assert!(Server::listen(&path, 0o600, other.home.open(&source()).unwrap(), || {}).is_err(), "{}", path.display());
    }
    other.home.show().unwrap();
    place.link().sign(&timeout(1, 0)).unwrap();
}

#[test]
fn a_signer_of_another_key_or_network_is_named() {
    let (place, other) = (Place::new(), Place::new());
    place.serve();
    let key = RemoteSigner::new(place.home.socket(), other.keys.consensus.public(), NETWORK);
    assert!(matches!(key.connect(), Err(Absence::OtherKey { .. })));
    let network = RemoteSigner::new(place.home.socket(), place.keys.consensus.public(), GenesisHash(Hash([8; 32])));
    assert!(matches!(network.connect(), Err(Absence::Refused(Refusal::Network(NETWORK)))));
}

/// What a signer answers to a statement; `None`: nothing.
type Lie = fn(&Unsigned) -> Option<Vec<u8>>;

/// Talks to the link as a signer that says whatever `answer` makes of the statement, and keeps the connection.
fn liar(path: PathBuf, key: PublicKey, answer: Lie) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            while let Ok(Some(question)) = wire::read::<Question>(&mut stream) {
                let bytes = match question {
                    Question::Hello { .. } => frame(&Answer::Welcome(key)),
                    Question::Sign(unsigned) => match answer(&unsigned) {
                        Some(bytes) => bytes,
                        None => break,
                    },
                };
                let is_slow = bytes.len() > 1_000;
                for part in bytes.chunks(if is_slow { 1 } else { 1_000 }) {
                    if stream.write_all(part).is_err() {
                        break;
                    }
                    if is_slow {
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            }
            kept.push(stream);
        }
    });
}

fn frame(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::write(&mut bytes, answer).unwrap();
    bytes
}

#[test]
fn nothing_that_a_signer_can_answer_is_sent_as_our_signature_unless_it_is_valid() {
    let answers: [Lie; 7] = [
        |unsigned| Some(frame(&Answer::Signed(SigningKey::from_seed(&[1; 32]).sign(&unsigned.digest())))),
        |_| Some(frame(&Answer::Signed(Signature([0; 64])))),
        |_| Some(frame(&Answer::OtherVersion(9))),
        |_| Some(u32::MAX.to_le_bytes().to_vec()),
        |_| Some(vec![2, 0, 0, 0, 200, 200]),
        |_| None,
        // A frame that comes in byte by byte, for minutes.
        |_| Some([1_000_u32.to_le_bytes().to_vec(), vec![0; 1_000]].concat()),
    ];
    for (i, answer) in answers.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let key = SigningKey::from_seed(&[3; 32]).public();
        liar(path.clone(), key, answer);
        let link = RemoteSigner::new(path, key, NETWORK);
        let asked = Instant::now();
        assert_eq!(link.sign(&timeout(1, 0)), None, "{i}");
        assert!(asked.elapsed() < Duration::from_secs(30), "{i}: the replica would stand still");
        let absence = link.absence().unwrap();
        // It is not asked again at once: the replica would do nothing but wait.
        assert_eq!(link.sign(&timeout(1, 0)), None, "{i}");
        assert_eq!(link.absence().unwrap(), absence);
    }
}

#[test]
fn rubbish_costs_its_own_connection_and_a_crowd_is_turned_away() {
    let place = Place::new();
    place.serve();
    let link = place.link();
    link.sign(&timeout(1, 0)).unwrap();
    let closed = |bytes: &[u8], path: &Path| {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read(&mut [0; 64]).unwrap() == 0
    };
    // Too long, cut short, not BCS, and a question before the hello.
    let mut early = Vec::new();
    wire::write(&mut early, &Question::Sign(timeout(2, 1))).unwrap();
    for bytes in [&u32::MAX.to_le_bytes()[..], &[9, 0, 0, 0, 1], &[1, 0, 0, 0, 77], &early, &[]] {
        assert!(closed(bytes, &place.home.socket()), "{bytes:?}");
    }
    link.sign(&timeout(2, 1)).unwrap();
    // The crowd's connections are closed; the node's stays.
    let crowd: Vec<_> = (0..20).map(|_| UnixStream::connect(place.home.socket()).unwrap()).collect();
    link.sign(&timeout(3, 2)).unwrap();
    drop(crowd);
    assert_eq!(place.home.show().unwrap().1.highest_round(), Round(3));
}

#[test]
fn what_was_signed_is_remembered_by_the_next_process() {
    let place = Place::new();
    let sign = |keeper: &mut Keeper<_>, unsigned: &Unsigned| keeper.sign(unsigned);
    sign(&mut place.home.open(&source()).unwrap(), &timeout(7, 3)).unwrap();
    let mut again = place.home.open(&source()).unwrap();
    assert_eq!(sign(&mut again, &timeout(7, 4)), Err(Refusal::Voted(Round(7))));
    sign(&mut again, &timeout(7, 3)).unwrap();
}
