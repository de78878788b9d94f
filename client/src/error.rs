//! Errors of a client, and their exit codes.

use quorate_types::{
    genesis::GenesisError,
    ids::TxId,
    round::{Height, Sequence, UnixMillis},
};

use crate::light::LightError;
use quorate_terminal::{CommandError, Exit, escape_untrusted, program_word};

/// Why a client has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An unusable node URL, or an unusable number of them.
    #[error("{url:?} is not the URL of a node: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// No node answered.
    #[error("no node answered: {tried}")]
    Unreachable {
        /// The nodes tried, each with its error.
        tried: String,
    },
    /// A node answered with an error, which proves nothing.
    #[error("{node} refused the request: \"{}\" ({})", escape_untrusted(.message), escape_untrusted(.code))]
    Refused {
        /// URL of the node.
        node: String,
        /// HTTP status.
        status: u16,
        /// The node's error code.
        code: String,
        /// The node's error message.
        message: String,
        /// The node's hint.
        hint: Option<String>,
    },
    /// Proved: the transaction is not in the chain and never will be.
    #[error("transaction {tx_id} is not in the chain and never will be: {why}")]
    NotCommitted {
        /// The transaction.
        tx_id: TxId,
        /// The proof.
        why: NotCommitted,
    },
    /// The transaction was sent, and its outcome is unknown.
    #[error("transaction {tx_id} was sent, but its outcome is unknown: {reason}")]
    Unknown {
        /// The transaction.
        tx_id: TxId,
        /// Why the outcome is unknown.
        reason: String,
        /// Every node that answered refused it, which proves nothing.
        refused: bool,
    },
    /// A node's answer does not follow the API.
    #[error("{node} sent an invalid answer: {}", escape_untrusted(.reason))]
    Answer {
        /// URL of the node.
        node: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A proof did not verify.
    #[error("not verified: {0}")]
    Unverified(#[from] LightError),
    /// Every proof is older than one that was verified before.
    #[error(
        "the nodes show nothing newer than height {shown}, but height {known} was proved before: they are behind, or hide newer blocks"
    )]
    Old {
        /// Newest height that the nodes showed.
        shown: Height,
        /// Newest height proved before.
        known: Height,
    },
    /// The genesis is invalid, so nothing can be checked against it.
    #[error("the genesis is invalid: {0}")]
    Genesis(#[from] GenesisError),
}

/// The proof that a transaction will never be in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// A block at or after its expiry is committed, and its sequence number is still unused in that block's state.
    #[error("it expired at {expires_at} ms, and the chain reached height {height} at {timestamp} ms without it")]
    Expired {
        /// Its expiry: no block at or after this time can hold it.
        expires_at: UnixMillis,
        /// The block's height.
        height: Height,
        /// The block's time.
        timestamp: UnixMillis,
    },
    /// Another transaction with its sequence number is committed.
    #[error("transaction {by} of the same sender, with the same sequence number {sequence}, is committed")]
    Replaced {
        /// The sequence number.
        sequence: Sequence,
        /// The committed transaction.
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
                Self::new(Exit::Usage, "node-url", message).with_hint("pass a URL such as --node http://127.0.0.1:8080")
            }
            ClientError::Tls(_) => Self::failure("tls", message).with_hint(
                "install the system's certificates (Debian: ca-certificates), or pass the certificates to trust with --ca-file FILE",
            ),
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, "unreachable", message)
                .with_hint("start a node, or name other nodes with --node URL (repeatable) or QUORATE_NODE"),
            // A node's code or hint must not pass for ours.
            ClientError::Refused { hint, .. } => {
                let error = Self::failure("refused", message);
                match hint {
                    Some(hint) => error.with_hint(format!("the node advises: \"{}\"", escape_untrusted(&hint))),
                    None => error.with_hint("try another node: --node URL"),
                }
            }
            ClientError::NotCommitted { tx_id, why } => Self::new(Exit::Rejected, why.code(), message).about(tx_id),
            ClientError::Unknown { tx_id, .. } => Self::new(Exit::TimedOut, "unknown", message)
                .with_hint(format!("it may still take effect; before sending it again, look up its outcome: {} tx {tx_id}", program_word()))
                .about(tx_id),
            ClientError::Answer { .. } => Self::failure("bad-answer", message).with_hint("is this URL the API of a quorate node?"),
            ClientError::Unverified(LightError::NothingCommitted) => Self::new(Exit::Unverified, "nothing-committed", message)
                .with_hint("a new network commits its first block within three heartbeats; try again then, or try another node"),
            ClientError::Unverified(LightError::Evidence(_)) => Self::new(Exit::Unverified, "no-evidence", message)
                .with_hint("check that the genesis is that of the accused validator's network; if it is, this record convicts nobody"),
            ClientError::Unverified(LightError::LaterEpoch(_)) => Self::new(Exit::Unverified, "later-epoch", message)
                .with_hint("try other nodes with --node URL (repeatable); if none proves that epoch, do not believe who named it"),
            ClientError::Unverified(_) => Self::new(Exit::Unverified, "unverified", message)
                .with_hint("check that the genesis is that of the nodes' network; if it is, do not trust this node"),
            ClientError::Old { .. } => {
                Self::new(Exit::Unverified, "old", message).with_hint("try another node with --node URL, or try again in a moment")
            }
            ClientError::Genesis(_) => {
                Self::failure("genesis", message).with_hint(format!("run `{} genesis verify` on the file", program_word()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{proof::ProofError, round::Epoch};

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
            (ClientError::Unverified(LightError::LaterEpoch(Epoch(1))), 7),
            (ClientError::Unverified(LightError::Evidence(quorate_types::verify::VerifyError::NoContradiction)), 7),
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
        let error =
            CommandError::from(ClientError::Unknown { tx_id: TxId::default(), reason: "timed out after 30 s".into(), refused: false });
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
