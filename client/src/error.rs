//! What can go wrong between a client and its nodes, and which exit code it is.

use quorate_types::{genesis::GenesisError, ids::TxId};

use crate::{
    light::LightError,
    terminal::{CommandError, Exit},
};

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
    /// No node answered.
    #[error("no node answers: {tried}")]
    Unreachable {
        /// Each node that was tried, with the reason.
        tried: String,
    },
    /// A node answered with an error.
    #[error("the node refuses: {message} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The node's stable word.
        code: String,
        /// The node's sentence.
        message: String,
        /// The node's advice.
        hint: Option<String>,
    },
    /// A node will not take the transaction, or has dropped it: it is not in the chain.
    #[error("the transaction is rejected: {message} ({code})")]
    Rejected {
        /// The node's stable word.
        code: String,
        /// The node's sentence.
        message: String,
        /// The node's advice.
        hint: Option<String>,
    },
    /// The transaction was sent, and nothing more is known.
    #[error("transaction {tx_id} was sent, but whether it is committed is not known: {reason}")]
    Unknown {
        /// Which.
        tx_id: TxId,
        /// How the client came to know nothing.
        reason: String,
    },
    /// A node answered with something else than its API promises.
    #[error("{node} gives an answer that cannot be used: {reason}")]
    Answer {
        /// Which node.
        node: String,
        /// What is wrong with its answer.
        reason: String,
    },
    /// A proof does not prove.
    #[error("not verified: {0}")]
    Unverified(#[from] LightError),
    /// The genesis that everything is checked against.
    #[error("the genesis cannot be used: {0}")]
    Genesis(#[from] GenesisError),
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Url { .. } => {
                Self::new(Exit::Usage, "node-url", message).with_hint("give URLs such as --node http://127.0.0.1:8080")
            }
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, "unreachable", message)
                .with_hint("start a node, or name others with --node URL (repeatable) or QUORATE_NODE"),
            ClientError::Refused { code, hint, .. } => Self { code, message, hint, exit: Exit::Failure },
            ClientError::Rejected { code, hint, .. } => Self { code, message, hint, exit: Exit::Rejected },
            ClientError::Unknown { tx_id, .. } => {
                Self::new(Exit::TimedOut, "timed-out", message).with_hint(format!("ask later: quorate wallet tx {tx_id}"))
            }
            ClientError::Answer { .. } => Self::failure("bad-answer", message).with_hint("is this URL the API of a quorate node?"),
            ClientError::Unverified(_) => Self::new(Exit::Unverified, "unverified", message)
                .with_hint("is the genesis that of the nodes' network? if it is, do not believe this node"),
            ClientError::Genesis(_) => Self::failure("genesis", message).with_hint("run `quorate genesis verify` on the file"),
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
        let cases = [
            (ClientError::Url { url: text(), reason: text() }, 2),
            (ClientError::Unreachable { tried: text() }, 3),
            (ClientError::Refused { status: 404, code: text(), message: text(), hint: None }, 1),
            (ClientError::Rejected { code: text(), message: text(), hint: None }, 4),
            (ClientError::Unknown { tx_id: TxId::default(), reason: text() }, 6),
            (ClientError::Answer { node: text(), reason: text() }, 1),
            (ClientError::Unverified(LightError::Proof(ProofError::NotCommitted)), 7),
            (ClientError::Genesis(GenesisError::Protocol(9)), 1),
        ];
        for (error, exit) in cases {
            let shown = format!("{error:?}");
            assert_eq!(CommandError::from(error).exit.code(), exit, "{shown}");
        }
    }

    #[test]
    fn a_timeout_says_how_to_ask_later() {
        let error = CommandError::from(ClientError::Unknown { tx_id: TxId::default(), reason: "30 s have passed".into() });
        assert!(error.hint.unwrap().contains(&format!("quorate wallet tx {}", TxId::default())));
    }
}
