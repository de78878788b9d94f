//! Asks one name server, if the operator has named it instead of the system's.
//!
//! One question, one datagram, and of the answer only the addresses. Nothing is remembered, so a time to live does not matter. Whatever a server
//! answers, a look-up ends after [`TRIES`] seconds, with at most [`ADDRESSES_MAX`] addresses. A wrong address costs a dial: peers are known by
//! their keys.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

/// Most addresses of one name that are dialled.
pub(crate) const ADDRESSES_MAX: usize = 8;
/// How often the question is sent.
const TRIES: u32 = 3;
/// How long an answer is awaited before the question is sent again.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Datagrams that are not the answer, after which a try is given up.
const OTHERS_MAX: usize = 16;
/// More than a name server sends to whom asks without extensions.
const DATAGRAM_BYTES_MAX: usize = 4_096;
/// Length of the fixed part of a message.
const HEADER_BYTES: usize = 12;
/// The class of internet addresses.
const CLASS: u16 = 1;

/// The kind of address that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// IPv4.
    A,
    /// IPv6.
    Aaaa,
}

impl Record {
    const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// Asks `server` for the addresses of a name; none if the name has none of this kind.
///
/// # Errors
/// The name cannot be asked for, or the server does not answer, or answers that it cannot or does not know the name.
pub(crate) async fn ask(server: SocketAddr, host: &str, record: Record) -> io::Result<Vec<IpAddr>> {
    let question = question(host, record).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is not a host name"))?;
    let any: SocketAddr = if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    // The system then drops whatever comes from elsewhere.
    socket.connect(server).await?;
    for _ in 0..TRIES {
        if let Some(found) = ask_once(&socket, &question, record).await? {
            return Ok(found);
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("the name server {server} does not answer")))
}

async fn ask_once(socket: &UdpSocket, question: &[u8], record: Record) -> io::Result<Option<Vec<IpAddr>>> {
    // Keyed at random by the standard library: whoever cannot read our datagrams cannot guess the number either.
    let [high, low, ..] = RandomState::new().hash_one(Instant::now()).to_be_bytes();
    // A plain query for which recursion is desired, with one question.
    let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(question);
    socket.send(&message).await?;
    let deadline = Instant::now() + TRY_TIMEOUT;
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    for _ in 0..OTHERS_MAX {
        let Ok(received) = timeout_at(deadline, socket.recv(&mut datagram)).await else { break };
        let answer = datagram.get(..received?).unwrap_or_default();
        match read(answer, [high, low], question, record) {
            Reading::Found(found) => return Ok(Some(found)),
            Reading::Refused(code) => return Err(refusal(code)),
            Reading::Other => {}
        }
    }
    Ok(None)
}

fn refusal(code: u8) -> io::Error {
    match code {
        3 => io::Error::new(io::ErrorKind::NotFound, "there is no such name"),
        code => io::Error::other(format!("the name server answers with error {code}")),
    }
}

/// The question of a message: the name, the kind of record, the class.
fn question(host: &str, record: Record) -> Option<Vec<u8>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut question = Vec::new();
    for label in host.split('.') {
        if !label.is_ascii() || !(1..=63).contains(&label.len()) {
            return None;
        }
        question.push(u8::try_from(label.len()).ok()?);
        question.extend_from_slice(label.as_bytes());
    }
    question.push(0);
    question.extend_from_slice(&record.code().to_be_bytes());
    question.extend_from_slice(&CLASS.to_be_bytes());
    Some(question)
}

/// What a datagram is.
#[derive(Debug, PartialEq, Eq)]
enum Reading {
    /// The answer.
    Found(Vec<IpAddr>),
    /// The answer that there is none, with its code.
    Refused(u8),
    /// Not the answer to this question, or not well-formed.
    Other,
}

fn read(datagram: &[u8], id: [u8; 2], question: &[u8], record: Record) -> Reading {
    let mut rest = Bytes(datagram);
    let Some(header) = rest.take(HEADER_BYTES) else { return Reading::Other };
    let &[high, low, flags, code, _, questions, answers_high, answers_low, ..] = header else { return Reading::Other };
    let is_response = flags & 0x80 != 0;
    let echo = rest.take(question.len());
    if [high, low] != id || !is_response || questions != 1 || !echo.is_some_and(|echo| echo.eq_ignore_ascii_case(question)) {
        return Reading::Other;
    }
    match code & 0x0f {
        0 => {}
        code => return Reading::Refused(code),
    }
    let mut found = Vec::new();
    for _ in 0..u16::from_be_bytes([answers_high, answers_low]) {
        // A datagram that was cut off still holds whole records.
        let Some((kind, data)) = rest.record() else { break };
        // Whatever name it belongs to: the question's, or one that this is another name for.
        if kind == record.code()
            && let Some(address) = address(data)
        {
            found.push(address);
        }
        if found.len() >= ADDRESSES_MAX {
            break;
        }
    }
    Reading::Found(found)
}

