//! A network of validator processes for one test.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use quorate_builtin::{BankOperation, Operation};
use quorate_client::{Client, LightClient, Session};
use quorate_keygen::{AccountKey, PassphraseSource, load_account_key};
use quorate_types::{
    genesis::Genesis,
    ids::{Address, StateId},
    round::{Height, Sequence, UnixMillis},
    rpc::NodeStatus,
    transaction::Transaction,
};
pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, kill_process_group, setrlimit};
use tempfile::TempDir;

use crate::program::{command, faketime, program, run};

/// Longest wait for any condition. A busy machine is slow; a defect takes for ever.
pub const DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of each log shown when a test fails.
const LOG_LINES: usize = 15;

/// Processes of one network. Killed when dropped.
pub struct Cluster {
    /// The program that runs the validators.
    program: PathBuf,
    directory: TempDir,
    genesis: Genesis,
    validators: Vec<Validator>,
    accounts: Vec<String>,
    /// Lock that keeps networks from competing for the CPU, however the tests are run.
    _turn: File,
}

struct Validator {
    name: String,
    url: String,
    p2p: String,
    metrics: String,
    home: PathBuf,
    process: Option<Child>,
}

/// Polls until there is a result.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until no other test runs a network, however the tests are run. The turn ends when the file is closed.
pub fn take_turn() -> File {
    let turn = std::env::temp_dir().join("quorate-tests.lock");
    let turn = OpenOptions::new().create(true).append(true).open(turn).expect("the lock file can be opened");
    turn.lock().expect("the lock can be taken");
    turn
}

