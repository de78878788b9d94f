//! The alert rules and the dashboard of `deploy`, with a real Prometheus that watches real validators.
//!
//! They need Prometheus with its promtool, so they run by `make alerts` and not with the other tests.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Seek, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use quorate_tests::{Cluster, DEADLINE, eventually};
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a dashboard's variables stand for in a query.
const VARIABLES: [(&str, &str); 3] = [("$instance", ".*"), ("$validator", ".*"), ("$__rate_interval", "10s")];

/// An alert that fires: its name, the node that it is about or that noticed, and a validator if it is about one.
type Firing = (String, String, String);

fn deploy(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The shipped rules, except that alerts wait for a second instead of minutes before they fire.
fn hurried_rules() -> String {
    let hurry = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 1s\n"),
        _ => format!("{line}\n"),
    };
    let rules = read("prometheus/alerts.yml");
    let hurried: String = rules.lines().map(hurry).collect();
    assert_ne!(rules, hurried);
    hurried
}

fn promtool(arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(deploy("prometheus")).stdin(Stdio::null());
    if let Some(input) = input {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).unwrap();
        command.stdin(file);
    }
    command.output().unwrap_or_else(|error| panic!("promtool: {error}; `make alerts` says how to install it"))
}

/// What promtool says.
fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// A Prometheus that evaluates rules, and scrapes the validators of a network, every second. Killed when dropped.
struct Prometheus {
    process: Child,
    url: Url,
    http: reqwest::Client,
    directory: TempDir,
}

impl Prometheus {
    async fn start(rules: &str, cluster: Option<&Cluster>) -> Self {
        let directory = tempfile::Builder::new().prefix("quorate-prometheus-").tempdir().unwrap();
        let targets: Vec<_> = cluster.iter().flat_map(|cluster| (0..cluster.len()).map(|index| instance(cluster, index))).collect();
        let (config, rules_file, log) = ["prometheus.yml", "rules.yml", "log"].map(|name| directory.path().join(name)).into();
        let content = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules_file],
            "scrape_configs": [{"job_name": "quorate", "static_configs": [{"targets": targets}]}],
        });
        fs::write(&config, content.to_string()).unwrap();
        fs::write(&rules_file, rules).unwrap();
        let log = File::create(log).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; `make alerts` says how to install it"));
        let url = Url::parse(&format!("http://{listen}")).unwrap();
        let http = quorate_client::http::without_tls().timeout(DEADLINE).build().unwrap();
        let prometheus = Self { process, url, http, directory };
        eventually("Prometheus is ready", || async {
            let ready = prometheus.http.get(prometheus.url.join("-/ready").unwrap()).send().await;
            ready.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = Url::parse_with_params(self.url.join(path).unwrap().as_str(), parameters).unwrap();
        let answer = self.http.get(url).send().await.expect("Prometheus answers").text().await.expect("a text");
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].take()
    }

    /// How many series a query finds now.
    async fn found(&self, query: &str) -> usize {
        self.get("api/v1/query", &[("query", query)]).await["result"].as_array().expect("a vector").len()
    }

    /// The rules, as this Prometheus has read them.
    async fn rules(&self) -> Vec<Value> {
        let groups = self.get("api/v1/rules", &[]).await;
        groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    /// The alerts that fire, except those about the disk and the clock of the machine that runs the test.
    async fn firing(&self) -> BTreeSet<Firing> {
        let alerts = self.get("api/v1/alerts", &[]).await;
        let firing = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing");
        let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
        firing
            .map(|alert| (label(alert, "alertname"), label(alert, "instance"), label(alert, "validator")))
            .filter(|(name, ..)| !name.starts_with("QuorateDisk") && name != "QuorateClockDiffers")
            .collect()
    }

    /// Waits until these alerts fire, and no others.
    async fn fires(&self, what: &str, expected: &BTreeSet<Firing>) {
        eventually(what, || async { (self.firing().await == *expected).then_some(()) }).await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // A process that cannot be killed does not change the test's result.
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("--- the log of Prometheus:\n{}", fs::read_to_string(self.directory.path().join("log")).unwrap_or_default());
        }
    }
}

/// The label `instance` of a validator's metrics.
fn instance(cluster: &Cluster, index: usize) -> String {
    cluster.metrics_url(index).trim_start_matches("http://").to_owned()
}

/// The texts under any of these keys, at any depth.
fn texts<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.extend(value.as_str().filter(|_| keys.contains(&key.as_str())));
                texts(value, keys, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, keys, found)),
        _ => {}
    }
}

/// The names of our metrics in a query.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("quorate_"))
}

