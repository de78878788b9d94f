//! How a command ends: the exit codes, and the error that a person and a program can both read.

use quorate_types::ids::TxId;
use serde::Serialize;

/// The exit codes of every command.
///
/// | Code | Meaning |
/// |---|---|
/// | 0 | it worked |
/// | 1 | it failed |
/// | 2 | wrong usage |
/// | 3 | no node could be reached |
/// | 4 | the transaction is not in the chain and never will be: this program did not send it, or has proof |
/// | 5 | the transaction is in the chain, but failed |
/// | 6 | time ran out: whether the transaction is or will be in the chain is not known |
/// | 7 | a proof did not verify, or nothing as new as what was proved before |
/// | 130 | interrupted |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1.
    Failure,
    /// 2, as clap does.
    Usage,
    /// 3.
    Unreachable,
    /// 4.
    Rejected,
    /// 5.
    TransactionFailed,
    /// 6.
    TimedOut,
    /// 7.
    Unverified,
    /// 130, as shells do for SIGINT.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Rejected => 4,
            Self::TransactionFailed => 5,
            Self::TimedOut => 6,
            Self::Unverified => 7,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked: a stable word, a sentence, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// A stable word for programs.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What the process ends with.
    pub exit: Exit,
    /// The transaction that it is about, where one was sent.
    pub tx_id: Option<TxId>,
}

impl CommandError {
    /// A failure that ends with `exit`.
    #[must_use]
    pub fn new(exit: Exit, code: &str, message: impl std::fmt::Display) -> Self {
        Self { code: code.into(), message: message.to_string(), hint: None, exit, tx_id: None }
    }

    /// A plain failure, exit code 1.
    #[must_use]
    pub fn failure(code: &str, message: impl std::fmt::Display) -> Self {
        Self::new(Exit::Failure, code, message)
    }

    /// Wrong usage that clap cannot see, exit code 2.
    #[must_use]
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// The end by Ctrl-C, exit code 130.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted", "interrupted")
    }

    /// The same with a word on what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl std::fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same, about a transaction.
    #[must_use]
    pub const fn about(mut self, tx_id: TxId) -> Self {
        self.tx_id = Some(tx_id);
        self
    }

    /// The error as `{"error":{"code","message","hint","tx_id"}}`; the last two only where there are any.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            error: View<'a>,
        }
        #[derive(Serialize)]
        struct View<'a> {
            code: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tx_id: Option<TxId>,
        }
        let Self { code, message, hint, tx_id, exit: _ } = self;
        let body = Body { error: View { code, message, hint: hint.as_deref(), tx_id: *tx_id } };
        // Texts always serialize; should they not, the message still gets out.
        serde_json::to_string(&body).unwrap_or_else(|_| self.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        let codes = [
            (Exit::Failure, 1),
            (Exit::Usage, 2),
            (Exit::Unreachable, 3),
            (Exit::Rejected, 4),
            (Exit::TransactionFailed, 5),
            (Exit::TimedOut, 6),
            (Exit::Unverified, 7),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn an_error_is_one_json_object_for_programs() {
        let error = CommandError::failure("no-such-account", "there is no account \"eve\"").with_hint("run `quorate wallet list`");
        assert_eq!(
            error.to_json(),
            r#"{"error":{"code":"no-such-account","message":"there is no account \"eve\"","hint":"run `quorate wallet list`"}}"#
        );
        assert_eq!(CommandError::interrupted().to_json(), r#"{"error":{"code":"interrupted","message":"interrupted"}}"#);
        let about = CommandError::interrupted().about(TxId::default()).to_json();
        assert!(about.ends_with(&format!(r#","tx_id":"{}"}}}}"#, TxId::default())), "{about}");
    }
}
