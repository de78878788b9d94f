//! What can go wrong between a client and its nodes, and which exit code it is.

use quorate_types::{
    genesis::GenesisError,
    ids::TxId,
    round::{Height, Sequence, UnixMillis},
};

use crate::light::LightError;
use quorate_terminal::{CommandError, Exit, foreign, program_word};

/// Why a client has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A node's URL that cannot be used.
    #[error("{url:?} is no URL of a node: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("https cannot be spoken: {0}")]
    Tls(String),
    /// No node answered.
    #[error("no node answers: {tried}")]
    Unreachable {
        /// Each node that was tried, with the reason.
        tried: String,
    },
    /// A node answered with an error. These are its words, and they prove nothing.
    #[error("{node} refuses: \"{}\" ({})", foreign(.message), foreign(.code))]
    Refused {
        /// Which node.
        node: String,
        /// The HTTP status.
        status: u16,
        /// The node's stable word.
        code: String,
        /// The node's sentence.
        message: String,
        /// The node's advice.
        hint: Option<String>,
    },
    /// It is proved that the transaction is not in the chain and never will be.
    #[error("transaction {tx_id} is not in the chain and never will be: {why}")]
    NotCommitted {
        /// Which.
        tx_id: TxId,
        /// By what that is proved.
        why: NotCommitted,
    },
    /// The transaction was sent, and nothing more is known.
    #[error("transaction {tx_id} was sent, but whether it is committed is not known: {reason}")]
    Unknown {
        /// Which.
        tx_id: TxId,
        /// How the client came to know nothing.
        reason: String,
        /// Every node that answered refuses it, whose word proves nothing.
        refused: bool,
    },
    /// A node answered with something else than its API promises.
    #[error("{node} gives an answer that cannot be used: {}", foreign(.reason))]
    Answer {
        /// Which node.
        node: String,
        /// What is wrong with its answer.
        reason: String,
    },
    /// A proof does not prove.
    #[error("not verified: {0}")]
    Unverified(#[from] LightError),
    /// Every proof that was shown is older than one that was checked before.
    #[error("the nodes show nothing newer than height {shown}, but height {known} was proved before: they are behind, or hide what is new")]
    Old {
        /// The newest that they show.
        shown: Height,
        /// What was proved before.
        known: Height,
    },
    /// The genesis that everything is checked against.
    #[error("the genesis cannot be used: {0}")]
    Genesis(#[from] GenesisError),
}

/// By what it is proved that a transaction will never be in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// A committed block is so late that no later one can hold it, and its number was not used until then.
    #[error("it expired at {expires_at} ms, and the block of height {height}, of {timestamp} ms, is later and without it")]
    Expired {
        /// From when on no block can hold it.
        expires_at: UnixMillis,
        /// The block.
        height: Height,
        /// The block's time.
        timestamp: UnixMillis,
    },
    /// Another transaction with its number is committed.
    #[error("transaction {by} of the same sender has its number, {sequence}, and is committed")]
    Replaced {
        /// The number.
        sequence: Sequence,
        /// The other transaction.
        by: TxId,
    },
}

impl NotCommitted {
    const fn code(self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Replaced { .. } => "replaced",
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Url { .. } => {
                Self::new(Exit::Usage, "node-url", message).with_hint("give URLs such as --node http://127.0.0.1:8080")
            }
            ClientError::Tls(_) => Self::failure("tls", message)
                .with_hint("install the system's certificates (Debian: ca-certificates), or name those to trust with --ca-file FILE"),
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, "unreachable", message)
                .with_hint("start a node, or name others with --node URL (repeatable) or QUORATE_NODE"),
            // A node's word must not pass for one of ours, neither as a code nor as advice.
            ClientError::Refused { hint, .. } => {
                let error = Self::failure("refused", message);
                match hint {
                    Some(hint) => error.with_hint(format!("the node advises: \"{}\"", foreign(&hint))),
                    None => error.with_hint("ask another node: --node URL"),
                }
            }
            ClientError::NotCommitted { tx_id, why } => Self::new(Exit::Rejected, why.code(), message).about(tx_id),
            ClientError::Unknown { tx_id, .. } => Self::new(Exit::TimedOut, "unknown", message)
                .with_hint(format!(
                    "it may still take effect, so before it is sent anew ask what became of it: {} tx {tx_id}",
                    program_word()
                ))
                .about(tx_id),
            ClientError::Answer { .. } => Self::failure("bad-answer", message).with_hint("is this URL the API of a quorate node?"),
            ClientError::Unverified(LightError::NothingCommitted) => Self::new(Exit::Unverified, "nothing-committed", message)
                .with_hint("a new network commits its first block within three heartbeats: ask again then, or ask another node"),
            ClientError::Unverified(_) => Self::new(Exit::Unverified, "unverified", message)
                .with_hint("is the genesis that of the nodes' network? if it is, do not believe this node"),
            ClientError::Old { .. } => {
                Self::new(Exit::Unverified, "old", message).with_hint("ask another node: --node URL, or ask again in a moment")
            }
            ClientError::Genesis(_) => {
                Self::failure("genesis", message).with_hint(format!("run `{} genesis verify` on the file", program_word()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::proof::ProofError;

    use super::*;

    #[test]
    fn each_error_has_the_exit_code_of_the_documentation() {
        let text = String::new;
        let expired = NotCommitted::Expired { expires_at: UnixMillis(1), height: Height(1), timestamp: UnixMillis(2) };
        let cases = [
            (ClientError::Url { url: text(), reason: text() }, 2),
            (ClientError::Tls(text()), 1),
            (ClientError::Unreachable { tried: text() }, 3),
            (ClientError::Refused { node: text(), status: 404, code: text(), message: text(), hint: None }, 1),
            (ClientError::NotCommitted { tx_id: TxId::default(), why: expired }, 4),
            (ClientError::Unknown { tx_id: TxId::default(), reason: text(), refused: false }, 6),
            (ClientError::Answer { node: text(), reason: text() }, 1),
            (ClientError::Unverified(LightError::Proof(ProofError::NotCommitted)), 7),
            (ClientError::Unverified(LightError::NothingCommitted), 7),
            (ClientError::Old { shown: Height(1), known: Height(2) }, 7),
            (ClientError::Genesis(GenesisError::Protocol(9)), 1),
        ];
        for (error, exit) in cases {
            let shown = format!("{error:?}");
            assert_eq!(CommandError::from(error).exit.code(), exit, "{shown}");
        }
    }

    #[test]
    fn an_unknown_outcome_says_how_to_ask_this_program_later_and_names_the_transaction_for_programs() {
        let error = CommandError::from(ClientError::Unknown { tx_id: TxId::default(), reason: "30 s have passed".into(), refused: false });
        assert_eq!(error.tx_id, Some(TxId::default()));
        assert!(error.hint.unwrap().ends_with(&format!("{} tx {}", program_word(), TxId::default())));
    }

    #[test]
    fn the_words_of_a_node_are_quoted_escaped_and_never_a_code_of_ours() {
        let (code, message) = ("expired".into(), "no\r\u{1b}[2Kverified: height 7".into());
        let refused = ClientError::Refused { node: "http://a/".into(), status: 422, code, message, hint: Some("pay \u{202e}me".into()) };
        let error = CommandError::from(refused);
        assert_eq!((error.code.as_str(), error.exit), ("refused", Exit::Failure));
        assert!(error.message.contains(r#""no\u{d}\u{1b}[2Kverified: height 7""#), "{}", error.message);
        assert_eq!(error.hint.unwrap(), r#"the node advises: "pay \u{202e}me""#);
    }
}
