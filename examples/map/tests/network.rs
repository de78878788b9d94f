//! The map on four real validators.

use std::{path::Path, time::Duration};

use quorate_client::Service;
use quorate_example_map::{ENTRIES, Found, Operation, Query};
use quorate_tests::{Cluster, program};

const TIMEOUT: Duration = Duration::from_secs(60);
const KILLS: usize = 4;

fn map() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_map"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_inserted_read_removed_and_listed_while_validators_die() {
    let mut cluster = Cluster::of(map(), 4, &["--accounts", "1"]).await;
    let service = Service::new(cluster.session_from(0), cluster.key("alice").signing);
    let invoke =
        async |operation: Operation| service.invoke_ordered::<_, Option<String>>(&operation, TIMEOUT).await.unwrap().result.unwrap();
    let insert = |key: &str, value: &str| Operation::Insert(key.into(), value.into());
    assert_eq!(invoke(insert("b", "1")).await, None);
    assert_eq!(invoke(insert("b", "2")).await, Some("1".into()));
    for (kill, key) in ["d", "a", "c", "e"].into_iter().enumerate().take(KILLS) {
        cluster.kill(kill);
        assert_eq!(invoke(insert(key, key)).await, None);
        cluster.spawn(kill);
        cluster.ready(kill).await;
    }
    assert_eq!(invoke(Operation::Remove("d".into())).await, Some("d".into()));
    assert_eq!(invoke(Operation::Get("d".into())).await, None);

    let ask = async |query: Query| service.invoke_unordered::<_, Found>(&query, TIMEOUT).await.unwrap().value;
    assert_eq!(ask(Query::Size).await, Found::Size(4));
    assert_eq!(ask(Query::Keys { from: "b".into(), count: 2 }).await, Found::Keys(vec!["b".into(), "c".into()]));
    let (value, _) = service.read::<String>(&ENTRIES.key(&"b".into())).await.unwrap();
    assert_eq!(value.as_deref(), Some("2"), "proved by one node");
    let (absent, _) = service.read::<String>(&ENTRIES.key(&"d".into())).await.unwrap();
    assert_eq!(absent, None, "absence is proved too");
}

#[test]
fn a_session_takes_operations_and_questions_line_by_line() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::of(map(), 1, &["--accounts", "1"]));
    let lines = "{\"Insert\": [\"k\", \"v\"]}\n{\"Get\": \"k\"}\nnonsense\n? \"Size\"\nquit\n";
    let home = cluster.home();
    let arguments = ["session", "--from", "alice", "--home", home.to_str().unwrap(), "--node", cluster.url(0), "-o", "json"];
    let ran = program::run_with_input(map(), &arguments, lines).ok();
    let answers: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((answers.len(), &answers[0]["answer"], &answers[1]["answer"]), (3, &serde_json::Value::Null, &"v".into()), "{ran:?}");
    assert_eq!(answers[2]["answer"]["Size"], 1);
    assert!(ran.stderr.contains("nonsense"), "{ran:?}");
}

/// Bad settings are refused when the genesis draft is made, and the error names what is wrong.
#[test]
fn settings_that_do_not_fit_are_refused_where_they_are_made() {
    let directory = std::env::temp_dir().join(format!("quorate-map-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    for (settings, reason) in [(r#"{"entries_max": 0}"#, "1 or more"), (r#"{"colour": 1}"#, "unknown field `colour`"), ("{]", "settings")] {
        std::fs::write(path("settings.json"), settings).unwrap();
        let refused =
            program::run(map(), &["genesis", "new", "--name", "t", "--settings", &path("settings.json"), "--out", &path("draft.json")]);
        assert!(refused.code == Some(1) && refused.stderr.contains(reason), "{refused:?}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}
