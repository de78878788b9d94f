//! The process in its environment: logs that are not read, low file limits, signals, wrong settings, changed addresses.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    process::Stdio,
    time::Duration,
};

use quorate_tests::{Cluster, DEADLINE, Ran, Signal, eventually, program, quorate_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const STOP_PROMISE: Duration = Duration::from_secs(5);
const LOST: &str = "quorate_log_lost_lines_total";

async fn status_of(url: String) -> u16 {
    let http = quorate_client::http::without_tls().timeout(DEADLINE).build().unwrap();
    http.get(url).send().await.unwrap().status().as_u16()
}

/// Submits a transfer to `index` only; all validators must commit it.
async fn commits_through(cluster: &Cluster, index: usize, sequence: u64) {
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
    let proven = cluster.session(&[index]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    cluster.equal_roots(&[0, 1, 2, 3], proven.certificate().header.height).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_costs_lines_and_not_the_validator() {
    let mut cluster = Cluster::create(4, &["--accounts", "2"]);
    // One log cannot be written from the start, one reader dies, one reader stops reading, and one log is fine.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    cluster.spawn_with(0, &program(), &[], |command| {
        command.stderr(full);
    });
    cluster.spawn_with(1, &program(), &[], |command| {
        command.stderr(Stdio::piped());
    });
    let mut dies = BufReader::new(cluster.process(1).stderr.take().unwrap());
    cluster.spawn_with(2, &program(), &[], |command| {
        command.stderr(Stdio::piped()).env("QUORATE__LOG__LEVEL", "trace,libp2p=trace");
    });
    let mut sleeps = cluster.process(2).stderr.take().unwrap();
    cluster.spawn(3);
    assert!(dies.read_line(&mut String::new()).unwrap() > 0);
    drop(dies);

    for index in 0..4 {
        cluster.ready(index).await;
    }
    for sequence in 0..4 {
        commits_through(&cluster, usize::try_from(sequence).unwrap(), sequence).await;
    }
    assert!(cluster.metric(0, LOST).await > 0.0);
    assert!(cluster.metric(1, LOST).await > 0.0);
    assert!(cluster.metric(3, LOST).await < 1.0);
    // Links come and go while its log is not read; none of its threads may block.
    cluster.kill(3);
    cluster.spawn(3);
    cluster.ready(3).await;
    commits_through(&cluster, 2, 4).await;
    for index in 0..4 {
        assert_eq!(status_of(format!("{}/livez", cluster.metrics_url(index))).await, 200);
        let ended = cluster.terminate(index, STOP_PROMISE).await;
        assert_eq!(ended.and_then(|ended| ended.code()), Some(0), "{}: {ended:?}", cluster.name(index));
    }
    let mut first = [0; 1];
    assert_eq!(sleeps.read(&mut first).unwrap(), 1, "the lines that fit are still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_supervisor_hears_that_the_node_is_ready_alive_and_stopping() {
    let mut cluster = Cluster::create(1, &[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    cluster.spawn_with(0, &program(), &[], |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    assert_eq!(heard(), "READY=1");
    assert_eq!(status_of(format!("{}/v1/status", cluster.url(0))).await, 200, "it serves before it says so");
    for _ in 0..3 {
        assert_eq!(heard(), "WATCHDOG=1");
    }
    let ended = cluster.terminate(0, STOP_PROMISE).await;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    assert!(std::iter::repeat_with(heard).find(|word| word != "WATCHDOG=1").as_deref() == Some("STOPPING=1"));
}

fn connections(address: &str, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(address).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cannot_use_up_the_files_of_a_validator() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    // Connections to each of two ports, as many as this process may open less some for its own requests.
    let flood = usize::try_from(maximum.unwrap_or(u64::MAX) / 2 - 100).unwrap().min(1_500);
    let mut cluster = Cluster::create(4, &["--accounts", "2"]);
    // Fewer files than the store's tables and the clients' connections ask for, and fewer than the flood.
    cluster.spawn_with_files(0, 420);
    for index in 1..4 {
        cluster.spawn(index);
    }
    for index in 0..4 {
        cluster.ready(index).await;
    }
    assert!(cluster.log(0).contains("leaves room for"), "the log must mention the limit");
    let api = cluster.url(0).trim_start_matches("http://").to_owned();
    let mut held = connections(&api, flood);
    held.extend(connections(&cluster.p2p(0), flood));
    assert!(held.len() > 420 * 3 / 2, "the flood must exceed the limit: {}", held.len());
    for sequence in 0..3 {
        for path in ["livez", "readyz", "metrics"] {
            assert_eq!(status_of(format!("{}/{path}", cluster.metrics_url(0))).await, 200, "{path}");
        }
        // The flooded validator takes part: without it there is no quorum from now on.
        if sequence == 1 {
            cluster.kill(3);
        }
        let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
        let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
        cluster.session(&[1, 2]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    }
    let open = cluster.metric(0, "quorate_process_open_files").await;
    assert!(open < 420.0 && cluster.metric(0, "quorate_process_open_files_max").await < 421.0, "{open} files are open");
    drop(held);
    let client = cluster.client(&[0]);
    eventually("its clients are served again", || async { client.status().await.ok() }).await;
    let ended = cluster.terminate(0, STOP_PROMISE).await;
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0), "{ended:?}");

    // With too few files to work at all it does not start, and says how many it needs.
    cluster.spawn_with_files(0, 150);
    assert_eq!(cluster.ended(0, DEADLINE).await.and_then(|ended| ended.code()), Some(1));
    let log = cluster.log(0);
    let last = log.lines().rev().take(3).collect::<Vec<_>>().join("\n");
    assert!(last.contains("open 150 files") && last.contains("ulimit -n "), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_that_mean_nothing_are_survived_with_a_word_and_sigquit_is_an_orderly_stop() {
    let mut cluster = Cluster::create(1, &[]);
    cluster.spawn_with(
        0,
        std::path::Path::new("sh"),
        &["-c", "ulimit -S -n 300 && exec \"$0\" \"$@\"", program().to_str().unwrap()],
        |_| {},
    );
    cluster.ready(0).await;
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2"), (Signal::PIPE, "")] {
        cluster.signal(0, signal);
        eventually(name, || async { cluster.log(0).contains(name).then_some(()) }).await;
    }
    assert_eq!(status_of(format!("{}/livez", cluster.metrics_url(0))).await, 200);
    if cfg!(target_os = "linux") {
        let limits = fs::read_to_string(format!("/proc/{}/limits", cluster.process(0).id())).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            let words: Vec<_> = line[name.len()..].split_whitespace().map(str::to_owned).collect();
            (words[0].clone(), words[1].clone())
        };
        assert_eq!(limit("Max core file size"), ("0".into(), "0".into()), "core dumps would contain keys");
        let (soft, hard) = limit("Max open files");
        assert!(soft != "300" && (soft == hard || soft == (1 << 20).to_string()), "must be raised as far as allowed: {soft} of {hard}");
    }
    cluster.signal(0, Signal::QUIT);
    assert_eq!(cluster.ended(0, STOP_PROMISE).await.and_then(|ended| ended.code()), Some(0));
    assert!(cluster.log(0).contains("SIGQUIT: stopping"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_check_and_run_refuse_the_same_settings_in_the_same_words() {
    let cluster = Cluster::create(1, &[]);
    let home = cluster.validator_home(0).to_str().unwrap().to_owned();
    let genesis = format!("{home}/config/genesis.json");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let new = tempfile::tempdir().unwrap();
    let new_home = new.path().join("new").to_str().unwrap().to_owned();
    let api = cluster.url(0).trim_start_matches("http://").to_owned();
    let metrics = cluster.metrics_url(0).trim_start_matches("http://").to_owned();
    let cases: Vec<((&str, String), &str)> = vec![
        (("QUORATE__LOG__LEVEL", "inf".into()), "did you mean info?"),
        (("QUORATE__LOG__LEVEL", "verbose".into()), "not a level"),
        (("QUORATE__LOG__LEVEL", String::new()), "empty"),
        (("QUORATE__NODE__GENESIS_HASH", String::new()), "empty"),
        (("QUORATE__NODE__GENESIS_HASH", "11".repeat(32)), "the genesis has hash"),
        (("QUORATE_API_LISTEN", "127.0.0.1:0".into()), "did you mean QUORATE__API__LISTEN?"),
        (("quorate__api__listen", "127.0.0.1:0".into()), "did you mean QUORATE__API__LISTEN?"),
        (("QUORATE__API__LISEN", "127.0.0.1:0".into()), "did you mean `api.listen`?"),
        (("QUORATE__API__LISTEN", taken.to_string()), "[api] listen"),
        (("QUORATE__METRICS__LISTEN", taken.to_string()), "[metrics] listen"),
        (("QUORATE__NETWORK__LISTEN", format!("/ip4/127.0.0.1/tcp/{}", taken.port())), "[network] listen"),
        (("QUORATE__API__LISTEN", "192.0.2.1:8080".into()), "cannot listen on 192.0.2.1:8080"),
        (("QUORATE__NODE__PASSPHRASE_FILE", "nowhere".into()), "node.passphrase_file"),
        (("QUORATE__NETWORK__PEERS", "{ nobody = \"/ip4/127.0.0.1/tcp/1\" }".into()), "no validator in the genesis has that name"),
    ];
    let commands: [&[&str]; 3] = [
        &["node", "init", "--home", &new_home, "--genesis", &genesis],
        &["node", "check", "--home", &home],
        &["node", "run", "--home", &home],
    ];
    for (variable, words) in cases {
        for arguments in commands {
            // Settings under no test must not interfere, so other listeners get free ports.
            let mut set = vec![("QUORATE__API__LISTEN", api.clone()), ("QUORATE__METRICS__LISTEN", metrics.clone())];
            set.retain(|(name, _)| *name != variable.0);
            set.push((variable.0, variable.1.clone()));
            let Ran { code, stderr, .. } = quorate_with(arguments, &set);
            assert!(code == Some(1) && stderr.contains(words), "{} with {variable:?}: {code:?} {stderr}", arguments[1]);
        }
        assert!(!std::path::Path::new(&new_home).exists(), "nothing may be written before everything is checked: {variable:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_moved_is_linked_to_all_and_every_link_that_is_down_has_a_reason() {
    let mut cluster = Cluster::create(4, &["--accounts", "2"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // It listens on another port than the genesis says, and no validator is told: those that dial it first are refused.
    cluster.spawn_with(1, &program(), &[], |command| {
        command.env("QUORATE__NETWORK__LISTEN", format!("/ip4/127.0.0.1/tcp/{}", free.port()));
    });
    cluster.spawn(0);
    cluster.spawn(2);
    let reasons = |cluster: &Cluster, index: usize| {
        let client = cluster.client(&[index]);
        async move { client.status().await.ok().map(|status| status.peers) }
    };
    for index in 0..3 {
        cluster.ready(index).await;
        eventually("two links, and a reason for the third", || async {
            let peers = reasons(&cluster, index).await?;
            assert!(peers.iter().all(|peer| peer.connected == peer.reason.is_none()), "{peers:?}");
            let down: Vec<_> = peers.iter().filter(|peer| !peer.connected).collect();
            (down.len() == 1 && down[0].name == "validator-4" && down[0].reason.as_ref()?.contains("refused")).then_some(())
        })
        .await;
    }
    // Two validators that have moved find each other when one is told the other's address or host name.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    cluster.spawn_with(3, &program(), &[], |command| {
        command
            .env("QUORATE__NETWORK__LISTEN", format!("/ip4/127.0.0.1/tcp/{}", other.port()))
            .env("QUORATE__NETWORK__PEERS", format!("{{ validator-2 = \"/dns4/localhost/tcp/{}\" }}", free.port()));
    });
    eventually("all links of the two", || async {
        let peers = reasons(&cluster, 3).await?;
        peers.iter().all(|peer| peer.connected).then_some(())
    })
    .await;
    commits_through(&cluster, 3, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_cannot_be_left_for_others_is_named_with_its_file() {
    let cluster = Cluster::create(1, &["--accounts", "1"]);
    let home = cluster.validator_home(0).to_path_buf();
    fs::create_dir_all(home.join("data/api.address")).unwrap();
    let (status, said) = cluster.ends(&home, &[]).await;
    assert_ne!(status.code(), Some(0));
    for words in ["api.address", "may this user write to that directory?"] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
}
