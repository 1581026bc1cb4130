//! The metrics, in the text format of Prometheus.
//!
//! One value is passed to all code that counts something; there is no global registry. A metric
//! must never have a label that grows with the project: an address, an asset ID, a path or a
//! message. For that reason labels are `&'static str`s. docs/operating.md explains each metric;
//! `tests/it/systemd.rs` checks that none is missing. Read next: [`super::server`], which serves
//! them.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The media type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Upper bounds in seconds of the time from a change to synced. An update of a small file takes a
/// second or two, an upload of a video and its processing take minutes, and a rate limit's window
/// is one minute. After half an hour an operation is past its deadline.
const SYNCED_BUCKETS: [f64; 12] = [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0];

/// The statuses with a meaning of their own for an operator. Any other one counts as its class, so
/// that a server can't create new series.
const STATUSES: [(u16, &str); 14] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScopeLabel {
    scope: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
}

type Seconds = Counter<f64, AtomicU64>;
type CounterFamily = Gauge<u64, AtomicU64>;
/// A gauge that is absent until its value is known: a family without labels, empty at first. Zero
/// would be a time too, in 1970.
type OptionalGauge = Family<[(&'static str, &'static str); 0], CounterFamily>;

/// All metrics of the program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    assets: Family<StateLabel, CounterFamily>,
    // All states so far: a state that has no asset any more is set to zero.
    states: Mutex<BTreeSet<&'static str>>,
    drifted: CounterFamily,
    in_doubt: CounterFamily,
    actions: Family<ActionLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    waited: Family<EndpointLabel, Seconds>,
    polls: Counter,
    operations: Counter,
    rescans: Family<ReasonLabel, Counter>,
    overflows: Counter,
    synced_after: Histogram,
    last_success: OptionalGauge,
    key_expiry: OptionalGauge,
    on_change_failing: OptionalGauge,
    passes: Family<ScopeLabel, Counter>,
    planned: Counter,
    scanned: Counter,
    tasks: CounterFamily,
}

impl Metrics {
    /// Creates metrics with nothing counted. `version` is the program's, `started` the start of the
    /// service in Unix seconds.
    pub fn new(version: &'static str, started: u64) -> Self {
        let since = CounterFamily::default();
        since.set(started);
        let mut metrics = Self {
            registry: Registry::with_prefix("macadam"),
            assets: Family::default(),
            states: Mutex::default(),
            drifted: Gauge::default(),
            in_doubt: Gauge::default(),
            actions: Family::default(),
            requests: Family::default(),
            waited: Family::default(),
            polls: Counter::default(),
            operations: Counter::default(),
            rescans: Family::default(),
            overflows: Counter::default(),
            synced_after: Histogram::new(SYNCED_BUCKETS),
            last_success: Family::default(),
            key_expiry: Family::default(),
            on_change_failing: Family::default(),
            passes: Family::default(),
            planned: Counter::default(),
            scanned: Counter::default(),
            tasks: Gauge::default(),
        };
        metrics.register(version, since);
        metrics
    }

    /// Registers names and explanations. The crate adds `_total` to counters, `_info` to the build
    /// and a full stop to each explanation.
    fn register(&mut self, version: &'static str, since: CounterFamily) {
        let Self {
            registry,
            assets,
            states: _,
            drifted,
            in_doubt,
            actions,
            requests,
            waited,
            polls,
            operations,
            rescans,
            overflows,
            synced_after,
            last_success,
            key_expiry,
            on_change_failing,
            passes,
            planned,
            scanned,
            tasks,
        } = self;
        registry.register("build", "The program that runs", Info::new(BuildLabel { version }));
        registry.register("start_time_seconds", "When the service started, in Unix seconds", since);
        registry.register(
            "last_success_timestamp_seconds",
            "When all was last found in sync, in Unix seconds; absent until then",
            last_success.clone(),
        );
        registry.register(
            "key_expiry_timestamp_seconds",
            "When the API key expires, in Unix seconds; absent when that is not known",
            key_expiry.clone(),
        );
        registry.register(
            "on_change_failing_since_timestamp_seconds",
            "Since when the command of --on-change fails, in Unix seconds; absent while it doesn't",
            on_change_failing.clone(),
        );
        registry.register("assets", "Assets by state", assets.clone());
        registry.register("drifted_assets", "Assets that somebody else changed at Roblox", drifted.clone());
        registry.register("creates_in_doubt", "Uploads whose outcome is unknown", in_doubt.clone());
        let compared = "Times that wanted and known were compared: of all assets, or of what a change touched";
        registry.register("reconcile_passes", compared, passes.clone());
        registry.register("planned_assets", "Assets that were compared, each time that they were", planned.clone());
        registry.register("scanned_files", "Files that were looked at, each time that they were", scanned.clone());
        registry.register("actions", "Actions carried out, by result", actions.clone());
        registry.register(
            "change_to_synced_seconds",
            "Time from the change of a file to its being in sync",
            synced_after.clone(),
        );
        registry.register("requests", "Requests to Roblox by status, `none` when no answer came", requests.clone());
        registry.register("limit_wait_seconds", "Time that requests waited for rate limits", waited.clone());
        registry.register("operations", "Operations that ended", operations.clone());
        registry.register("operation_polls", "Polls of operations", polls.clone());
        registry.register("rescans", "Full scans of the files, by what asked for them", rescans.clone());
        registry.register("watcher_overflows", "Times that the system lost file events", overflows.clone());
        registry.register("tasks", "Tasks of the program that are alive", tasks.clone());
    }

