//! Asks the nodes. Each is asked by itself, so that a slow one delays no other.

use std::time::Duration;

use quorate_client::{Client, ClientError, Events, api};
use quorate_terminal::escape_untrusted;
use quorate_types::{
    diagnosis::ConsensusView,
    event::{BlockEvent, NodeEvent},
    round::Height,
    rpc::{EvidenceList, NodeStatus},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::state::{Answer, COMMITS_MAX, News};

/// How often each node is asked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take: less than the interval, so that no question meets the one before.
const PATIENCE: Duration = Duration::from_millis(900);
/// Longest silence of a stream of events. A node sends at least a comment every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// Pause before a stream that has ended is opened again.
const PAUSE: Duration = Duration::from_secs(2);

/// A node's answers, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) status: Result<NodeStatus, String>,
    pub(crate) consensus: Result<ConsensusView, String>,
    pub(crate) evidence: Result<EvidenceList, String>,
}

/// Asks a node once.
pub(crate) async fn ask(client: &Client) -> Asked {
    let (status, consensus, evidence) = tokio::join!(answer(client.status()), answer(client.consensus()), answer(client.evidence_list()));
    Asked { status, consensus, evidence }
}

/// Asks a node until the listener is gone.
pub(crate) async fn follow(node: usize, client: &Client, started: Instant, answers: mpsc::Sender<Answer>) {
    let to = Listener { node, started, answers };
    tokio::join!(poll(client, &to), follow_blocks(client, &to), follow_rounds(client, &to));
}

struct Listener {
    node: usize,
    started: Instant,
    answers: mpsc::Sender<Answer>,
}

impl Listener {
    /// Whether the listener is still there.
    async fn tell(&self, news: News) -> bool {
        self.answers.send(Answer { node: self.node, at: self.started.elapsed(), news }).await.is_ok()
    }
}

async fn poll(client: &Client, to: &Listener) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if !to.tell(News::Asked(Box::new(ask(client).await))).await {
            return;
        }
    }
}

async fn follow_blocks(client: &Client, to: &Listener) {
    let mut next = None;
    loop {
        let reason = blocks(client, to, &mut next).await;
        if !to.tell(News::Block(Err(reason))).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Tells the newest blocks, then those to come. Returns why it ended.
async fn blocks(client: &Client, to: &Listener, next: &mut Option<Height>) -> String {
    let newest = match answer(client.status()).await {
        Ok(status) => status.height,
        Err(reason) => return reason,
    };
    let oldest = Height(newest.0.saturating_sub(COMMITS_MAX as u64 - 1));
    let from = next.map_or(oldest, |next| next.clamp(oldest, newest.next()));
    let mut events = match client.events(&api::block_events(from)).await {
        Ok(events) => events,
        Err(error) => return reason(error),
    };
    loop {
        match event::<BlockEvent>(&mut events, |name| name == "block").await {
            Ok(block) => {
                *next = Some(block.height.next());
                let is_new = block.height > newest;
                if !to.tell(News::Block(Ok((block, is_new)))).await {
                    return String::new();
                }
            }
            Err(reason) => return reason,
        }
    }
}

async fn follow_rounds(client: &Client, to: &Listener) {
    loop {
        let reason = rounds(client, to).await;
        if !to.tell(News::Seen(Err(reason))).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Tells what a node sees from now on. Returns why it ended.
async fn rounds(client: &Client, to: &Listener) -> String {
    let mut events = match client.events(api::NODE_EVENTS).await {
        Ok(events) => events,
        Err(error) => return reason(error),
    };
    loop {
        match event::<NodeEvent>(&mut events, |name| !name.is_empty()).await {
            Ok(seen) => {
                if !to.tell(News::Seen(Ok(seen))).await {
                    return String::new();
                }
            }
            Err(reason) => return reason,
        }
    }
}

/// The next event with a wanted name.
async fn event<T: DeserializeOwned>(events: &mut Events, is_wanted: impl Fn(&str) -> bool) -> Result<T, String> {
    loop {
        let next = timeout(SILENCE_MAX, events.next()).await.map_err(|_| "it has stopped sending events".to_owned())?;
        let event = next.map_err(reason)?.ok_or("it has ended the stream of events")?;
        if is_wanted(&event.name) {
            return serde_json::from_str(&event.data).map_err(|error| format!("it sent an invalid event: {error}"));
        }
    }
}

async fn answer<T>(asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, String> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(reason),
        Err(_) => Err(format!("no answer within {} ms", PATIENCE.as_millis())),
    }
}

/// Why a node has not answered, without its URL, which may hold a password.
fn reason(error: ClientError) -> String {
    match error {
        // Written for the only node of a client: "URL (reason)".
        ClientError::Unreachable { tried } => {
            let reason = tried.split_once(" (").and_then(|(_, reason)| reason.strip_suffix(')'));
            reason.map_or_else(|| "no answer".into(), str::to_owned)
        }
        ClientError::Refused { code, message, .. } => {
            format!("it refused the request: \"{}\" ({})", escape_untrusted(&message), escape_untrusted(&code))
        }
        ClientError::Answer { reason, .. } => format!("it sent an invalid answer: {reason}"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_node_is_asked_and_its_events_are_followed() {
        let url = testing::serve().await;
        let client = Client::new(&[url]).unwrap();
        let (answers, mut listener) = mpsc::channel(1);
        let heard = async {
            let (mut asked, mut blocks, mut rounds) = (false, Vec::new(), Vec::new());
            while !asked || blocks.len() < 3 || rounds.len() < 3 {
                let Answer { node, news, .. } = listener.recv().await.unwrap();
                assert_eq!(node, 7);
                match news {
                    News::Asked(all) => {
                        assert_eq!(all.status.unwrap().name, "alice");
                        asked = true;
                    }
                    News::Block(told) => blocks.push(told.map(|(block, is_new)| (block.height.0, is_new))),
                    News::Seen(seen) => rounds.push(seen.map(|seen| seen.kind())),
                }
            }
            // The streams end, which is said, and are opened again.
            let ended = "it has ended the stream of events".to_owned();
            assert_eq!(blocks.get(..3), Some([Ok((120, false)), Ok((121, true)), Err(ended.clone())].as_slice()));
            assert_eq!(rounds.get(..3), Some([Ok("round"), Ok("timeout"), Err(ended)].as_slice()));
        };
        tokio::select! {
            () = follow(7, &client, Instant::now(), answers) => panic!("somebody still listens"),
            () = heard => {}
        }
    }

    #[tokio::test]
    async fn the_reason_of_a_silence_names_no_password() {
        let url = testing::REFUSED.replace("http://", "http://operator:secret@");
        let asked = ask(&Client::new(&[url]).unwrap()).await;
        let reason = asked.status.unwrap_err();
        assert!(reason.contains("refused") && !reason.contains("secret"), "{reason}");
    }
}
