//! Logs what happens in consensus: `log.level = "info,quorate_consensus=debug"`.
//!
//! The core is pure and logs nothing; these events are derived from the replica's inputs and outputs. Their names and fields are stable and
//! documented in docs/operate.md. A disabled event costs the check of one flag: no field is computed.

use std::{fmt, sync::Arc};

use quorate_types::{
    header::Header,
    ids::ValidatorId,
    message::{Message, Recipients},
    round::Round,
};

use crate::epochs::Epochs;

/// The target of all events, for `log.level`.
pub(crate) const TARGET: &str = "quorate_consensus";

/// Emits an event. Its name is also its message, because a log shows only the message.
macro_rules! event {
    ($level:ident, $name:literal, $($fields:tt)+) => {
        tracing::$level!(name: $name, target: TARGET, $($fields)+, $name)
    };
}

/// Logs consensus events, with validators by name.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    epochs: Arc<Epochs>,
}

impl Events {
    pub(crate) const fn new(epochs: Arc<Epochs>) -> Self {
        Self { epochs }
    }

    fn name(&self, id: ValidatorId) -> String {
        self.epochs.now().name(id)
    }

    fn name_of(&self, to: Recipients) -> String {
        match to {
            Recipients::Others => "all".into(),
            Recipients::One(id) => self.name(id),
        }
    }

    /// `high_qc_round` is the round of our highest certificate.
    pub(crate) fn round_entered(&self, round: Round, leader: ValidatorId, high_qc_round: Round) {
        let led_by = if high_qc_round.next() == round { "certificate" } else { "timeouts" };
        event!(debug, "round-entered", round = round.0, leader = self.name(leader), led_by, high_qc_round = high_qc_round.0);
    }

    pub(crate) fn sent(&self, to: Recipients, message: &Message) {
        match message {
            Message::Proposal(proposal) => {
                let block = &proposal.block;
                event!(trace, "proposal-sent", round = block.round().0, block = %block.id(), transactions = block.payload().len());
            }
            Message::Vote(vote) => {
                event!(trace, "vote-sent", round = vote.vote_info.round.0, block = %vote.vote_info.id, to = self.name_of(to));
            }
            Message::Timeout(message) => {
                let timeout = &message.timeout;
                event!(debug, "timeout-sent", round = timeout.round.0, high_qc_round = timeout.high_qc.round().0, to = self.name_of(to));
            }
            Message::FetchRequest(request) => {
                event!(debug, "fetch-sent", to = self.name_of(to), block = %request.block_id, above_round = request.above.0);
            }
            Message::CatchupRequest(request) => event!(debug, "catchup-sent", to = self.name_of(to), from_height = request.from.0),
            Message::FetchResponse(response) => {
                event!(debug, "fetch-answered", to = self.name_of(to), block = %response.block_id, blocks = response.blocks.len());
            }
            Message::CatchupResponse(response) => {
                event!(debug, "catchup-answered", to = self.name_of(to), from_height = response.from.0, blocks = response.blocks.len());
            }
            Message::SyncInfo(_)
            | Message::SightingsRequest
            | Message::Sightings(_)
            | Message::RecoveryRequest(_)
            | Message::RecoveryAnswer(_) => {}
        }
    }

    pub(crate) fn received(&self, from: ValidatorId, message: &Message) {
        match message {
            Message::Proposal(proposal) => {
                let block = &proposal.block;
                event!(
                    trace,
                    "proposal-received",
                    round = block.round().0,
                    block = %block.id(),
                    transactions = block.payload().len(),
                    from = self.name(from)
                );
            }
            Message::Vote(vote) => {
                event!(trace, "vote-received", round = vote.vote_info.round.0, block = %vote.vote_info.id, from = self.name(from));
            }
            Message::Timeout(message) => {
                let timeout = &message.timeout;
                event!(
                    debug,
                    "timeout-received",
                    round = timeout.round.0,
                    high_qc_round = timeout.high_qc.round().0,
                    from = self.name(from)
                );
            }
            Message::FetchResponse(response) => {
                event!(debug, "fetch-received", from = self.name(from), block = %response.block_id, blocks = response.blocks.len());
            }
            Message::CatchupResponse(response) => {
                event!(debug, "catchup-received", from = self.name(from), from_height = response.from.0, blocks = response.blocks.len());
            }
            // Requests are logged with our answer, or as refusals.
            Message::FetchRequest(_)
            | Message::CatchupRequest(_)
            | Message::SyncInfo(_)
            | Message::SightingsRequest
            | Message::RecoveryRequest(_)
            | Message::RecoveryAnswer(_)
            | Message::Sightings(_) => {}
        }
    }

    pub(crate) fn committed(header: &Header, transactions: usize) {
        event!(debug, "committed", height = header.height.0, round = header.round.0, block = %header.block_id, transactions);
    }

    /// A message that did not verify, or was dropped unverified. `why` is for humans.
    pub(crate) fn message_refused(&self, from: ValidatorId, reason: &str, why: fmt::Arguments<'_>) {
        event!(debug, "message-refused", from = self.name(from), reason, %why);
    }

    pub(crate) fn message_ignored(&self, from: ValidatorId, reason: &str) {
        event!(debug, "message-ignored", from = self.name(from), reason);
    }

