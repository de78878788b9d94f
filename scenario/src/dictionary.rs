//! The hand-out's client-side dictionary: computes what each operation should answer, independently of the validators' code.
//!
//! | Operation | Answer |
//! |---|---|
//! | `put` | `OK` |
//! | `get` | the value; empty if the key is missing |
//! | `append` | `OK`; `fail` if the key is missing |
//! | `slice` | the new value; `fail` if the key is missing or the range exceeds the value |

use std::collections::BTreeMap;

use quorate_builtin::KvSpace;
use quorate_types::receipt::Outcome;

use super::operations::Operation;

/// Longest value that the application accepts (builtin/src/operation.rs).
const VALUE_BYTES_MAX: usize = 16 * 1_024;

/// An answer: its bytes, or `Err` for `fail`.
pub(crate) type Answered = Result<Vec<u8>, ()>;

/// The shared dictionary, or those of all clients.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    values: BTreeMap<(Option<u16>, String), Vec<u8>>,
}

impl Dictionary {
    /// Executes an operation.
    pub(crate) fn apply(&mut self, client: u16, space: KvSpace, operation: &Operation) -> Answered {
        let place = |key: &String| (owner(client, space), key.clone());
        match operation {
            Operation::Put(key, value) => {
                self.values.insert(place(key), value.clone().into_bytes());
                Ok(b"OK".to_vec())
            }
            Operation::Get(key) => Ok(self.values.get(&place(key)).cloned().unwrap_or_default()),
            Operation::Append(key, more) => {
                let value = self.values.get_mut(&place(key)).ok_or(())?;
                if value.len().saturating_add(more.len()) > VALUE_BYTES_MAX {
                    return Err(());
                }
                value.extend_from_slice(more.as_bytes());
                Ok(b"OK".to_vec())
            }
            Operation::Slice(key, start, end) => {
                let value = self.values.get_mut(&place(key)).ok_or(())?;
                let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end)) else { return Err(()) };
                let kept = value.get(start..end).ok_or(())?.to_vec();
                value.clone_from(&kept);
                Ok(kept)
            }
        }
    }

    /// Every key with its owner, if it has one, and its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Option<u16>, &str, &[u8])> {
        self.values.iter().map(|((owner, key), value)| (*owner, key.as_str(), value.as_slice()))
    }
}

fn owner(client: u16, space: KvSpace) -> Option<u16> {
    match space {
        KvSpace::Own => Some(client),
        KvSpace::Shared => None,
    }
}

/// The chain's answer, as the dictionary would give it.
pub(crate) fn answered(outcome: &Outcome) -> Answered {
    match outcome {
        Outcome::Applied(answer) => match quorate_builtin::Answer::decode(answer) {
            Ok(quorate_builtin::Answer::Value(value)) => Ok(value),
            Ok(quorate_builtin::Answer::Done) => Ok(b"OK".to_vec()),
            Err(_) => Err(()),
        },
        Outcome::Failed(_) => Err(()),
    }
}

/// An answer in readable form.
pub(crate) fn text(answer: &Answered) -> String {
    match answer {
        Ok(bytes) => format!("'{}'", String::from_utf8_lossy(bytes).escape_debug()),
        Err(()) => "fail".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::workload;

    #[test]
    fn answers_as_the_hand_out_says() {
        let script = [
            ("get('k')", "''"),
            ("append('k','x')", "fail"),
            ("slice('k','0:0')", "fail"),
            ("put('k','hello')", "'OK'"),
            ("append('k',' you')", "'OK'"),
            ("get('k')", "'hello you'"),
            ("slice('k','4:2')", "fail"),
            ("slice('k','0:99')", "fail"),
            ("slice('k','6:9')", "'you'"),
            ("get('k')", "'you'"),
            ("slice('k','1:1')", "''"),
        ];
        let mut dictionary = Dictionary::default();
        for (operation, answer) in script {
            let operation = workload(operation).unwrap().operations(0).remove(0);
            assert_eq!(text(&dictionary.apply(0, KvSpace::Shared, &operation)), answer, "{operation}");
        }
        assert_eq!(dictionary.entries().collect::<Vec<_>>(), [(None, "k", b"".as_slice())]);
    }

    #[test]
    fn own_keys_are_of_one_client() {
        let mut dictionary = Dictionary::default();
        let put = Operation::Put("k".into(), "v".into());
        dictionary.apply(0, KvSpace::Own, &put).unwrap();
        assert_eq!(dictionary.apply(1, KvSpace::Own, &Operation::Get("k".into())), Ok(vec![]));
        assert_eq!(dictionary.apply(0, KvSpace::Own, &Operation::Get("k".into())), Ok(b"v".to_vec()));
    }
}
