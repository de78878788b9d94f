//! What travels between validators: encoded as on the wire, and decoded and verified as a node does before a replica sees anything.

use std::{cell::OnceCell, rc::Rc, sync::Arc};

use quorate_replica::Input;
use quorate_types::{
    codec::{self, DecodeError},
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Recipients, TransactionBatch},
    round::Epoch,
    transaction::Transaction,
    verify::{Verified, Verifier, VerifyError},
};

/// The content of a packet.
#[derive(Clone, Debug)]
pub enum Content {
    /// For the receiver's consensus engine.
    Message(Arc<Message>),
    /// For the receiver's pool.
    Transactions(Vec<Transaction>),
}

/// Whether `other` is among the recipients of what `from` sends.
#[must_use]
pub fn is_for(to: Recipients, from: ValidatorId, other: ValidatorId) -> bool {
    match to {
        Recipients::Others => other != from,
        Recipients::One(one) => other == one,
    }
}

/// A packet in transit, with a receiver's verdict on it. Decoding and verifying depend only on the content, the sender's seat and the
/// committee, so one verdict serves all receivers in an epoch.
#[derive(Debug)]
pub struct Packet {
    form: Form,
    /// As the first receiver opened it, with that receiver's epoch and the sender's seat there.
    opened: OnceCell<((Epoch, ValidatorId), Result<Opened, Refused>)>,
}

#[derive(Debug)]
enum Form {
    /// Not encoded: a search that moves replicas by hand may skip the encoding.
    Plain(Content),
    /// Bytes on the message or the gossip stream; they need not decode.
    Bytes { bytes: Vec<u8>, gossip: bool },
}

/// A verified input for a replica.
#[derive(Clone, Debug)]
pub enum Opened {
    /// For the replica's engine.
    Message(Verified<Message>),
    /// Of another epoch than the receiver's, so not verified; and its length.
    OtherEpoch(Box<Message>, usize),
    /// For the replica's pool.
    Gossip(Vec<Verified<Transaction>>),
}

/// Why bytes were refused: a word for counting, and the details.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The label under which it is counted.
    pub word: &'static str,
    /// What is wrong.
    pub what: String,
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self { word: "decode", what: error.to_string() }
    }
}

impl From<VerifyError> for Refused {
    fn from(error: VerifyError) -> Self {
        Self { word: error.word(), what: error.to_string() }
    }
}

impl Content {
    /// Encodes it.
    ///
    /// # Errors
    /// The content has too many transactions or its encoding is longer than the protocol allows.
    pub fn encode(self) -> Result<Rc<Packet>, String> {
        match self {
            Self::Message(message) => {
                let bytes = codec::encode(&*message);
                if bytes.len() > MESSAGE_BYTES_MAX {
                    return Err(format!("sends a message of {} bytes", bytes.len()));
                }
                Ok(Packet::bytes(bytes, false))
            }
            Self::Transactions(transactions) => {
                let bytes = transactions.try_into().map(|batch| codec::encode(&TransactionBatch(batch))).unwrap_or_default();
                if bytes.is_empty() || bytes.len() > BATCH_BYTES_MAX {
                    return Err(format!("gossips a batch of {} bytes", bytes.len()));
                }
                Ok(Packet::bytes(bytes, true))
            }
        }
    }
}

impl Packet {
    /// Content that is not encoded.
    #[must_use]
    pub fn plain(content: Content) -> Rc<Self> {
        Rc::new(Self { form: Form::Plain(content), opened: OnceCell::new() })
    }