/// An address that can be dialled: of one machine.
fn address(data: &[u8]) -> Option<IpAddr> {
    let address = <[u8; 4]>::try_from(data).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)).ok()?;
    (!address.is_unspecified() && !address.is_multicast()).then_some(address)
}

/// The rest of a datagram.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
    }

    /// A record: its kind and its data. Class and time to live do not matter.
    fn record(&mut self) -> Option<(u16, &'a [u8])> {
        self.skip_name()?;
        let kind = self.u16()?;
        self.take(6)?;
        let length = self.u16()?;
        Some((kind, self.take(usize::from(length))?))
    }

    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take(1)? {
                [0] => return Some(()),
                // A pointer to the rest of the name, which ends it here.
                [length] if *length >= 0xc0 => return self.take(1).map(drop),
                [length] => drop(self.take(usize::from(*length))?),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 2] = [7, 9];
    const HOST: &str = "node.example.org";

    fn asked() -> Vec<u8> {
        question(HOST, Record::A).unwrap()
    }

    /// An answer with these records: kind, and data.
    fn answer(records: &[(u16, &[u8])]) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let mut bytes = [&ID[..], &[0x81, 0x80, 0, 1], &count, &[0; 4], &asked()].concat();
        for (kind, data) in records {
            bytes.extend_from_slice(&[0xc0, 12]);
            bytes.extend_from_slice(&kind.to_be_bytes());
            // The longest time to live there is.
            bytes.extend_from_slice(&[0, 1, 0xff, 0xff, 0xff, 0xff]);
            bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    fn found(datagram: &[u8]) -> Reading {
        read(datagram, ID, &asked(), Record::A)
    }

    #[test]
    fn a_question_has_these_golden_bytes_and_what_is_no_host_name_is_not_asked() {
        assert_eq!(question("a.bc.", Record::Aaaa).unwrap(), b"\x01a\x02bc\0\0\x1c\0\x01");
        for host in ["", ".", "a..b", "ä.org", &"x".repeat(64)] {
            assert_eq!(question(host, Record::A), None, "{host}");
        }
    }

    #[test]
    fn the_addresses_of_the_right_kind_are_found_behind_other_names_too() {
        let alias = b"\x05other\x07example\x03org\0";
        let records: [(u16, &[u8]); 4] = [(5, alias), (1, &[10, 0, 0, 1]), (28, &[1; 16]), (1, &[10, 0, 0, 2])];
        assert_eq!(found(&answer(&records)), Reading::Found(vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]));
        assert_eq!(found(&answer(&[])), Reading::Found(vec![]));
        assert_eq!(found(&answer(&[(1, &[0; 4]), (1, &[224, 0, 0, 1]), (1, &[1; 5])])), Reading::Found(vec![]), "not of a machine");
    }

    #[test]
    fn of_a_thousand_addresses_the_first_few_are_taken() {
        let records = vec![(1u16, &[10, 0, 0, 1][..]); 1_000];
        assert_eq!(found(&answer(&records)), Reading::Found(vec![[10, 0, 0, 1].into(); ADDRESSES_MAX]));
    }

    #[test]
    fn an_answer_that_is_not_ours_is_passed_over_and_a_refusal_is_one() {
        let good = answer(&[(1, &[10, 0, 0, 1])]);
        for (place, what) in [(0, "another number"), (2, "a question"), (5, "other questions"), (14, "another name"), (31, "another kind")]
        {
            let mut other = good.clone();
            other[place] ^= 0x80;
            assert_eq!(found(&other), Reading::Other, "{what}");
        }
        let mut refused = good;
        refused[3] |= 3;
        assert_eq!(found(&refused), Reading::Refused(3));
    }

    #[test]
    fn whatever_is_cut_off_or_changed_is_read_without_harm() {
        let good = answer(&[(5, b"\x05other\0"), (1, &[10, 0, 0, 1]), (1, &[10, 0, 0, 2])]);
        for end in 0..good.len() {
            let Reading::Found(addresses) = found(&good[..end]) else { continue };
            assert!(addresses.len() < 2, "{end}");
        }
        for place in HEADER_BYTES..good.len() {
            for value in 0..=u8::MAX {
                let mut changed = good.clone();
                changed[place] = value;
                if let Reading::Found(addresses) = found(&changed) {
                    assert!(addresses.len() <= ADDRESSES_MAX);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_sends_nothing_or_only_rubbish_is_given_up() {
        let given_up = [0, 3, 100].map(|rubbish| async move {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let at = server.local_addr().unwrap();
            let sending = tokio::spawn(async move {
                let mut asked = [0; 512];
                while let Ok((_, from)) = server.recv_from(&mut asked).await {
                    for _ in 0..rubbish {
                        server.send_to(&[0xff; 600], from).await.unwrap();
                    }
                }
            });
            assert_eq!(ask(at, HOST, Record::A).await.unwrap_err().kind(), io::ErrorKind::TimedOut, "{rubbish}");
            sending.abort();
        });
        futures::future::join_all(given_up).await;
    }
}
