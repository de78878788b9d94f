//! The clients' side of a run: sending and resending requests, and taking answers; client.rs decides when an answer is accepted.

use quorate_harness::{Happened, committee::BEGINNING, invariants::Observation, time::Micros};
use quorate_replica::{Answer, Ticket};
use quorate_types::{
    ids::ValidatorId,
    round::{Round, UnixMillis},
};

use super::{
    client::Client,
    executor::{Executor, Happening, Load},
    rules::Kind,
    seat::Seat,
};

/// Extra time for outstanding answers once the run is complete, in milliseconds.
const SETTLE_MS: u64 = 50;

impl Executor<'_> {
    fn client_log(&mut self, client: usize, text: &str) {
        if let Some(log) = self.client_logs.get_mut(client) {
            log.add(self.now, text);
        }
    }

    pub(super) fn begin(&mut self, index: usize) -> Happened {
        // A day beyond the end of the run, so that no waiting request expires.
        let end = self.scenario.time_limit_s.saturating_mul(1_000).saturating_add(86_400_000);
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let number = client.next();
        let Some(transaction) = client.sign(self.setting.genesis_hash(), self.now, UnixMillis(BEGINNING.0.saturating_add(end))) else {
            return Ok(());
        };
        self.requests.insert(transaction.id(), (client.number, number));
        self.watch.see(self.now, &Observation::Signed { transaction: &transaction })?;
        self.send_request(index)
    }

    /// Sends the outstanding request to all validators, for the first time or again.
    pub(super) fn send_request(&mut self, index: usize) -> Happened {
        let timeout = Micros::from_ms(self.scenario.client_timeout_ms);
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let (ticket, number, who, faulty) = (client.ticket(), client.next(), client.number, client.faulty);
        let text = client.operations.get(number).map(ToString::to_string).unwrap_or_default();
        let Some(request) = &mut client.request else { return Ok(()) };
        request.sent = request.sent.saturating_add(1);
        let sent = request.sent;
        // A faulty client forges its very first message, and sends everything after it twice.
        let forged = faulty && number == 0 && sent == 1;
        let (transaction, copies) = match request.transaction.clone() {
            transaction if forged => (Client::forged(&transaction), 1),
            transaction => (Some(transaction), if faulty { 2 } else { 1 }),
        };
        if sent > 1 {
            client.retransmissions = client.retransmissions.saturating_add(1);
        }
        let again = if sent > 1 { format!(" again (attempt {sent})") } else { String::new() };
        self.client_log(index, &format!("sends request {number}{again} to all: {text}"));
        // As in a node's API: a transaction that does not verify never reaches the replica.
        let verified = transaction.and_then(|transaction| self.setting.verifier.transactions(vec![transaction]).pop());
        match verified {
            Some(Ok(transaction)) => {
                for to in (0..copies).flat_map(|_| 0..self.scenario.validators) {
                    let load = Load::Request { client: who, ticket, transaction: transaction.clone() };
                    self.pass(None, Some(ValidatorId(to)), Kind::Request, Round(0), load)?;
                }
            }
            Some(Err(error)) => {
                self.counted.refused = self.counted.refused.saturating_add(u64::from(self.scenario.validators));
                self.client_log(index, &format!("is refused by all: {error}"));
            }
            None => {}
        }
        self.agenda.plan(self.now.after(timeout), Happening::Impatient(index, number, sent));
        Ok(())
    }

    pub(super) fn answer(&mut self, id: ValidatorId, ticket: Ticket, answer: Answer) -> Happened {
        let (index, number) = Client::of_ticket(ticket);
        let transaction = self.clients.get(index).and_then(|client| {
            let accepted = client.accepted.get(number).map(|accepted| accepted.id);
            accepted.or_else(|| client.request.as_ref().filter(|_| client.next() == number).map(|request| request.transaction.id()))
        });
        if let (Some(tx), Some(seat)) = (transaction, self.seats.get(id.index())) {
            self.watch.answered(self.now, &seat.machine, tx, &answer)?;
        }
        self.log(id, &format!("answers request {number} of client {index}: {answer:?}"));
        let answer = self.false_answer(id, answer);
        let round = self.current_round(id);
        self.pass(Some(id), None, Kind::Response, round, Load::Answer { ticket, answer }).map(|_| ())
    }

    pub(super) fn answered(&mut self, from: Option<ValidatorId>, load: &Load) {
        let (Some(from), Load::Answer { ticket, answer }) = (from, load) else { return };
        let (index, number) = Client::of_ticket(*ticket);
        let enough = usize::from(self.scenario.tolerated()).saturating_add(1);
        let now = self.now;
        let Some(client) = self.clients.get_mut(index) else { return };
        let current = client.next() == number;
        let result = client.on_answer(number, from, answer, enough, now);
        let done = client.is_done();
        if current {
            self.client_log(index, &format!("gets v{from}'s answer to request {number}: {answer:?}"));
        }
        if result.is_some() {
            self.client_log(index, &format!("accepts request {number}: {enough} validators agree"));
            if done {
                self.client_log(index, "is done");
                self.settle();
            } else {
                self.agenda.plan(now.after(Micros::from_ms(self.scenario.request_gap_ms)), Happening::Begin(index));
            }
        }
    }

    /// Schedules the end of the run once nothing is left to do.
    pub(super) fn settle(&mut self) {
        if self.settling || !self.is_complete() {
            return;
        }
        self.settling = true;
        let on_the_way = self.scenario.network_delay_ms.1.saturating_mul(2).saturating_add(SETTLE_MS);
        self.agenda.plan(self.now.after(Micros::from_ms(on_the_way)), Happening::End);
    }

    /// Whether every client is done and every honest validator has every request. A validator that will restart must be up again first: only
    /// then is it known what its disk kept.
    pub(super) fn is_complete(&self) -> bool {
        let all = self.requests.len();
        let has_all = |seat: &Seat| seat.machine.is_up() && seat.committed.len() == all;
        self.clients.iter().all(Client::is_done) && self.seats.iter().filter(|seat| seat.is_judged()).all(has_all)
    }
}
