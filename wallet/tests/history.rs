//! `quorate wallet history` against nodes that leave out transactions, or lie about how far they have looked.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::sync::Arc;

use world::{Answer, Chain, Home, Node, TRANSFER};

const HISTORY: [&str; 4] = ["history", "alice", "--from-height", "1"];

/// A chain on which alice has paid three times, her home, and an honest node.
async fn stage() -> (Arc<Chain>, Home, Node) {
    let chain = Chain::new();
    let home = Home::new(&chain);
    let honest = Node::honest(&chain).await;
    for _ in 0..3 {
        home.json(&[&honest], &TRANSFER).await.ok();
    }
    (chain, home, honest)
}

/// A node that answers with these events, and otherwise honestly.
async fn telling(chain: &Arc<Chain>, events: impl Fn(&str) -> String + Send + Sync + 'static) -> Node {
    Node::of(
        chain,
        Arc::new(move |chain, method, path, body| {
            let answer = chain.answer(method, path, body);
            Some(if path.contains("/events") {
                Answer { body: events(std::str::from_utf8(&answer.body).unwrap()).into_bytes(), ..answer }
            } else {
                answer
            })
        }),
    )
    .await
}

async fn silent(chain: &Arc<Chain>) -> Node {
    Node::of(chain, Arc::new(|_, _, _, _| None)).await
}

fn lines(text: &str) -> usize {
    text.lines().filter(|line| line.contains("\"tx_id\"")).count()
}

#[tokio::test]
async fn one_honest_node_is_enough_whatever_another_says_of_how_far_it_has_looked() {
    let (chain, home, honest) = stage().await;
    let height = chain.height();
    for lie in
        [format!("id: {}\n\n", height + 2), format!("id: {}\n\n", u64::MAX), "id: 5\n\n".repeat(100), ":\n\n".repeat(1_000), String::new()]
    {
        let told = lie.clone();
        let liar = telling(&chain, move |_| told.clone()).await;
        for nodes in [[&liar, &honest], [&honest, &liar]] {
            let ran = home.json(&nodes, &HISTORY).await.ok();
            assert_eq!(lines(&ran.written.stdout), 3, "{lie:?}: {ran:?}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_is_left_out_is_missed() {
    let (chain, home, _) = stage().await;
    // Without the second of the three.
    let liar = telling(&chain, |events| {
        let mut parts: Vec<_> = events.split_inclusive("\n\n").collect();
        parts.remove(1);
        parts.concat()
    })
    .await;
    let ran = home.json(&[&liar], &HISTORY).await;
    assert_eq!(lines(&ran.written.stdout), 1, "{ran:?}");
    assert!(ran.code != 0 && ran.written.stderr.contains("leaves out the account's transaction number"), "{ran:?}");
}

#[tokio::test]
async fn that_there_is_nothing_is_said_only_if_every_node_says_so_and_never_as_proved() {
    let (chain, home, honest) = stage().await;
    let height = chain.height();
    let liar = telling(&chain, move |_| format!("id: {height}\n\n")).await;
    let (dead, also_dead) = (silent(&chain).await, silent(&chain).await);
    let ran = home.json(&[&honest, &liar, &dead], &HISTORY).await.ok();
    assert_eq!(lines(&ran.written.stdout), 3, "{ran:?}");
    let account = home.json(&[&liar, &dead, &also_dead], &HISTORY).await;
    assert_ne!(account.code, 0, "two nodes did not answer: {account:?}");
    let ran = home.json(&[&liar], &HISTORY).await.ok();
    assert_eq!(lines(&ran.written.stdout), 0);
    assert!(ran.written.stderr.contains("nothing proves it"), "{ran:?}");
}
