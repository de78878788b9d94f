//! Parser for the part of Python that the configurations of 2021 use: literals, dotted names and calls. JSON is a subset of it.
//!
//! A file is a single value, or a module with assignments `name = value` at the beginning of a line; other lines are ignored. Nothing is
//! executed. Nesting and number of values are bounded.

use super::place::{FileError, Place, Places};

/// Deepest nesting.
const DEPTH_MAX: usize = 32;
/// Most values in a file.
const VALUES_MAX: usize = 200_000;

/// A value and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it begins in the file.
    pub place: Place,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `None`, `null`.
    None,
    /// `True`, `False`, `true` or `false`.
    Bool(bool),
    /// As written, without underscores.
    Number(String),
    /// A quoted string.
    Text(String),
    /// A dotted name such as `MsgType.Vote`.
    Name(String),
    /// A list, tuple or set.
    List(Vec<Node>),
    /// A dictionary, in the order of the file.
    Dict(Vec<(Node, Node)>),
    /// Name, and arguments with their keywords, if any.
    Call(String, Vec<(Option<String>, Node)>),
}

impl Value {
    /// Its kind, for error messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "True or False",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Name(_) => "a name",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Call(..) => "a call",
        }
    }
}

/// Parses the values of a file: a single one, or those of its assignments.
///
/// # Errors
/// It is not a literal, or nested too deeply.
pub fn parse(text: &str) -> Result<Vec<Node>, FileError> {
    let mut parser = Parser::new(text);
    parser.skip();
    if !parser.looks_like_module() {
        let node = parser.node(0)?;
        parser.skip();
        return if parser.rest().is_empty() {
            Ok(vec![node])
        } else {
            Err(parser.wrong("unexpected text after the value", "remove it, or begin the line with `name = `"))
        };
    }
    let mut nodes = Vec::new();
    let mut first_wrong = None;
    let mut starts = vec![0];
    starts.extend(text.match_indices('\n').map(|(index, _)| index.saturating_add(1)));
    let mut done = 0;
    for start in starts {
        if start < done {
            continue;
        }
        parser.at = start;
        if !parser.assignment() {
            continue;
        }
        match parser.node(0) {
            Ok(node) => {
                done = parser.at;
                nodes.push(node);
            }
            // An expression that is not a literal is ignored, unless it mentions failures.
            Err(wrong) => {
                if text.get(start..parser.at).is_some_and(|passed| passed.contains("Failure") || passed.contains("failure")) {
                    return Err(wrong);
                }
                first_wrong = first_wrong.or(Some(wrong));
            }
        }
    }
    match (nodes.is_empty(), first_wrong) {
        (true, Some(wrong)) => Err(wrong),
        (true, None) => Err(FileError::new(
            Place { line: 1, column: 1 },
            "the file contains no value",
            "write a FailureConfig(...), a dictionary or a list of them",
        )),
        (false, _) => Ok(nodes),
    }
}