    /// Bytes, sent as a message or as gossip.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>, gossip: bool) -> Rc<Self> {
        Rc::new(Self { form: Form::Bytes { bytes, gossip }, opened: OnceCell::new() })
    }

    /// The content, if it is not encoded.
    pub const fn content(&self) -> Option<&Content> {
        match &self.form {
            Form::Plain(content) => Some(content),
            Form::Bytes { .. } => None,
        }
    }

    /// The message, if the packet holds one that is not encoded.
    pub const fn message(&self) -> Option<&Arc<Message>> {
        match self.content() {
            Some(Content::Message(message)) => Some(message),
            Some(Content::Transactions(_)) | None => None,
        }
    }

    /// The encoded bytes; empty if it is not encoded.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.form {
            Form::Plain(_) => &[],
            Form::Bytes { bytes, .. } => bytes,
        }
    }

    /// Decodes and verifies it, as a receiver does before its replica sees it.
    ///
    /// # Errors
    /// It does not decode, or does not verify.
    pub fn open(&self, verifier: &Verifier, from: ValidatorId) -> Result<Opened, Refused> {
        let open = || match &self.form {
            Form::Plain(Content::Message(message)) => message_of(verifier, from, (**message).clone()),
            Form::Plain(Content::Transactions(transactions)) => gossip_of(verifier, transactions.clone()),
            Form::Bytes { bytes, gossip: false } => message_of(verifier, from, Message::decode(bytes)?),
            Form::Bytes { bytes, gossip: true } => {
                let TransactionBatch(batch) = codec::decode(bytes, BATCH_BYTES_MAX)?;
                gossip_of(verifier, batch.into_inner())
            }
        };
        // What one receiver has verified need not be verified for the others, if they are in the same epoch.
        let place = (verifier.committee().epoch(), from);
        let (of, opened) = self.opened.get_or_init(|| (place, open()));
        if *of == place { opened.clone() } else { open() }
    }
}

fn message_of(verifier: &Verifier, from: ValidatorId, message: Message) -> Result<Opened, Refused> {
    if message.epoch().is_some_and(|epoch| epoch != verifier.committee().epoch()) {
        let bytes = codec::encode(&message).len();
        return Ok(Opened::OtherEpoch(Box::new(message), bytes));
    }
    Ok(Opened::Message(verifier.message(from, message)?))
}

fn gossip_of(verifier: &Verifier, transactions: Vec<Transaction>) -> Result<Opened, Refused> {
    let verdicts = verifier.transactions(transactions);
    Ok(Opened::Gossip(verdicts.into_iter().collect::<Result<_, _>>()?))
}

impl Opened {
    /// Turns it into an input for the receiver's replica.
    #[must_use]
    pub fn into_input(self, from: ValidatorId) -> Input {
        match self {
            Self::Message(message) => Input::Message { from, message },
            Self::OtherEpoch(message, bytes) => Input::OtherEpoch { from, message, bytes },
            Self::Gossip(transactions) => Input::Gossip(transactions),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        message::{BATCH_TRANSACTIONS_MAX, CatchupRequest},
        round::Height,
    };

    use super::*;
    use crate::lab::Lab;

    const SENDER: ValidatorId = ValidatorId(1);

    #[test]
    fn what_is_encoded_opens_as_what_it_was() {
        let lab = Lab::new(4, 1).unwrap();
        let message = Message::CatchupRequest(CatchupRequest { from: Height(7) });
        let content = Content::Message(Arc::new(message.clone()));
        for packet in [Packet::plain(content.clone()), content.encode().unwrap()] {
            let opened = packet.open(&lab.setting.verifier, SENDER).unwrap();
            let Input::Message { from, message: opened } = opened.into_input(SENDER) else { panic!("a message") };
            assert_eq!((from, &*opened), (SENDER, &message));
        }
    }

    #[test]
    fn what_does_not_open_is_refused_by_a_word_and_what_is_too_long_is_not_sent() {
        let lab = Lab::new(4, 1).unwrap();
        for gossip in [false, true] {
            let refused = Packet::bytes(vec![0xff; 40], gossip).open(&lab.setting.verifier, SENDER).unwrap_err();
            assert_eq!(refused.word, "decode", "{refused:?}");
        }
        let batch = |count: usize| vec![(*lab.work[0][0]).clone(); count];
        assert!(Content::Transactions(batch(3)).encode().is_ok());
        let error = Content::Transactions(batch(BATCH_TRANSACTIONS_MAX + 1)).encode().unwrap_err();
        assert!(error.contains("gossips a batch"), "{error}");
    }

    #[test]
    fn others_are_all_but_the_sender() {
        let meant = |to| [0, 1, 2].map(ValidatorId).into_iter().filter(|other| is_for(to, SENDER, *other)).collect::<Vec<_>>();
        assert_eq!(meant(Recipients::Others), [ValidatorId(0), ValidatorId(2)]);
        assert_eq!(meant(Recipients::One(ValidatorId(2))), [ValidatorId(2)]);
    }
}