/// Kills a child that leads a process group, and whatever is left of its group.
pub fn kill_group(leader: u32) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // Usually nothing is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Cluster {
    /// Creates a network of `count` validators, with `options` of `quorate localnet create`, and starts no process.
    pub fn create(count: usize, options: &[&str]) -> Self {
        Self::create_of(&program(), count, options)
    }

    fn create_of(program: &Path, count: usize, options: &[&str]) -> Self {
        let turn = take_turn();
        let directory = tempfile::Builder::new().prefix("quorate-test-").tempdir().expect("a temporary directory");
        let path = directory.path().join("net");
        let (count, path_text) = (count.to_string(), path.to_str().expect("paths are text").to_owned());
        let arguments = [&["localnet", "create", "-n", &count, "--dir", &path_text, "-o", "json"], options].concat();
        let view = run(program, &arguments).ok().json();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let validators = view["validators"].as_array().expect("validators").iter().map(|row| Validator {
            name: text(&row["name"]),
            url: text(&row["api"]),
            p2p: text(&row["p2p"]),
            metrics: text(&row["metrics"]),
            home: text(&row["home"]).into(),
            process: None,
        });
        let validators = validators.collect();
        let accounts = view["accounts"].as_array().expect("accounts").iter().map(|row| text(&row["name"])).collect();
        let genesis = quorate_genesis::load(&path.join("config/genesis.json")).expect("the genesis is good");
        Self { program: program.to_path_buf(), directory, genesis, validators, accounts, _turn: turn }
    }

    /// Creates a network and starts it.
    pub async fn start(count: usize, options: &[&str]) -> Self {
        Self::of(&program(), count, options).await
    }

    /// Like [`Self::start`], with another program and its application.
    pub async fn of(program: &Path, count: usize, options: &[&str]) -> Self {
        let mut cluster = Self::create_of(program, count, options);
        for index in 0..count {
            cluster.spawn(index);
        }
        for index in 0..count {
            cluster.ready(index).await;
        }
        cluster
    }

    /// Makes the home of a validator that is not in the genesis, with new keys, and its entry for this network's draft. Returns its index and the
    /// file of the entry.
    pub fn newcomer(&mut self, name: &str, operator: Address) -> (usize, PathBuf) {
        let sockets: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let [api, p2p, metrics] = [0, 1, 2].map(|index: usize| sockets[index].local_addr().expect("a bound socket").port());
        drop(sockets);
        let home = self.directory.path().join(name);
        let text = |path: &Path| path.to_str().expect("paths are text").to_owned();
        let (home_text, address) = (text(&home), format!("/ip4/127.0.0.1/tcp/{p2p}"));
        let settings = [
            ("api.listen", format!("127.0.0.1:{api}")),
            ("metrics.listen", format!("127.0.0.1:{metrics}")),
            ("network.listen", address.clone()),
        ];
        let settings: Vec<String> = settings.iter().flat_map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]).collect();
        let genesis = text(&self.home().join("config/genesis.json"));
        let mut init = vec!["node", "init", "--home", &home_text, "--genesis", &genesis];
        init.extend(settings.iter().map(String::as_str));
        run(&self.program, &init).ok();
        run(&self.program, &["keygen", "validator", "--home", &home_text, "--insecure-plaintext"]).ok();
        let entry = self.directory.path().join(format!("{name}.fragment.json"));
        let operator = operator.to_string();
        let add = [
            "genesis",
            "add-validator",
            "--draft",
            &genesis,
            "--home",
            &home_text,
            "--name",
            name,
            "--address",
            &address,
            "--operator",
            &operator,
        ];
        run(&self.program, &[&add[..], &["--loopback", "--out", &text(&entry)]].concat()).ok();
        self.validators.push(Validator {
            name: name.to_owned(),
            url: format!("http://127.0.0.1:{api}"),
            p2p: address,
            metrics: format!("http://127.0.0.1:{metrics}"),
            home,
            process: None,
        });
        (self.validators.len() - 1, entry)
    }

    /// Like [`Self::spawn`], for a validator that is not in the genesis.
    pub fn spawn_to_join(&mut self, index: usize) {
        let program = self.program.clone();
        self.spawn_with(index, &program, &[], |command| {
            command.arg("--join");
        });
    }

    /// Like [`Self::spawn_to_join`]; the validator asks these nodes how the committee has changed.
    pub fn spawn_to_join_by(&mut self, index: usize, urls: &[&str]) {
        let program = self.program.clone();
        self.spawn_with(index, &program, &[], |command| {
            command.args(urls.iter().flat_map(|url| ["--join", url]));
        });
    }

    /// Like [`Self::spawn`], with these settings besides those in the file.
    pub fn spawn_set(&mut self, index: usize, settings: &[String]) {
        let program = self.program.clone();
        self.spawn_with(index, &program, &[], |command| {
            command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        });
    }

    pub fn len(&self) -> usize {
        self.validators.len()
    }

    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The directory of the network, which is a wallet's home.
    pub fn home(&self) -> PathBuf {
        self.directory.path().join("net")
    }

    /// The home of a validator.
    pub fn validator_home(&self, index: usize) -> &Path {
        &self.validators[index].home
    }

    pub fn name(&self, index: usize) -> &str {
        &self.validators[index].name
    }

    pub fn url(&self, index: usize) -> &str {
        &self.validators[index].url
    }

    /// `ip:port` of a validator's p2p listener.
    pub fn p2p(&self, index: usize) -> String {
        let port = self.validators[index].p2p.rsplit('/').next().expect("a port");
        format!("127.0.0.1:{port}")
    }

    /// Base URL of a validator's health and metrics.
    pub fn metrics_url(&self, index: usize) -> &str {
        &self.validators[index].metrics
    }

    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The key of a genesis account.
    pub fn key(&self, name: &str) -> AccountKey {
        load_account_key(&self.home().join("wallet"), name, &PassphraseSource::Usual { file: None }).expect("the account is there")
    }

    /// The keys of all genesis accounts except the faucet's.
    pub fn keys(&self) -> Vec<AccountKey> {
        self.accounts.iter().filter(|name| *name != "faucet").map(|name| self.key(name)).collect()
    }

    /// Starts a validator without waiting for it.
    pub fn spawn(&mut self, index: usize) {
        let program = self.program.clone();
        self.spawn_with(index, &program, &[], |_| {});
    }

    /// Like [`Self::spawn`], with a wall clock that is off by `offset`, such as `+290s`. The monotonic clock is right.
    pub fn spawn_with_clock(&mut self, index: usize, offset: &str) {
        self.spawn_with(index, &program(), &[], |command| {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", offset);
            // The same switch by its older and its newer name.
            command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        });
    }

    /// Like [`Self::spawn`], with another program, leading arguments, and further changes to the command.
    pub fn spawn_with(&mut self, index: usize, program: &Path, leading: &[&str], prepare: impl FnOnce(&mut Command)) {
        let validator = &mut self.validators[index];
        assert!(validator.process.is_none(), "{} is already running", validator.name);
        let log = OpenOptions::new().create(true).append(true).open(validator.home.join("node.log")).expect("the log can be written");
        let home = validator.home.to_str().expect("paths are text");
        let mut command = command(program, &[leading, &["node", "run", "--home", home]].concat());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        prepare(&mut command);
        validator.process = Some(command.spawn().expect("the program can be started"));
    }

    /// Starts a validator that may open at most this many files.
    pub fn spawn_with_files(&mut self, index: usize, files: u64) {
        let program = program();
        let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        self.spawn_with(index, Path::new("sh"), &["-c", &script, program.to_str().expect("paths are text")], |_| {});
    }

    /// The process of a validator.
    pub fn process(&mut self, index: usize) -> &mut Child {
        let validator = &mut self.validators[index];
        validator.process.as_mut().unwrap_or_else(|| panic!("{} is not running", validator.name))
    }

    /// Sends a signal to a validator.
    pub fn signal(&mut self, index: usize, signal: Signal) {
        let pid = i32::try_from(self.process(index).id()).ok().and_then(Pid::from_raw).expect("process ids are positive");
        kill_process(pid, signal).expect("the signal can be sent");
    }

    /// A validator's log.
    pub fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.validators[index].home.join("node.log")).expect("there is a log")
    }

    /// The value of a validator's counter or gauge; `name` includes the labels.
    pub async fn metric(&self, index: usize, name: &str) -> f64 {
        let http = quorate_client::http::without_tls().timeout(DEADLINE).build().expect("an HTTP client");
        let answer = http.get(format!("{}/metrics", self.metrics_url(index))).send().await.expect("an answer");
        let text = answer.text().await.expect("a text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Starts a validator that should end by itself, and returns its exit status and output.
    pub fn run_to_end(&self, index: usize) -> (ExitStatus, String) {
        let home = self.validators[index].home.to_str().expect("paths are text");
        let output = command(&program(), &["node", "run", "--home", home]).stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let output = output.expect("the program can be started");
        (output.status, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Starts a validator on another home that should end by itself, and returns its exit status and output.
    pub async fn ends(&self, home: &Path, options: &[&str]) -> (ExitStatus, String) {
        let said = self.directory.path().join("said");
        let file = File::create(&said).expect("the output can be written");
        let home = home.to_str().expect("paths are text");
        let mut command = command(&program(), &[&["node", "run", "--home", home], options].concat());
        command.stdout(file.try_clone().expect("a second handle")).stderr(file);
        let mut process = command.spawn().expect("the program can be started");
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = process.try_wait().expect("the process can be asked");
            let said = || std::fs::read_to_string(&said).unwrap_or_default();
            if let Some(status) = status {
                return (status, said());
            }
            if Instant::now() >= deadline {
                drop(process.kill());
                drop(process.wait());
                panic!("the validator of {home} has not ended within {DEADLINE:?}: {}", said());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The sum of a validator's counter over all its labels.
    pub async fn counter(&self, index: usize, name: &str) -> u64 {
        let http = quorate_client::http::without_tls().timeout(DEADLINE).build().expect("an HTTP client");
        let answer = http.get(format!("{}/metrics", self.metrics_url(index))).send().await.expect("it answers");
        let text = answer.error_for_status().expect("it has metrics").text().await.expect("they are text");
        assert!(text.contains(name.trim_end_matches("_total")), "no such counter: {name}");
        let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum()
    }

    /// Sends SIGKILL.
    pub fn kill(&mut self, index: usize) {
        let validator = &mut self.validators[index];
        let mut process = validator.process.take().unwrap_or_else(|| panic!("{} is not running", validator.name));
        process.kill().expect("the process can be killed");
        process.wait().expect("the process ends");
    }

    /// Sends SIGKILL to all validators before any can notice that another is gone.
    pub fn kill_all(&mut self) {
        let mut processes: Vec<_> = self.validators.iter_mut().filter_map(|validator| validator.process.take()).collect();
        for process in &mut processes {
            process.kill().expect("the process can be killed");
        }
        for mut process in processes {
            process.wait().expect("the process ends");
        }
    }

    /// Sends SIGTERM and returns the exit status; `None` if the process has not ended within `patience`.
    pub async fn terminate(&mut self, index: usize, patience: Duration) -> Option<ExitStatus> {
        self.signal(index, Signal::TERM);
        self.ended(index, patience).await
    }

    /// The exit status of a validator; `None` if it has not ended within `patience`.
    pub async fn ended(&mut self, index: usize, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.process(index).try_wait().expect("the process can be asked") {
                self.validators[index].process = None;
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until a validator is ready: linked to a quorum, and caught up.
    pub async fn ready(&mut self, index: usize) {
        let http = quorate_client::http::without_tls().timeout(Duration::from_secs(2)).build().expect("an HTTP client");
        let url = format!("{}/readyz", self.metrics_url(index));
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = http.get(&url).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let validator = &mut self.validators[index];
            if let Some(process) = &mut validator.process
                && let Some(status) = process.try_wait().expect("the process can be asked")
            {
                panic!("{} has ended: {status}", validator.name);
            }
            assert!(Instant::now() < deadline, "{} is not ready within {DEADLINE:?}: {answer:?}", validator.name);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The resident memory of a validator's process.
    pub fn resident_bytes(&self, index: usize) -> u64 {
        let process = self.validators[index].process.as_ref().unwrap_or_else(|| panic!("{} is not running", self.name(index)));
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("the process has a status file");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the status has a VmRSS line");
        1_024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }

    /// A client of these validators, in this order.
    pub fn client(&self, indexes: &[usize]) -> Client {
        let urls: Vec<_> = indexes.iter().map(|index| self.url(*index)).collect();
        Client::new(&urls).expect("the URLs are good")
    }

    /// A session with these validators, in this order.
    pub fn session(&self, indexes: &[usize]) -> Session {
        Session::new(self.client(indexes), LightClient::new(self.genesis.clone()).expect("the genesis is good"))
    }

    /// A session with all validators, beginning with `first`.
    pub fn session_from(&self, first: usize) -> Session {
        let indexes: Vec<_> = (0..self.len()).map(|offset| (first + offset) % self.len()).collect();
        self.session(&indexes)
    }

    pub async fn status(&self, index: usize) -> NodeStatus {
        self.client(&[index]).status().await.unwrap_or_else(|error| panic!("{}: {error}", self.name(index)))
    }

    /// A signed transfer that is valid for an hour.
    pub fn transfer(&self, from: &AccountKey, sequence: u64, to: Address, amount: u64) -> Transaction {
        self.sign(from, sequence, &Operation::Bank(BankOperation::Transfer { to, amount }))
    }

    /// A signed transaction that is valid for an hour.
    pub fn sign(&self, from: &AccountKey, sequence: u64, operation: &Operation) -> Transaction {
        Transaction::sign(self.genesis.hash(), &from.signing, Sequence(sequence), in_an_hour(), operation.encode())
    }

    /// Waits until these validators have committed `height`, and returns their common state root there.
    pub async fn equal_roots(&self, indexes: &[usize], height: Height) -> StateId {
        let mut seen = None;
        for index in indexes {
            let client = self.client(&[*index]);
            let what = format!("{} commits height {height}", self.name(*index));
            let block = eventually(&what, || async { client.block(Some(height)).await.ok() }).await;
            let (first, root) = *seen.get_or_insert((block.block_id, block.state_root));
            assert_eq!((block.block_id, block.state_root), (first, root), "{} at height {height}", self.name(*index));
        }
        seen.expect("there are validators").1
    }

    /// The greatest height of the running validators.
    pub async fn height(&self) -> Height {
        let mut height = Height(0);
        for (index, validator) in self.validators.iter().enumerate() {
            if validator.process.is_some() {
                height = height.max(self.status(index).await.height);
            }
        }
        height
    }
}

/// Raises this process's limit on open files as far as allowed.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a process may raise its limit to what it is allowed");
}

/// Expiry of the tests' transactions.
pub(crate) fn in_an_hour() -> UnixMillis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    UnixMillis(u64::try_from(now.as_millis()).expect("the time fits 64 bits") + 3_600_000)
}

/// Prints a node's status after a failed test. It needs no runtime, and prints nothing if the node does not answer.
fn say_status(address: &str) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, io::Error>(answer)
    };
    let answer = ask().unwrap_or_else(|error| error.to_string());
    answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for validator in self.validators.iter().filter(|validator| validator.process.is_some()) {
                eprintln!("--- {} says: {}", validator.name, say_status(validator.url.trim_start_matches("http://")));
            }
        }
        for validator in &mut self.validators {
            if let Some(process) = &mut validator.process {
                // A process that cannot be killed does not change the test's result.
                drop(process.kill());
                drop(process.wait());
            }
        }
        if std::thread::panicking() {
            for validator in &self.validators {
                let log = std::fs::read_to_string(validator.home.join("node.log")).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
                eprintln!("--- the end of the log of {}:\n{tail}", validator.name);
            }
        }
    }
}
