//! The clock: against the other validators' through the running node, else against the newest block of the nodes in `network.join`.

use quorate_client::Client;
use quorate_terminal::escape_untrusted;
use quorate_types::{
    diagnosis::{Readiness, TOO_FEW_CLOCKS},
    genesis::Parameters,
    round::UnixMillis,
};
use tokio::task::JoinSet;

use super::{finding::Finding, running::answer};
use crate::{diagnosis::patience, settings::passwords};

const FIX: &str = "let NTP keep the clock: timedatectl set-ntp true";
/// A chain that is older than so many of its longest pauses stands still, or the clock is ahead.
const PAUSES: u32 = 3;

/// The running node's own comparison, if it has a verdict.
pub(super) fn by_node(readiness: &Readiness) -> Option<Finding> {
    let check = readiness.checks.iter().find(|check| check.name == "clock" && check.detail != TOO_FEW_CLOCKS)?;
    let seen = escape_untrusted(&check.detail);
    Some(if check.ok { Finding::ok("clock", seen) } else { Finding::fault("clock", seen, FIX) })
}

/// The times of the newest blocks of these nodes, asked at once; nodes that do not answer are left out.
pub(super) async fn newest_blocks(urls: Vec<String>) -> Vec<(String, UnixMillis)> {
    let mut tasks = JoinSet::new();
    for url in urls {
        tasks.spawn(async move {
            let client = Client::new(&[&url]).ok()?;
            let status = answer(client.status()).await.ok()?;
            Some((passwords::of_url(&url), status.timestamp))
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Compares the clock with the newest of these blocks: no block is ahead of the clocks of a quorum. The nodes' answers are not proved, and nothing
/// but this finding rests on them.
pub(super) fn by_blocks(now: UnixMillis, blocks: &[(String, UnixMillis)], parameters: &Parameters) -> Finding {
    let Some((url, newest)) = blocks.iter().max_by_key(|(_, time)| *time) else {
        return Finding::not_checked(
            "clock",
            "no running node has compared this clock with others",
            "start the validator, or name nodes in network.join, and repeat the command",
        );
    };
    let (ahead, age) = (newest.since(now), now.since(*newest));
    let pause = patience(parameters).saturating_mul(PAUSES);
    if ahead > parameters.clock_tolerance_ms() {
        Finding::fault("clock", format!("the newest block of {url} is {ahead} ms ahead of this clock, which is behind"), FIX)
    } else if u128::from(age) > pause.as_millis() {
        Finding::warning(
            "clock",
            format!(
                "the newest block of {url} is {age} ms old, {} ms are normal: this clock is ahead, or the chain stands still",
                pause.as_millis()
            ),
            format!("compare it with another clock; {FIX}"),
        )
    } else {
        Finding::ok("clock", format!("the newest block of {url} is {age} ms old"))
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::diagnosis::ReadinessCheck;

    use super::*;
    use crate::doctor::finding::State;

    fn said(ok: bool, detail: &str) -> Readiness {
        Readiness { ready: ok, checks: vec![ReadinessCheck { name: "clock".into(), ok, detail: detail.into() }] }
    }

    #[test]
    fn the_node_s_verdict_counts_if_it_has_one() {
        assert_eq!(by_node(&said(true, "agrees")).unwrap().state, State::Ok);
        let wrong = by_node(&said(false, "is 290.000 s ahead")).unwrap();
        assert!(wrong.state == State::Fault && wrong.seen.contains("290.000 s") && wrong.fix.unwrap().contains("NTP"));
        assert_eq!(by_node(&said(true, TOO_FEW_CLOCKS)), None);
    }

    #[test]
    fn a_clock_behind_the_newest_block_is_wrong_and_one_far_ahead_of_it_may_be() {
        let parameters = Parameters::default();
        let tolerance = parameters.clock_tolerance_ms();
        let pause = u64::try_from(patience(&parameters).as_millis()).unwrap();
        let now = 1_700_000_000_000;
        let judged = |newest: u64| {
            let blocks = [("http://old".to_owned(), UnixMillis(1)), ("http://a".to_owned(), UnixMillis(newest))];
            by_blocks(UnixMillis(now), &blocks, &parameters)
        };
        assert_eq!(judged(now + tolerance).state, State::Ok);
        let behind = judged(now + tolerance + 1);
        assert!(behind.state == State::Fault && behind.seen.contains("http://a") && behind.seen.contains("behind"), "{behind:?}");
        assert_eq!(judged(now - 3 * pause).state, State::Ok);
        assert_eq!(judged(now - 3 * pause - 1).state, State::Warning);
        assert_eq!(by_blocks(UnixMillis(now), &[], &parameters).state, State::NotChecked);
    }
}