    /// Sets the number of assets in each state. A missing state has none.
    pub fn set_assets(&self, by_state: &[(&'static str, u64)]) {
        // A panic elsewhere can't leave the set of names incomplete.
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.extend(by_state.iter().map(|(state, _)| *state));
        for state in states.iter().copied() {
            let count = by_state.iter().filter(|(name, _)| *name == state).map(|(_, count)| count).sum();
            self.assets.get_or_create(&StateLabel { state }).set(count);
        }
    }

    /// Sets the number of assets that others changed.
    pub fn set_drifted(&self, assets: u64) {
        self.drifted.set(assets);
    }

    /// Sets the number of creates in doubt.
    pub fn set_in_doubt(&self, creates: u64) {
        self.in_doubt.set(creates);
    }

    /// Counts a finished action; both names are those of the JSON output.
    pub fn action(&self, action: &'static str, result: &'static str) {
        self.actions.get_or_create(&ActionLabels { action, result }).inc();
    }

    /// Counts a request that ended with this HTTP status, or without an answer.
    pub fn request(&self, endpoint: &'static str, status: Option<u16>) {
        self.requests.get_or_create(&RequestLabels { endpoint, status: status_label(status) }).inc();
    }

    /// Adds the time that a request to this endpoint waited for a rate limit.
    pub fn waited(&self, endpoint: &'static str, time: Duration) {
        self.waited.get_or_create(&EndpointLabel { endpoint }).inc_by(time.as_secs_f64());
    }

    /// Counts a poll of an operation.
    pub fn poll(&self) {
        self.polls.inc();
    }

    /// Counts an operation that ended in any way. The figure to watch is polls per operation.
    pub fn operation(&self) {
        self.operations.inc();
    }

    /// Counts a scan of all files, for this reason.
    pub fn rescan(&self, reason: &'static str) {
        self.rescans.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a loss of file events by the system.
    pub fn overflow(&self) {
        self.overflows.inc();
    }

    /// Records the time from a change until it was in sync.
    pub fn synced_after(&self, time: Duration) {
        self.synced_after.observe(time.as_secs_f64());
    }

    /// Sets the last time at which everything was in sync, in Unix seconds.
    pub fn set_last_success(&self, unix: u64) {
        self.last_success.get_or_create(&[]).set(unix);
    }

    /// Sets when the API key expires, in Unix seconds; `None` if it is unknown or never.
    pub fn set_key_expiry(&self, unix: Option<u64>) {
        set_or_clear(&self.key_expiry, unix);
    }

    /// Sets since when the command of `--on-change` fails, in Unix seconds; `None` if it doesn't.
    pub fn set_on_change_failing(&self, unix: Option<u64>) {
        set_or_clear(&self.on_change_failing, unix);
    }

    /// Counts a pass of the reconciler over so many assets: `all`, or a `part` of them.
    pub fn pass(&self, scope: &'static str, assets: usize) {
        self.passes.get_or_create(&ScopeLabel { scope }).inc();
        self.planned.inc_by(assets as u64);
    }

    /// Counts a look at so many files.
    pub fn scanned(&self, files: usize) {
        self.scanned.inc_by(files as u64);
    }

    /// Sets how many tasks of the program are alive.
    pub fn set_tasks(&self, alive: u64) {
        self.tasks.set(alive);
    }

    /// Returns all metrics in the text format of Prometheus, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text
    }
}

fn set_or_clear(gauge: &OptionalGauge, value: Option<u64>) {
    match value {
        Some(value) => {
            gauge.get_or_create(&[]).set(value);
        }
        None => gauge.clear(),
    }
}

fn status_label(status: Option<u16>) -> &'static str {
    let Some(status) = status else { return "none" };
    if let Some((_, label)) = STATUSES.iter().find(|(known, _)| *known == status) {
        return label;
    }
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the samples of one metric, sorted: the format doesn't order the series of a metric.
    fn samples(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = metrics.text();
        let is_of = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_total"))
        };
        let mut lines: Vec<String> = text.lines().filter(is_of).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn a_service_that_just_started_has_every_metric() {
        let expected = "\
# HELP macadam_build_info The program that runs.
# TYPE macadam_build_info gauge
macadam_build_info{version=\"1.2.3\"} 1
# HELP macadam_start_time_seconds When the service started, in Unix seconds.
# TYPE macadam_start_time_seconds gauge
macadam_start_time_seconds 1800000000
# HELP macadam_drifted_assets Assets that somebody else changed at Roblox.
# TYPE macadam_drifted_assets gauge
macadam_drifted_assets 0
# HELP macadam_creates_in_doubt Uploads whose outcome is unknown.
# TYPE macadam_creates_in_doubt gauge
macadam_creates_in_doubt 0
# HELP macadam_planned_assets_total Assets that were compared, each time that they were.
# TYPE macadam_planned_assets_total counter
macadam_planned_assets_total 0
# HELP macadam_scanned_files_total Files that were looked at, each time that they were.
# TYPE macadam_scanned_files_total counter
macadam_scanned_files_total 0
# HELP macadam_change_to_synced_seconds Time from the change of a file to its being in sync.
# TYPE macadam_change_to_synced_seconds histogram
macadam_change_to_synced_seconds_bucket{le=\"0.5\"} 0
macadam_change_to_synced_seconds_bucket{le=\"1\"} 0
macadam_change_to_synced_seconds_bucket{le=\"2.5\"} 0
macadam_change_to_synced_seconds_bucket{le=\"5\"} 0
macadam_change_to_synced_seconds_bucket{le=\"10\"} 0
macadam_change_to_synced_seconds_bucket{le=\"30\"} 0
macadam_change_to_synced_seconds_bucket{le=\"60\"} 0
macadam_change_to_synced_seconds_bucket{le=\"120\"} 0
macadam_change_to_synced_seconds_bucket{le=\"300\"} 0
macadam_change_to_synced_seconds_bucket{le=\"600\"} 0
macadam_change_to_synced_seconds_bucket{le=\"1200\"} 0
macadam_change_to_synced_seconds_bucket{le=\"1800\"} 0
macadam_change_to_synced_seconds_bucket{le=\"+Inf\"} 0
macadam_change_to_synced_seconds_sum 0.0
macadam_change_to_synced_seconds_count 0
# HELP macadam_operations_total Operations that ended.
# TYPE macadam_operations_total counter
macadam_operations_total 0
# HELP macadam_operation_polls_total Polls of operations.
# TYPE macadam_operation_polls_total counter
macadam_operation_polls_total 0
# HELP macadam_watcher_overflows_total Times that the system lost file events.
# TYPE macadam_watcher_overflows_total counter
macadam_watcher_overflows_total 0
# HELP macadam_tasks Tasks of the program that are alive.
# TYPE macadam_tasks gauge
macadam_tasks 0
";
        assert_eq!(Metrics::new("1.2.3", 1_800_000_000).text(), expected);
    }

    #[test]
    fn counters_count_by_their_labels() {
        let metrics = Metrics::new("1.2.3", 0);
        metrics.action("create", "done");
        metrics.action("create", "done");
        metrics.action("update_content", "failed");
        metrics.waited("create_asset", Duration::from_millis(1500));
        metrics.waited("create_asset", Duration::from_secs(2));
        metrics.rescan("interval");
        metrics.overflow();
        metrics.poll();
        metrics.poll();
        metrics.operation();
        metrics.pass("all", 3);
        metrics.pass("part", 1);
        metrics.scanned(2);
        assert_eq!(
            samples(&metrics, "macadam_actions"),
            [
                "macadam_actions_total{action=\"create\",result=\"done\"} 2",
                "macadam_actions_total{action=\"update_content\",result=\"failed\"} 1"
            ]
        );
        assert_eq!(
            samples(&metrics, "macadam_limit_wait_seconds"),
            ["macadam_limit_wait_seconds_total{endpoint=\"create_asset\"} 3.5"]
        );
        assert_eq!(samples(&metrics, "macadam_rescans"), ["macadam_rescans_total{reason=\"interval\"} 1"]);
        assert_eq!(samples(&metrics, "macadam_watcher_overflows"), ["macadam_watcher_overflows_total 1"]);
        assert_eq!(samples(&metrics, "macadam_operation_polls"), ["macadam_operation_polls_total 2"]);
        assert_eq!(samples(&metrics, "macadam_operations"), ["macadam_operations_total 1"]);
        assert_eq!(
            samples(&metrics, "macadam_reconcile_passes"),
            ["macadam_reconcile_passes_total{scope=\"all\"} 1", "macadam_reconcile_passes_total{scope=\"part\"} 1"]
        );
        assert_eq!(samples(&metrics, "macadam_planned_assets"), ["macadam_planned_assets_total 4"]);
        assert_eq!(samples(&metrics, "macadam_scanned_files"), ["macadam_scanned_files_total 2"]);
    }

    #[test]
    fn undocumented_statuses_count_as_their_class() {
        let metrics = Metrics::new("1.2.3", 0);
        for status in [Some(200), Some(429), None, Some(418), Some(499), Some(599), Some(302), Some(204), Some(999)] {
            metrics.request("get_asset", status);
        }
        let of = |status: &str, count| {
            format!("macadam_requests_total{{endpoint=\"get_asset\",status=\"{status}\"}} {count}")
        };
        assert_eq!(
            samples(&metrics, "macadam_requests"),
            [
                of("200", 1),
                of("2xx", 1),
                of("3xx", 1),
                of("429", 1),
                of("4xx", 2),
                of("5xx", 1),
                of("none", 1),
                of("other", 1)
            ]
        );
        for status in 0..=u16::MAX {
            metrics.request("get_asset", Some(status));
        }
        assert_eq!(samples(&metrics, "macadam_requests").len(), STATUSES.len() + 7);
    }

    #[test]
    fn a_state_without_assets_becomes_zero() {
        let metrics = Metrics::new("1.2.3", 0);
        metrics.set_assets(&[("synced", 7), ("failed", 2)]);
        metrics.set_assets(&[("synced", 9)]);
        assert_eq!(
            samples(&metrics, "macadam_assets"),
            ["macadam_assets{state=\"failed\"} 0", "macadam_assets{state=\"synced\"} 9"]
        );
        metrics.set_drifted(3);
        metrics.set_in_doubt(1);
        assert_eq!(samples(&metrics, "macadam_drifted_assets"), ["macadam_drifted_assets 3"]);
        assert_eq!(samples(&metrics, "macadam_creates_in_doubt"), ["macadam_creates_in_doubt 1"]);
    }

    #[test]
    fn timestamps_are_absent_until_they_are_known() {
        let metrics = Metrics::new("1.2.3", 0);
        assert!(!metrics.text().contains("last_success") && !metrics.text().contains("key_expiry"));
        metrics.set_last_success(1_800_000_001);
        metrics.set_key_expiry(Some(1_900_000_000));
        assert_eq!(
            samples(&metrics, "macadam_last_success_timestamp_seconds"),
            ["macadam_last_success_timestamp_seconds 1800000001"]
        );
        assert_eq!(
            samples(&metrics, "macadam_key_expiry_timestamp_seconds"),
            ["macadam_key_expiry_timestamp_seconds 1900000000"]
        );
        metrics.set_key_expiry(None);
        assert!(!metrics.text().contains("key_expiry"), "{}", metrics.text());
    }

    #[test]
    fn times_fall_into_their_buckets() {
        let metrics = Metrics::new("1.2.3", 0);
        for milliseconds in [250, 3_000, 3_000_000] {
            metrics.synced_after(Duration::from_millis(milliseconds));
        }
        let text = metrics.text();
        for line in [
            "macadam_change_to_synced_seconds_bucket{le=\"0.5\"} 1\n",
            "macadam_change_to_synced_seconds_bucket{le=\"5\"} 2\n",
            "macadam_change_to_synced_seconds_bucket{le=\"1800\"} 2\n",
            "macadam_change_to_synced_seconds_bucket{le=\"+Inf\"} 3\n",
            "macadam_change_to_synced_seconds_sum 3003.25\n",
            "macadam_change_to_synced_seconds_count 3\n",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }
}
