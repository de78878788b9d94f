//! Workloads of clients: operations on the course's dictionary, written as `put('k','v'); append('k','v'); slice('k','0:4'); get('k')` or
//! drawn by `pseudorandom(seed, n)`.

use std::fmt;

use quorate_builtin::operation::{KvAction, KvOperation, KvSpace, Operation as Transacted};

use super::mt19937::Mt19937;

/// Most requests of one client.
pub(crate) const REQUESTS_MAX: u32 = 10_000;
/// Longest key or value in a scenario file, in bytes.
pub(crate) const WORD_BYTES_MAX: usize = 256;

/// An operation that a client requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets a key.
    Put(String, String),
    /// Reads a key, as a transaction in the chain.
    Get(String),
    /// Appends to a key's value.
    Append(String, String),
    /// Cuts a key's value down to the bytes from the first index up to, not including, the second.
    Slice(String, u32, u32),
}

impl Operation {
    /// The operation as the application takes it.
    #[must_use]
    pub fn transacted(&self, space: KvSpace) -> Transacted {
        let (key, action) = match self {
            Self::Put(key, value) => (key, KvAction::Put(value.clone().into_bytes())),
            Self::Get(key) => (key, KvAction::Get),
            Self::Append(key, value) => (key, KvAction::Append(value.clone().into_bytes())),
            Self::Slice(key, start, end) => (key, KvAction::Slice { start: *start, end: *end }),
        };
        Transacted::Kv(KvOperation { space, key: key.clone().into_bytes(), action })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key, value) => write!(f, "put({},{})", quoted(key), quoted(value)),
            Self::Get(key) => write!(f, "get({})", quoted(key)),
            Self::Append(key, value) => write!(f, "append({},{})", quoted(key), quoted(value)),
            Self::Slice(key, start, end) => write!(f, "slice({},'{start}:{end}')", quoted(key)),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The requests of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// This many generated requests, as in the projects of 2021.
    Requests(u32),
    /// These operations, in order.
    Explicit(Vec<Operation>),
    /// Drawn as the course's programs draw them.
    Pseudorandom {
        /// The seed of Python's generator.
        seed: u64,
        /// Number of operations.
        count: u32,
    },
}

impl Workload {
    /// The operations, for the client of this number.
    #[must_use]
    pub fn operations(&self, client: u16) -> Vec<Operation> {
        match self {
            Self::Requests(count) => {
                (0..*count).map(|number| Operation::Put(format!("client {client}"), format!("request {number}"))).collect()
            }
            Self::Explicit(operations) => operations.clone(),
            Self::Pseudorandom { seed, count } => pseudorandom(*seed, *count),
        }
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Requests(count) | Self::Pseudorandom { count, .. } => usize::try_from(*count).unwrap_or(usize::MAX),
            Self::Explicit(operations) => operations.len(),
        }
    }

    /// Whether there are no operations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(count) => write!(f, "{count} requests"),
            Self::Explicit(operations) => {
                let texts: Vec<String> = operations.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            Self::Pseudorandom { seed, count } => write!(f, "pseudorandom({seed},{count})"),
        }
    }
}

/// Draws for each operation `randint(1, 4)` for get, put, slice, append; the key, four letters by `choice`; for put and append also the
/// value, four more. A slice is always `0:4`, as in the hand-out's example.
fn pseudorandom(seed: u64, count: u32) -> Vec<Operation> {
    let mut random = Mt19937::new(seed);
    let mut operations = Vec::new();
    for _ in 0..count {
        let kind = random.randint(1, 4);
        let key = word(&mut random);
        operations.push(match kind {
            1 => Operation::Get(key),
            2 => Operation::Put(key, word(&mut random)),
            3 => Operation::Slice(key, 0, 4),
            _ => Operation::Append(key, word(&mut random)),
        });
    }
    operations
}

fn word(random: &mut Mt19937) -> String {
    (0..4).map(|_| char::from(random.choice(b"abcdefghijklmnopqrstuvwxyz"))).collect()
}

/// An error in a text: byte offset, what is wrong, how to fix it.
pub(crate) type Wrong = (usize, String, String);

/// A parsed call: `name('text', 7)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    /// Byte offset of its beginning.
    pub(crate) at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(String),
    Number(u64),
}