/// The names of alerts in promtool's list of failures.
fn failed(said: &str) -> BTreeSet<&str> {
    said.split("alertname: ").skip(1).filter_map(|rest| rest.split(',').next()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus: make alerts"]
async fn every_alert_says_what_to_do_and_has_a_test_that_notices_when_it_does_not_fire_or_does_not_clear() {
    for check in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "--lint-fatal", "alerts.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let output = promtool(check, None);
        assert!(output.status.success(), "{check:?}: {}", text(&output));
    }

    let rules = Prometheus::start(&read("prometheus/alerts.yml"), None).await.rules().await;
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    let pages = fs::read_to_string(deploy("../docs/operate.md")).unwrap();
    let headings = pages.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let anchors: BTreeSet<String> =
        headings.map(|heading| heading.replace(' ', "-").replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")).collect();
    for rule in &rules {
        let annotations = &rule["annotations"];
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{rule}");
        assert!(
            ["summary", "description", "action"].iter().all(|name| annotations[name].as_str().is_some_and(|said| !said.is_empty())),
            "{rule}"
        );
        let page = annotations["runbook_url"].as_str().and_then(|url| url.split_once("/docs/operate.md#"));
        assert!(page.is_some_and(|(_, anchor)| anchors.contains(anchor)), "docs/operate.md has no such section: {rule}");
    }

    // The same tests with rules that never fire, and with rules that go on firing for half an hour: each test looks again within that.
    let broken = [("never fires", "(QUERY) and on () vector(0) == 1"), ("never clears", "last_over_time((QUERY)[30m:1m])")];
    for (how, broken) in broken {
        let directory = tempfile::tempdir().unwrap();
        let rules = rules.iter().map(|rule| {
            json!({
                "alert": rule["name"],
                "expr": broken.replace("QUERY", rule["query"].as_str().unwrap()),
                "for": format!("{}s", rule["duration"]),
                "labels": rule["labels"],
                "annotations": rule["annotations"],
            })
        });
        let content = json!({"groups": [{"name": "broken", "rules": rules.collect::<Vec<_>>()}]});
        fs::write(directory.path().join("alerts.yml"), content.to_string()).unwrap();
        let test = directory.path().join("alerts_test.yml");
        fs::copy(deploy("prometheus/alerts_test.yml"), &test).unwrap();
        let output = promtool(&["test", "rules", test.to_str().unwrap()], None);
        assert_eq!(failed(&text(&output)), names, "tests that do not notice that an alert {how}: {}", text(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus: make alerts"]
async fn alerts_fire_when_validators_die_and_clear_when_they_are_back() {
    let mut cluster = Cluster::start(4, &["--heartbeat-ms", "500"]).await;
    let prometheus = Prometheus::start(&hurried_rules(), Some(&cluster)).await;
    let (instances, names): (Vec<_>, Vec<_>) = (0..4).map(|index| (instance(&cluster, index), cluster.name(index).to_owned())).unzip();
    let alert = |name: &str, index: usize, validator: &str| (name.to_owned(), instances[index].clone(), validator.to_owned());
    eventually("all validators are scraped", || async { (prometheus.found("up == 1").await == 4).then_some(()) }).await;
    prometheus.fires("no alert fires", &BTreeSet::new()).await;

    cluster.kill(3);
    let mut one_is_down: BTreeSet<_> = (0..3).map(|index| alert("QuorateValidatorUnreachable", index, &names[3])).collect();
    one_is_down.insert(alert("QuorateNodeDown", 3, ""));
    prometheus.fires("one validator is down, and the others say so", &one_is_down).await;

    cluster.kill(2);
    let two_are_down = [("QuorateNodeDown", 3), ("QuorateNodeDown", 2), ("QuorateQuorumNotLinked", 0), ("QuorateQuorumNotLinked", 1)];
    let unreachable = [(0, 2), (0, 3), (1, 2), (1, 3)].map(|(index, other)| alert("QuorateValidatorUnreachable", index, &names[other]));
    let two_are_down = two_are_down.into_iter().map(|(name, index)| alert(name, index, "")).chain(unreachable).collect();
    prometheus.fires("the others are no quorum", &two_are_down).await;

    cluster.spawn(2);
    prometheus.fires("one is back", &one_is_down).await;
    cluster.spawn(3);
    prometheus.fires("all alerts clear", &BTreeSet::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus: make alerts"]
async fn promtool_finds_no_fault_with_the_metrics_and_rules_and_dashboard_find_every_metric_that_they_name() {
    let cluster = Cluster::start(4, &["--accounts", "2", "--heartbeat-ms", "500"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob").public().address);
    let prometheus = Prometheus::start(&read("prometheus/alerts.yml"), Some(&cluster)).await;
    cluster.session(&[0]).submit_and_verify(&cluster.transfer(&alice, 0, bob, 1), DEADLINE).await.unwrap();

    let http = quorate_client::http::without_tls().timeout(DEADLINE).build().unwrap();
    let page = http.get(format!("{}/metrics", cluster.metrics_url(0))).send().await.unwrap().text().await.unwrap();
    let output = promtool(&["check", "metrics"], Some(&page));
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));

    let exist: BTreeSet<&str> =
        page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(['{', ' ']).next()).collect();
    let rules = prometheus.rules().await;
    let dashboard: Value = serde_json::from_str(&read("grafana/quorate.json")).unwrap();
    let mut queries: Vec<&str> = rules.iter().filter_map(|rule| rule["query"].as_str()).collect();
    texts(&dashboard, &["expr", "definition", "query"], &mut queries);
    let named: BTreeSet<&str> = queries.iter().flat_map(|query| metrics(query)).collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<_> = named.difference(&exist).collect();
    assert!(missing.is_empty(), "no such metrics: {missing:?}");

    let mut shown = Vec::new();
    texts(&dashboard["panels"], &["expr"], &mut shown);
    for query in shown {
        let plain = VARIABLES.iter().fold(query.to_owned(), |query, (name, meaning)| query.replace(name, meaning));
        assert!(!plain.contains('$'), "an unknown variable: {query}");
        // Refusals and drops are only shown where there are any.
        let plain = plain.trim_end_matches(" > 0");
        eventually(&format!("the dashboard shows {plain}"), || async { (prometheus.found(plain).await > 0).then_some(()) }).await;
    }
}
