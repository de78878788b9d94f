//! What the validators count themselves: the counters of `/metrics`, summed over all validators.

use std::{collections::BTreeMap, time::Duration};

use quorate_terminal::CommandError;

use crate::localnet::Localnet;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Counters by name and labels, summed over all validators.
pub(crate) type Counters = BTreeMap<String, f64>;

/// Asks all validators.
pub(crate) async fn read(localnet: &Localnet) -> Result<Counters, CommandError> {
    let failed = |error: reqwest::Error| CommandError::failure("metrics", format!("the metrics cannot be read: {error}"));
    let http = quorate_client::http::without_tls().timeout(TIMEOUT).build().map_err(failed)?;
    let mut sum = Counters::new();
    for member in &localnet.validators {
        let url = format!("{}/metrics", member.metrics_url());
        let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        for (name, value) in parse(&answer.text().await.map_err(failed)?) {
            *sum.entry(name).or_default() += value;
        }
    }
    Ok(sum)
}

/// What was counted in between, without what did not change.
pub(crate) fn difference(before: &Counters, after: &Counters) -> Counters {
    let change = |(name, after): (&String, &f64)| (name.clone(), super::statistics::rounded(after - before.get(name).unwrap_or(&0.0)));
    after.iter().map(change).filter(|(_, change)| *change != 0.0).collect()
}

/// The counters of a text in the `OpenMetrics` format. Labels that name a validator or peer are left out, so that their counts add up.
fn parse(text: &str) -> Vec<(String, f64)> {
    let mut counters = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let (base, labels) = name.split_once('{').unwrap_or((name, ""));
        let (Some(base), Ok(value)) = (base.strip_suffix("_total"), value.parse()) else { continue };
        let kept = |label: &&str| !label.is_empty() && !["validator=", "peer="].iter().any(|own| label.starts_with(own));
        let labels: Vec<_> = labels.trim_end_matches('}').split(',').filter(kept).collect();
        let name = if labels.is_empty() { base.to_owned() } else { format!("{base} {}", labels.join(" ").replace('"', "")) };
        counters.push((name, value));
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_peers_and_gauges_are_left_out() {
        let text = "# TYPE a counter\na_total{kind=\"vote\",peer=\"x\"} 2\na_total{kind=\"vote\",peer=\"y\"} 3\nb 7\nc_total 4\n";
        let mut sum = Counters::new();
        for (name, value) in parse(text) {
            *sum.entry(name).or_default() += value;
        }
        assert_eq!(sum, Counters::from([("a kind=vote".into(), 5.0), ("c".into(), 4.0)]));
        let after = Counters::from([("a kind=vote".into(), 6.0), ("c".into(), 4.0)]);
        assert_eq!(difference(&sum, &after), Counters::from([("a kind=vote".into(), 1.0)]));
    }
}