/// Parses calls separated by `;` or `,`.
pub(crate) fn calls(text: &str) -> Result<Vec<Call>, Wrong> {
    let mut reader = Reader { text, at: 0 };
    let mut calls = Vec::new();
    loop {
        while reader.eat(';') || reader.eat(',') {}
        if reader.rest().is_empty() {
            return Ok(calls);
        }
        calls.push(reader.call()?);
        if calls.len() > REQUESTS_MAX as usize {
            return Err((reader.at, format!("more than {REQUESTS_MAX} operations"), "split the workload over several clients".into()));
        }
        if !(reader.rest().is_empty() || reader.rest().starts_with([';', ','])) {
            return Err((reader.at, "unexpected text between two operations".into(), "separate operations with `;`".into()));
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&mut self) -> &'a str {
        let text = self.text;
        let rest = text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at = text.len().saturating_sub(trimmed.len());
        trimmed
    }

    fn eat(&mut self, token: char) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at = self.at.saturating_add(token.len_utf8());
        }
        found
    }

    fn need(&mut self, token: char) -> Result<(), Wrong> {
        if self.eat(token) { Ok(()) } else { Err((self.at, format!("`{token}` is missing here"), "write it as in put('k','v')".into())) }
    }

    fn call(&mut self) -> Result<Call, Wrong> {
        let rest = self.rest();
        let at = self.at;
        let length = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(rest.len());
        let (name, _) = rest.split_at_checked(length).unwrap_or_default();
        if name.is_empty() {
            return Err((at, "the name of an operation is missing".into(), "write it as in put('k','v')".into()));
        }
        self.at = at.saturating_add(length);
        self.need('(')?;
        let mut arguments = Vec::new();
        while !self.eat(')') {
            if !arguments.is_empty() {
                self.need(',')?;
            }
            arguments.push(self.argument()?);
        }
        Ok(Call { name: name.to_owned(), arguments, at })
    }

    fn argument(&mut self) -> Result<Argument, Wrong> {
        let rest = self.rest();
        let at = self.at;
        let Some(quote) = rest.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
            let length = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest.get(..length).unwrap_or_default();
            self.at = at.saturating_add(length);
            return digits
                .parse()
                .map(Argument::Number)
                .map_err(|_| (at, "expected quoted text or a number below 2^64".into(), "write it as in put('k','v')".into()));
        };
        let mut text = String::new();
        let mut letters = rest.char_indices().skip(1);
        while let Some((index, letter)) = letters.next() {
            match letter {
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                letter if letter == quote => {
                    self.at = at.saturating_add(index).saturating_add(quote.len_utf8());
                    return Ok(Argument::Text(text));
                }
                letter => text.push(letter),
            }
            if text.len() > WORD_BYTES_MAX {
                return Err((at, format!("the text is longer than {WORD_BYTES_MAX} bytes"), "shorten it".into()));
            }
        }
        Err((at, "the quote opened here is never closed".into(), format!("close it with {quote}")))
    }
}

/// Parses a client's workload.
pub(crate) fn workload(text: &str) -> Result<Workload, Wrong> {
    let calls = calls(text)?;
    if let [Call { name, arguments, at }] = calls.as_slice()
        && name == "pseudorandom"
    {
        return match arguments.as_slice() {
            [Argument::Number(seed), Argument::Number(count)] if *count <= u64::from(REQUESTS_MAX) => {
                Ok(Workload::Pseudorandom { seed: *seed, count: u32::try_from(*count).unwrap_or(REQUESTS_MAX) })
            }
            _ => Err((
                *at,
                "pseudorandom takes a seed and a number of operations".into(),
                format!("write it as in pseudorandom(233,10), with at most {REQUESTS_MAX} operations"),
            )),
        };
    }
    calls.into_iter().map(operation).collect::<Result<_, _>>().map(Workload::Explicit)
}

fn operation(call: Call) -> Result<Operation, Wrong> {
    let Call { name, arguments, at } = call;
    let wrong = |what: &str, fix: &str| Err((at, what.to_owned(), fix.to_owned()));
    match (name.as_str(), arguments.as_slice()) {
        ("put", [Argument::Text(key), Argument::Text(value)]) => Ok(Operation::Put(key.clone(), value.clone())),
        ("append", [Argument::Text(key), Argument::Text(value)]) => Ok(Operation::Append(key.clone(), value.clone())),
        ("get", [Argument::Text(key)]) => Ok(Operation::Get(key.clone())),
        ("slice", [Argument::Text(key), Argument::Text(range)]) => {
            let ends = range.split_once(':').and_then(|(start, end)| Some((start.trim().parse().ok()?, end.trim().parse().ok()?)));
            match ends {
                Some((start, end)) => Ok(Operation::Slice(key.clone(), start, end)),
                None => wrong("a slice needs two ends, neither negative", "write the range as in slice('k','0:4')"),
            }
        }
        ("put" | "append" | "get" | "slice", _) => {
            wrong(&format!("wrong arguments for {name}"), "write put('k','v'), append('k','v'), slice('k','0:4') or get('k')")
        }
        ("pseudorandom", _) => {
            wrong("pseudorandom(seed, n) cannot be combined with other operations", "give the client either operations or pseudorandom")
        }
        _ => wrong(&format!("there is no operation `{name}`"), "use put, get, append and slice, or pseudorandom(seed, n) alone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = r"put('k','it\'s'); append('k',' \\ v'); slice('k','0:4'); get('k')";
        let read = workload(text).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(workload(" pseudorandom( 233 , 10 ) ").unwrap().to_string(), "pseudorandom(233,10)");
        assert_eq!(workload("").unwrap(), Workload::Explicit(vec![]));
    }

    #[test]
    fn draws_the_workload_that_the_course_draws() {
        let drawn = Workload::Pseudorandom { seed: 233, count: 4 }.operations(0);
        let texts: Vec<String> = drawn.iter().map(ToString::to_string).collect();
        assert_eq!(texts, PYTHON);
    }

    /// The same four draws, made by `CPython` 3.
    const PYTHON: [&str; 4] = ["put('qhzp','rgcd')", "slice('hwwa','0:4')", "get('vhtw')", "put('xjdp','kgcj')"];

    #[test]
    fn says_where_a_workload_is_wrong() {
        for (text, at, what) in [
            ("put('k')", 0, "wrong arguments for put"),
            ("get('k'); drop('k')", 10, "there is no operation `drop`"),
            ("get('k') get('k')", 9, "unexpected text between"),
            ("get('k", 4, "never closed"),
            ("slice('k','-1:2')", 0, "needs two ends"),
            ("get(", 4, "quoted text or a number"),
            ("pseudorandom(1,99999)", 0, "takes a seed"),
            ("pseudorandom(1,2); get('k')", 0, "cannot be combined"),
            ("(", 0, "name of an operation"),
        ] {
            let (found, words, _) = workload(text).unwrap_err();
            assert_eq!(found, at, "{text}");
            assert!(words.contains(what), "{text}: {words}");
        }
    }
}
