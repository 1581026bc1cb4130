//! The emulator as a process with a world that outlives it: ended, frozen and started again on the
//! same port.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use macadam::emulator::FaultRule;
use serde_json::{Value, json};

use super::{NEVER, signal, wait, was_terminated};
use crate::endless;
use crate::http;
use crate::pace::Pace;
use crate::system::Signal;

/// The emulator's counts over all its lives. Those between the last look and a kill are missing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Requests by endpoint.
    pub endpoints: BTreeMap<String, u64>,
    /// Requests by status.
    pub statuses: BTreeMap<String, u64>,
    /// How often faults fired, by label.
    pub faults: BTreeMap<String, u64>,
    pub unanswered: u64,
    /// Windows with more requests than the limits allow.
    pub exceeded: u64,
}

impl Counts {
    fn add(&mut self, counters: &Value) {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        for (sums, part) in [(&mut self.endpoints, "endpoints"), (&mut self.statuses, "statuses")] {
            for (name, value) in counters[part].as_object().into_iter().flatten() {
                *sums.entry(name.clone()).or_default() += number(value);
            }
        }
        for rule in counters["faults"].as_array().into_iter().flatten() {
            let label = rule["label"].as_str().unwrap_or("unnamed").to_owned();
            *self.faults.entry(label).or_default() += number(&rule["fired"]);
        }
        self.unanswered += number(&counters["unanswered"]);
        self.exceeded +=
            counters["windows_exceeded"].as_object().into_iter().flatten().map(|(_, n)| number(n)).sum::<u64>();
    }

    /// Returns the number of writes.
    pub fn writes(&self) -> u64 {
        let changes = |name: &str| !(name.starts_with("get_") || ["list_versions", "introspect_key"].contains(&name));
        self.endpoints.iter().filter(|(name, _)| changes(name)).map(|(_, count)| count).sum()
    }

    pub fn requests(&self) -> u64 {
        self.endpoints.values().sum()
    }
}

/// The emulator, which may be down or frozen.
#[derive(Debug)]
pub struct Emulator {
    folder: PathBuf,
    address: String,
    latency: &'static str,
    limits: bool,
    child: Option<Child>,
    frozen: bool,
    /// The counts of its earlier lives.
    earlier: Counts,
}

impl Emulator {
    pub fn new(folder: PathBuf, pace: &Pace) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let (latency, limits) = (pace.latency, pace.limits);
        Self { folder, address, latency, limits, child: None, frozen: false, earlier: Counts::default() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it runs and responds.
    pub const fn is_up(&self) -> bool {
        self.child.is_some() && !self.frozen
    }

    pub fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("emulator.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
        command.args(["emulator", "--listen", &self.address, "--latency", self.latency, "--world"]);
        command.arg(self.folder.join("world.json"));
        if !self.limits {
            command.args(["--switch", "operation_visible_after_ms=0"]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while http::request(&self.address, "GET", "/emulator/clock", None).is_err() {
            assert!(began.elapsed() < NEVER, "the emulator does not answer");
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the emulator ended by itself: {ended:?}, see its log");
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.limits {
            self.request("PUT", "/emulator/limits", Some(&json!({ "window_ms": 60_000, "endpoints": {} })));
        }
    }

    /// Ends it with SIGKILL or SIGTERM.
    pub fn end(&mut self, with: Signal) {
        if !self.frozen {
            self.earlier = self.counts();
        }
        let mut child = self.child.take().unwrap();
        self.frozen = false;
        signal(&child, with);
        let status = wait(&mut child, "the emulator");
        let in_order = status.success() || was_terminated(status);
        assert!(with == Signal::KILL || in_order, "the emulator ended with {status}");
    }

    pub fn freeze(&mut self) {
        signal(self.child.as_ref().unwrap(), Signal::STOP);
        self.frozen = true;
    }

    pub fn thaw(&mut self) {
        signal(self.child.as_ref().unwrap(), Signal::CONT);
        self.frozen = false;
    }

    /// Makes it run and respond, whatever its state.
    pub fn bring_up(&mut self) {
        match (&self.child, self.frozen) {
            (None, _) => self.start(),
            (Some(_), true) => self.thaw(),
            (Some(_), false) => {}
        }
    }

    /// Calls one verb of the control API, which must succeed.
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let began = Instant::now();
        loop {
            match http::request(&self.address, method, path, body) {
                Ok((200, text)) => return serde_json::from_str(&text).unwrap(),
                Ok((status, text)) => panic!("the emulator's control API answers {status}: {text}"),
                // A fault may have hit the connection itself.
                Err(error) => assert!(began.elapsed() < NEVER, "the emulator's control API: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn add_faults(&self, rules: &[FaultRule]) {
        self.request("POST", "/emulator/faults", Some(&serde_json::to_value(rules).unwrap()));
    }

    pub fn clear_faults(&self) {
        self.request("DELETE", "/emulator/faults", None);
    }

    /// Sets how far reads lag behind writes from now on. A restarted emulator has no lag.
    pub fn lag_reads(&self, by: Duration) {
        let ms = by.as_millis().to_string();
        self.request("PUT", "/emulator/switches", Some(&json!({ "reads_behind_ms": ms })));
    }

    /// Returns all assets, in the form of the control API.
    pub fn assets(&self) -> Vec<Value> {
        let Value::Array(assets) = self.request("GET", "/emulator/assets", None) else { panic!("no list of assets") };
        assets
    }

    /// Returns the operations that never end.
    pub fn endless(&self) -> Vec<String> {
        let operations = self.request("GET", "/emulator/operations", None);
        let all = operations.as_array().into_iter().flatten().filter(|operation| endless::is_endless(operation));
        all.map(|operation| operation["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns the counts so far.
    pub fn counts(&self) -> Counts {
        let mut counts = self.earlier.clone();
        if self.is_up() {
            counts.add(&self.request("GET", "/emulator/counters", None));
        }
        counts
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns a free port outside the range of outgoing connections: while the emulator is down, no
/// other process must take it.
fn free_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    let below = if first > 12_000 { 10_000..first } else { 20_000..30_000 };
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(below.clone())).take(1000).find(free).expect("no port is free")
}
