//! Messages in words, as they are sent and while in flight.

use quorate_harness::Content;
use quorate_types::{
    block::{Block, Proposal},
    ids::{BlockId, StateId},
    message::{Message, Recipients},
    timeout::TimeoutMessage,
    vote::VoteInfo,
};

use super::{
    flight::{Letter, Seat},
    paint::{count, row},
    stage::{Player, Stage},
};

impl Stage {
    /// The note on a message being sent: its tag, its text, and whether `run` shows it.
    pub(super) fn describe_sent(&mut self, seat: Seat, to: Recipients, message: &Message) -> (&'static str, String, bool) {
        let name = self.name(seat);
        let whom = match to {
            Recipients::Others => "everybody".into(),
            Recipients::One(id) => self.validator(id),
        };
        match message {
            Message::Proposal(proposal) => ("proposal", format!("{name} proposes {}", self.proposal_words(proposal)), true),
            Message::Vote(vote) => {
                let (label, round) = (self.vote_label(&vote.vote_info), vote.vote_info.round);
                match to {
                    Recipients::One(_) => {
                        ("vote", format!("{name} votes for {label} and sends the vote to {whom}, who leads round {}", round.next()), false)
                    }
                    Recipients::Others => {
                        ("vote", format!("{name} broadcasts its vote for {label}, since it gives up round {round} (D9)"), false)
                    }
                }
            }
            Message::Timeout(timeout) => {
                let round = timeout.timeout.round;
                let first = self.tally.give_up(round, seat);
                let again = if first { "" } else { " again" };
                ("timeout", format!("{name} gives up round {round}{again}: {}", self.timeout_words(timeout)), true)
            }
            Message::SyncInfo(_) => ("sync", format!("{name} sends {whom} its certificates"), false),
            Message::FetchRequest(request) => {
                ("fetch", format!("{name} lacks {} and asks {whom} for it", self.blocks.label(&request.block_id)), true)
            }
            Message::FetchResponse(response) => {
                let labels: Vec<String> = response.blocks.iter().map(|block| self.blocks.label(&block.id())).collect();
                ("fetch", format!("{name} sends {} to {whom}", row(&labels)), false)
            }
            Message::CatchupRequest(request) => {
                ("catch-up", format!("{name} asks {whom} for committed blocks from height {} on", request.from), true)
            }
            Message::CatchupResponse(response) => {
                ("catch-up", format!("{name} sends {} to {whom}", count(response.blocks.len(), "committed block")), false)
            }
            Message::SightingsRequest => ("sightings", format!("{name} asks {whom} what it has seen of {name}"), false),
            Message::Sightings(_) => ("sightings", format!("{name} tells {whom} what it has seen of it"), false),
            Message::RecoveryRequest(_) => ("recovery", format!("{name} asks {whom} where it stands, to sign again"), false),
            Message::RecoveryAnswer(_) => ("recovery", format!("{name} shows {whom} where it stands"), false),
        }
    }

    /// A message in flight, in one line.
    pub(super) fn describe(&self, letter: &Letter) -> String {
        let ends = format!("{} → {}", self.name(letter.from), self.name(letter.to));
        let what = match &letter.content {
            Content::Transactions(transactions) => {
                let words: Vec<String> = transactions.iter().map(|transaction| self.client.words(&transaction.id())).collect();
                format!("transactions: {}", words.join("; "))
            }
            Content::Message(message) => match &**message {
                Message::Proposal(proposal) => format!("proposal of {}", self.proposal_words(proposal)),
                Message::Vote(vote) => format!("vote for {}, round {}", self.vote_label(&vote.vote_info), vote.vote_info.round),
                Message::Timeout(timeout) => format!("timeout of round {}: {}", timeout.timeout.round, self.timeout_words(timeout)),
                Message::SyncInfo(info) => format!(
                    "sync-info: {}, commits {}{}",
                    self.blocks.qc(&info.high_qc),
                    info.high_commit_qc.commits().map_or_else(|| "nothing".into(), |(id, ..)| self.blocks.label(&id)),
                    info.last_round_tc.as_ref().map_or_else(String::new, |tc| format!(", TC({})", tc.round)),
                ),
                Message::FetchRequest(request) => format!("fetch-request for {}", self.blocks.label(&request.block_id)),
                Message::FetchResponse(response) => format!("fetch-response with {}", count(response.blocks.len(), "block")),
                Message::CatchupRequest(request) => format!("catchup-request from height {} on", request.from),
                Message::CatchupResponse(response) => format!("catchup-response with {}", count(response.blocks.len(), "block")),
                Message::SightingsRequest => "sightings-request".into(),
                Message::Sightings(_) => "sightings".into(),
                Message::RecoveryRequest(_) => "recovery-request".into(),
                Message::RecoveryAnswer(_) => "recovery-answer".into(),
            },
        };
        format!("{ends}: {what}")
    }

    fn proposal_words(&self, proposal: &Proposal) -> String {
        let block = &proposal.block;
        let tc = proposal.last_round_tc.as_ref().map_or_else(String::new, |tc| format!(", with TC({})", tc.round));
        let content = self.blocks.get(&block.id()).map_or_else(|| self.payload(block), |known| known.content.clone());
        format!("{} on {}{tc}: {content}", self.blocks.label(&block.id()), self.blocks.qc(block.qc()))
    }

    fn timeout_words(&self, timeout: &TimeoutMessage) -> String {
        let tc = timeout.last_round_tc.as_ref().map_or_else(String::new, |tc| format!(" and TC({})", tc.round));
        format!("its high QC is {}{tc}", self.blocks.qc(&timeout.timeout.high_qc))
    }

    /// The payload of a block.
    pub(super) fn payload(&self, block: &Block) -> String {
        let words: Vec<String> = block.payload().iter().map(|transaction| self.client.words(&transaction.id())).collect();
        if words.is_empty() { "empty".into() } else { words.join("; ") }
    }

    /// The block a vote is for, and whether its result is false.
    pub(super) fn vote_label(&self, vote: &VoteInfo) -> String {
        let label = self.blocks.label(&vote.id);
        match self.result_of(&vote.id) {
            Some(state) if state != vote.exec_state_id => format!("{label} with a false result"),
            _ => label,
        }
    }

    /// The result of a block: from a process that executed it, or from its certificate.
    pub(super) fn result_of(&self, id: &BlockId) -> Option<StateId> {
        let tree = |player: &Player| player.engine().and_then(|engine| engine.tree().state(id));
        self.players.iter().find_map(tree).or_else(|| self.blocks.get(id)?.certified.map(|(_, state)| state))
    }
}