    pub(crate) fn submission_refused(reason: &str) {
        event!(debug, "submission-refused", reason);
    }

    pub(crate) fn gossip_dropped(reason: &str, transactions: usize) {
        event!(debug, "gossip-dropped", reason, transactions);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Mutex};

    use quorate_types::{
        block::{Block, BlockContent, Proposal},
        codec::Bounded,
        crypto::{Hash, Signature},
        ids::{BlockId, GenesisHash, StateId},
        message::{CatchupRequest, CatchupResponse, FetchRequest, FetchResponse, RecoveryRequest, SyncInfo},
        round::{Epoch, Height, UnixMillis},
        timeout::{Timeout, TimeoutMessage},
        vote::{QuorumCert, Vote},
    };
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    /// Name, level, fields.
    type Told = (String, String, Vec<String>);

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<Told>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            assert_eq!(metadata.target(), TARGET);
            let fields = metadata.fields().iter().map(|field| field.name().to_owned()).filter(|name| name != "message");
            let told = (metadata.name().into(), metadata.level().as_str().to_lowercase(), fields.collect());
            self.0.lock().unwrap().push(told);
        }
    }

    /// A message of every kind.
    fn messages() -> Vec<Message> {
        let me = ValidatorId(0);
        let signature = Signature([0; 64]);
        let qc = || QuorumCert::genesis(Epoch(0), GenesisHash::default(), StateId(Hash([0; 32])));
        let block = Block::new(BlockContent {
            genesis_hash: GenesisHash::default(),
            epoch: Epoch(0),
            author: me,
            round: Round(1),
            timestamp: UnixMillis(1),
            payload: Bounded::default(),
            qc: qc(),
        });
        let (vote_info, commit_info) = (qc().vote_info, qc().commit_info);
        let timeout = Timeout { epoch: Epoch(0), round: Round(1), high_qc: qc(), sender: me, signature };
        vec![
            Message::Proposal(Box::new(Proposal { block, last_round_tc: None, high_commit_qc: qc(), signature })),
            Message::Vote(Box::new(Vote { vote_info, commit_info, high_commit_qc: qc(), sender: me, signature })),
            Message::Timeout(Box::new(TimeoutMessage { timeout, last_round_tc: None, high_commit_qc: qc() })),
            Message::SyncInfo(Box::new(SyncInfo { high_qc: qc(), high_commit_qc: qc(), last_round_tc: None })),
            Message::FetchRequest(FetchRequest { block_id: BlockId::default(), above: Round(0) }),
            Message::FetchResponse(Box::new(FetchResponse { block_id: BlockId::default(), blocks: Bounded::default() })),
            Message::CatchupRequest(CatchupRequest { from: Height(1) }),
            Message::CatchupResponse(Box::new(CatchupResponse::nothing_from(Height(1)))),
            Message::SightingsRequest,
            Message::RecoveryRequest(RecoveryRequest { nonce: Hash::default() }),
        ]
    }

    fn header() -> Header {
        let zero = || Hash([0; 32]);
        Header {
            genesis_hash: GenesisHash::default(),
            epoch: Epoch(0),
            height: Height(1),
            round: Round(1),
            block_id: BlockId::default(),
            parent: StateId(zero()),
            timestamp: UnixMillis(1),
            transactions_root: zero(),
            receipts_root: zero(),
            state_root: zero(),
            epoch_state: zero(),
        }
    }

    #[test]
    fn the_events_are_those_of_the_documentation_with_their_levels_and_fields() {
        let heard = Heard::default();
        let events = Events::new(crate::testing::epochs());
        let me = ValidatorId(0);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(heard.clone()), || {
            events.round_entered(Round(2), me, Round(1));
            for message in messages() {
                events.sent(Recipients::Others, &message);
                events.received(me, &message);
            }
            Events::committed(&header(), 0);
            events.message_refused(me, "signature", format_args!("it does not verify"));
            events.message_ignored(me, "old-round");
            Events::submission_refused("busy");
            Events::gossip_dropped("checks-full", 1);
        });
        let told: BTreeSet<Told> = heard.0.lock().unwrap().iter().cloned().collect();

        let places = include_str!("events.rs").split("mod tests").next().unwrap().matches("event!(").count();
        assert_eq!(told.len(), places, "not every event of this file was emitted: {told:?}");
        let documentation = include_str!("../../docs/operate.md").split_once("\n### Events of consensus\n").unwrap().1;
        let table = documentation.split("\n#").next().unwrap().lines().filter(|line| line.starts_with("| `"));
        let documented: BTreeSet<Told> = table
            .map(|row| {
                let cells: Vec<_> = row.split('|').map(str::trim).collect();
                let fields = cells[3].split(", ").map(|field| field.trim_matches('`').to_owned());
                (cells[1].trim_matches('`').into(), cells[2].into(), fields.collect())
            })
            .collect();
        assert_eq!(told, documented);
    }

    #[test]
    fn validators_are_told_by_name() {
        let events = Events::new(crate::testing::epochs());
        assert_eq!(events.name(ValidatorId(0)), "one");
        assert_eq!(events.name_of(Recipients::Others), "all");
    }
}