struct Parser<'a> {
    text: &'a str,
    places: Places<'a>,
    at: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, places: Places::new(text), at: 0, values: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&mut self, what: impl Into<String>, fix: impl Into<String>) -> FileError {
        FileError::new(self.places.of(self.at), what, fix)
    }

    /// Skips white space, comments and line continuations.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\\' || letter == '\u{feff}');
            let comment = if trimmed.starts_with('#') { trimmed.find('\n').unwrap_or(trimmed.len()) } else { 0 };
            self.at = self.text.len().saturating_sub(trimmed.len()).saturating_add(comment);
            if comment == 0 {
                return;
            }
        }
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip();
        let found = self.rest().starts_with(token);
        if found {
            self.at = self.at.saturating_add(token.len_utf8());
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '.'))).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
        rest.get(..length).unwrap_or_default()
    }

    /// Whether the text is a Python module rather than a single value.
    fn looks_like_module(&self) -> bool {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or('[');
        if !(first.is_alphabetic() || first == '_' || first == '@') {
            // A value, unless it is a module's docstring.
            return rest.starts_with("\"\"\"");
        }
        let word: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.')).collect();
        let after = rest.get(word.len()..).unwrap_or_default().trim_start();
        !(after.starts_with('(') || after.is_empty())
    }

    /// Skips `name =` or `self.name =`, if it is next; expects the beginning of a line.
    fn assignment(&mut self) -> bool {
        let start = self.at;
        let word = self.word();
        let rest = self.rest().trim_start_matches([' ', '\t']);
        let found = !word.is_empty() && rest.starts_with('=') && !rest.starts_with("==");
        if found {
            self.at = self.text.len().saturating_sub(rest.len()).saturating_add(1);
        } else {
            self.at = start;
        }
        found
    }

    fn node(&mut self, depth: usize) -> Result<Node, FileError> {
        self.skip();
        self.values = self.values.saturating_add(1);
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return Err(self.wrong("the values are nested too deeply, or too many", "write a shorter file"));
        }
        let place = self.places.of(self.at);
        let value = match self.rest().chars().next() {
            None => return Err(self.wrong("the file ends where a value is expected", "add the value, or close the open bracket")),
            Some('[') => self.list('[', ']', depth)?,
            Some('(') => self.parenthesised(depth)?,
            Some('{') => self.braces(depth)?,
            Some('\'' | '"') => Value::Text(self.string()?),
            Some(letter) if letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.') => Value::Number(self.number()),
            Some(letter) if letter.is_alphabetic() || letter == '_' => self.named(depth)?,
            Some(letter) => return Err(self.wrong(format!("{letter:?} cannot begin a value"), "write a literal, a name or a call")),
        };
        Ok(Node { value, place })
    }

    fn number(&mut self) -> String {
        let rest = self.rest();
        let end =
            rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '+' | '_'))).unwrap_or(rest.len());
        self.at = self.at.saturating_add(end);
        rest.get(..end).unwrap_or_default().replace('_', "")
    }

    fn string(&mut self) -> Result<String, FileError> {
        let mut text = String::new();
        // Python joins adjacent strings.
        while let Some(quote @ ('\'' | '"')) = self.rest().chars().next() {
            let begin = self.at;
            let triple: String = [quote; 3].iter().collect();
            let end = if self.rest().starts_with(&triple) { triple } else { quote.to_string() };
            self.at = self.at.saturating_add(end.len());
            loop {
                let rest = self.rest();
                let mut letters = rest.chars();
                let Some(letter) = letters.next() else {
                    self.at = begin;
                    return Err(self.wrong("the string that begins here is never closed", format!("close it with {end}")));
                };
                if rest.starts_with(&end) {
                    self.at = self.at.saturating_add(end.len());
                    break;
                }
                self.at = self.at.saturating_add(letter.len_utf8());
                if letter != '\\' {
                    text.push(letter);
                    continue;
                }
                let escaped = letters.next().unwrap_or('\\');
                self.at =
                    self.at.saturating_add(if letters.as_str().len() < rest.len().saturating_sub(1) { escaped.len_utf8() } else { 0 });
                match escaped {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    '\n' => {}
                    other => text.push(other),
                }
            }
            self.skip();
        }
        Ok(text)
    }

    fn named(&mut self, depth: usize) -> Result<Value, FileError> {
        let begin = self.at;
        let word = self.word();
        match word {
            "None" | "null" => return Ok(Value::None),
            "True" | "true" => return Ok(Value::Bool(true)),
            "False" | "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        // r'..', b'..' and the like.
        if word.len() <= 2 && self.rest().starts_with(['\'', '"']) {
            return self.string().map(Value::Text);
        }
        let after = self.at;
        if !self.eat('(') {
            // A plain name: leave what follows it to the caller.
            self.at = after;
            return if word.is_empty() {
                self.at = begin;
                Err(self.wrong("a value is missing", "write a literal, a name or a call"))
            } else {
                Ok(Value::Name(word.to_owned()))
            };
        }
        let mut arguments = Vec::new();
        while !self.eat(')') {
            if !arguments.is_empty() && !self.eat(',') {
                return Err(self.wrong("a `,` or `)` is missing", "separate arguments with commas"));
            }
            if self.eat(')') {
                break;
            }
            let before = self.at;
            let name = self.word().to_owned();
            self.skip();
            let keyword = !name.is_empty() && self.rest().starts_with('=') && !self.rest().starts_with("==");
            if keyword {
                self.at = self.at.saturating_add(1);
            } else {
                self.at = before;
            }
            let node = self.node(depth.saturating_add(1))?;
            arguments.push((keyword.then_some(name), node));
        }
        Ok(Value::Call(word.to_owned(), arguments))
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Result<Value, FileError> {
        self.eat(open);
        let mut nodes = Vec::new();
        while !self.eat(close) {
            if !nodes.is_empty() && !self.eat(',') {
                return Err(self.wrong(format!("a `,` or `{close}` is missing"), "separate elements with commas"));
            }
            if self.eat(close) {
                break;
            }
            nodes.push(self.node(depth.saturating_add(1))?);
        }
        Ok(Value::List(nodes))
    }

    /// Parses a tuple, or a value in parentheses.
    fn parenthesised(&mut self, depth: usize) -> Result<Value, FileError> {
        let begin = self.at;
        let value = self.list('(', ')', depth)?;
        let inside = self.text.get(begin..self.at).unwrap_or_default().trim_end_matches(')').trim_end();
        match value {
            Value::List(mut nodes) if nodes.len() == 1 && !inside.ends_with(',') => Ok(nodes.pop().map_or(Value::None, |node| node.value)),
            value => Ok(value),
        }
    }

    /// Parses a dictionary or a set.
    fn braces(&mut self, depth: usize) -> Result<Value, FileError> {
        self.eat('{');
        let (mut pairs, mut elements) = (Vec::new(), Vec::new());
        while !self.eat('}') {
            let first = pairs.is_empty() && elements.is_empty();
            if !first && !self.eat(',') {
                return Err(self.wrong("a `,` or `}` is missing", "separate entries with commas"));
            }
            if self.eat('}') {
                break;
            }
            let key = self.node(depth.saturating_add(1))?;
            if self.eat(':') {
                pairs.push((key, self.node(depth.saturating_add(1))?));
            } else {
                elements.push(key);
            }
        }
        match (pairs.is_empty(), elements.is_empty()) {
            (_, true) => Ok(Value::Dict(pairs)),
            (true, false) => Ok(Value::List(elements)),
            (false, false) => Err(self.wrong("a dictionary entry has no value", "write key: value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        parse(text).unwrap().remove(0).value
    }

    #[test]
    fn reads_python_and_json() {
        let python = one("{'a': [1, -2.5, None,], \"b\": (True, MsgType.Vote, '_'), # why\n 'c': Failure(0, dest='x')}");
        let Value::Dict(pairs) = python else { panic!("a dictionary") };
        assert_eq!(pairs.len(), 3);
        assert!(matches!(&pairs[1].1.value, Value::List(nodes) if nodes[1].value == Value::Name("MsgType.Vote".into())));
        let Value::Call(name, arguments) = &pairs[2].1.value else { panic!("a call") };
        assert_eq!((name.as_str(), arguments[0].0.is_none(), arguments[1].0.as_deref()), ("Failure", true, Some("dest")));
        assert_eq!(pairs[2].1.place, Place { line: 2, column: 7 });
        assert_eq!(one("{\"a\": [null, true, 1e3]}"), one("{'a': (None, True, 1e3)}"));
        assert_eq!(one("((7))"), Value::Number("7".into()));
        assert_eq!(one("'it\\'s' \"two\""), Value::Text("it'stwo".into()));
    }

    #[test]
    fn finds_the_assignments_of_a_module() {
        let module = "from enum import Enum\n\nclass MsgType(Enum):\n    Vote = 4\n\nPair = namedtuple('Pair', ['a'])\nx = y + 1\ncases = [\n  Failure(src=1),\n]\n";
        let nodes = parse(module).unwrap();
        assert!(nodes.iter().any(|node| matches!(&node.value, Value::List(cases) if cases.len() == 1)), "{nodes:?}");
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (text, line, column) in [("[1, 2", 1, 6), ("{'a': }", 1, 7), ("[1 2]", 1, 4), ("'abc", 1, 1), ("[\n  !]", 2, 3), ("", 1, 1)] {
            assert_eq!(parse(text).unwrap_err().place, Place { line, column }, "{text}");
        }
        assert!(parse(&"[".repeat(10_000)).unwrap_err().what.contains("nested too deeply"));
    }

    /// Would take minutes if each position were counted from the beginning of the file.
    #[test]
    fn a_long_file_is_read_in_no_time_whether_in_one_line_or_many() {
        for separator in [",", ",\n"] {
            let text = format!("[{}]", vec!["1"; VALUES_MAX - 1].join(separator));
            let Value::List(nodes) = one(&text) else { panic!("a list") };
            let (width, line) = if separator == "," { (2, 1) } else { (0, VALUES_MAX - 1) };
            let column = if width == 0 { 1 } else { width * (VALUES_MAX - 1) };
            assert_eq!(nodes.last().map(|node| node.place), Some(Place { line, column }));
        }
        let wrong_lines = "a = !\n".repeat(1 << 17);
        assert_eq!(parse(&wrong_lines).unwrap_err().place, Place { line: 1, column: 5 });
    }
}
