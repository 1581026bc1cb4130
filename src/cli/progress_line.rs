//! The words of the progress display: how far the run is, and what it waits for. Pure: the time is
//! an argument.
//!
//! A line has parts, the most important first, and each part one form or several. A narrow terminal
//! gets the parts that fit, none of them cut. Read next: [`super::progress`], which shows the line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::fit;
use super::output::plural;
use crate::engine::report::estimate::{Estimate, RoughTime};
use crate::engine::report::progress::{ProgressEvent, WaitReason};
use crate::engine::report::run_report::Outcome;
use crate::model::address::Address;
use crate::model::minute::Minute;

/// Macadam hashes fewer files than this before anybody could read a display.
const WORTH_SHOWING: u64 = 64;

/// The number of files that are named while they upload.
const NAMED: usize = 2;

/// Stands between the parts of a line.
const BETWEEN: &str = " · ";

/// The longest time for which the hour says which day is meant.
const WITHIN_A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// The longest time for which a person counts seconds.
const WITHIN_MINUTES: SignedDuration = SignedDuration::from_mins(10);

/// The progress of a run, for one line.
#[derive(Debug, Default)]
pub(super) struct ProgressLine {
    /// What is done before there is a plan, such as hashing files.
    before: Vec<LinePart>,
    uploading: BTreeSet<Address>,
    at_roblox: BTreeSet<Address>,
    /// Addresses that wait for their next try.
    delayed: BTreeMap<Address, Delay>,
    /// Why the latest delayed request waits, and until when.
    waiting: Option<(WaitReason, Duration)>,
    /// How many assets are waited for that are under review, and until when.
    reviewing: Option<(u64, Duration)>,
    /// Since when there is no connection.
    unconnected_since: Option<Timestamp>,
    /// When the run ends whatever is left.
    ends_at: Option<Timestamp>,
    /// The steps of all plans so far that were carried out.
    done: u64,
    failed: BTreeSet<Address>,
    /// Addresses whose uploads or changes got no answer.
    unanswered: BTreeSet<Address>,
    /// The steps of all plans so far.
    steps: u64,
    estimate: Estimate,
}

/// A wait for the next try of an upload or a change.
#[derive(Debug, Clone, Copy)]
struct Delay {
    until: Duration,
    /// The answer to the upload got lost.
    lost_answer: bool,
}

/// A part of the line: its forms, the most telling first and the shortest last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinePart(Vec<String>);

impl LinePart {
    fn new(text: String) -> Self {
        Self(vec![text])
    }

    /// The same part in fewer columns.
    fn or(mut self, shorter: String) -> Self {
        self.0.push(shorter);
        self
    }
}

impl ProgressLine {
    /// Takes in an event at a time of the process; `false` if it changes nothing that is shown.
    pub(super) fn tell(&mut self, event: ProgressEvent, now: Duration) -> bool {
        match event {
            ProgressEvent::Files { done, total, bytes } if total > WORTH_SHOWING || bytes > 0 => {
                // While they are still being found, those are all.
                let of = if done < total { format!(" of {total}") } else { String::new() };
                let files = LinePart::new(format!("checking files: {done}{of}"));
                self.before = vec![files, LinePart::new(format!("{} MB read", bytes / 1_000_000))];
            }
            ProgressEvent::Listed { asset_id, versions } => {
                self.before = vec![LinePart::new(format!("{versions} versions of asset {asset_id} read"))];
            }
            ProgressEvent::Files { .. }
            | ProgressEvent::Waited { .. }
            | ProgressEvent::KeyExpires { .. }
            | ProgressEvent::Polled => return false,
            ProgressEvent::Answered { unconnected: Some(at), .. } => {
                self.unconnected_since.get_or_insert(at);
            }
            ProgressEvent::Answered { unconnected: None, status, .. } => {
                let is_well = status.is_some_and(|status| status < 500);
                let is_over = |(reason, _): &(WaitReason, Duration)| is_well && *reason != WaitReason::RateLimit;
                let ended = self.waiting.take_if(|waiting| is_over(waiting)).is_some();
                return self.unconnected_since.take().is_some() || ended;
            }
            ProgressEvent::Planned { work, addresses, ends_at } => {
                // What failed may be tried in another way, and counts once.
                self.failed.retain(|address| !addresses.contains(address));
                self.unanswered.retain(|address| !addresses.contains(address));
                let ended = self.done + (self.failed.len() + self.unanswered.len()) as u64;
                self.steps = self.steps.max(ended + work.steps);
                self.ends_at = ends_at;
                self.estimate = Estimate::new(work, now);
                self.before.clear();
                self.uploading.clear();
                self.at_roblox.clear();
                self.delayed.clear();
                self.reviewing = None;
            }
            ProgressEvent::Uploading { address, .. } => {
                self.delayed.remove(&address);
                self.uploading.insert(address);
            }
            ProgressEvent::Accepted { address } => {
                self.estimate.accept();
                self.delayed.remove(&address);
                self.uploading.remove(&address);
                self.at_roblox.insert(address);
            }
            ProgressEvent::Delayed { address, wait, lost_answer } => {
                self.uploading.remove(&address);
                self.at_roblox.remove(&address);
                self.delayed.insert(address, Delay { until: now + wait, lost_answer });
            }
            ProgressEvent::Finished { step, outcome } => {
                self.done += u64::from(outcome.is_done());
                self.estimate.finish();
                self.delayed.remove(&step.address);
                self.uploading.remove(&step.address);
                self.at_roblox.remove(&step.address);
                match outcome {
                    Outcome::Refused { .. } => _ = self.failed.insert(step.address),
                    Outcome::InDoubt { .. } => _ = self.unanswered.insert(step.address),
                    _ => {}
                }
            }
            ProgressEvent::Waiting { reason, wait } => {
                let until = self.waiting.filter(|(known, _)| *known == reason).map_or(now, |(_, until)| until);
                self.waiting = Some((reason, until.max(now + wait)));
            }
            ProgressEvent::Reviewing { assets, left } => self.reviewing = Some((assets, now + left)),
        }
        true
    }

    /// How many steps there are, and how many of them were carried out.
    pub(super) const fn steps(&self) -> (u64, u64) {
        (self.steps, self.done)
    }

    /// The number of uploads that are being sent.
    pub(super) fn uploads(&self) -> u64 {
        self.uploading.len() as u64
    }

    /// What the requests wait for.
    pub(super) fn waits_for(&self, now: Duration) -> Option<WaitReason> {
        self.waiting.filter(|(_, until)| now < *until).map(|(reason, _)| reason)
    }

    /// The progress in one line; empty while there is nothing to tell.
    pub(super) fn message(&self, now: Duration) -> String {
        let parts: Vec<String> =
            self.parts(now).into_iter().filter_map(|LinePart(forms)| forms.into_iter().next()).collect();
        parts.join(BETWEEN)
    }

    /// The same in at most so many columns, where its shortest part fits.
    pub(super) fn fitting(&self, now: Duration, columns: usize) -> String {
        fitting(&self.parts(now), columns)
    }

    /// The parts, the most important first.
    fn parts(&self, now: Duration) -> Vec<LinePart> {
        if !self.before.is_empty() {
            return self.before.clone();
        }
        let mut parts = Vec::new();
        if self.steps > 0 {
            parts.push(LinePart::new(format!("{} of {} done", self.done, self.steps)));
        }
        for (addresses, word) in [(&self.failed, "failed"), (&self.unanswered, "unanswered")] {
            parts.extend((!addresses.is_empty()).then(|| LinePart::new(format!("{} {word}", addresses.len()))));
        }
        if let Some(since) = self.unconnected_since {
            parts.extend(self.offline(since));
            return parts;
        }
        parts.extend(self.request_waits(now));
        let is_busy = !self.uploading.is_empty() || !self.at_roblox.is_empty();
        let delay = self.next_try(now);
        if !is_busy {
            parts.extend(delay.clone());
        }
        parts.extend(self.review(now));
        let left = self.estimate.time_left(now);
        parts.extend(left.map(|left| LinePart::new(format!("{} left", RoughTime(left)))));
        parts.extend(uploading(&self.uploading));
        if !self.at_roblox.is_empty() {
            let count = self.at_roblox.len();
            parts.push(LinePart::new(format!("{count} processing at Roblox")).or(format!("{count} processing")));
        }
        if is_busy {
            parts.extend(delay);
        }
        let rate = left.and_then(|_| self.estimate.rate(now));
        parts.extend(rate.map(|rate| LinePart::new(format!("{rate} a minute"))));
        parts
    }

    /// Since when nothing answers, and when the run gives up: that is what a person decides by.
    fn offline(&self, since: Timestamp) -> Vec<LinePart> {
        let left = self.ends_at.map(|end| end.duration_since(since));
        let form = if left.is_some_and(|left| left < WITHIN_MINUTES) { "%H:%M:%S" } else { "%H:%M" };
        let mut parts = vec![LinePart::new(format!("no network since {} UTC", since.strftime(form)))];
        parts.extend(self.ends_at.map(|end| {
            LinePart::new(if end.duration_since(since) < WITHIN_A_DAY {
                format!("gives up at {}", end.strftime(form))
            } else {
                format!("gives up at {}", Minute(end))
            })
        }));
        parts
    }

    /// What requests wait for, and how long yet.
    fn request_waits(&self, now: Duration) -> Option<LinePart> {
        let (reason, until) = self.waiting?;
        let seconds = seconds_left(until, now)?;
        let short = match reason {
            WaitReason::RateLimit => "rate limit",
            WaitReason::Failing => "Roblox has errors",
            WaitReason::Unconnected => "no network",
        };
        Some(LinePart::new(format!("{reason} ({seconds} s)")).or(format!("{short}, {seconds} s")))
    }

    /// The next try of what failed before.
    fn next_try(&self, now: Duration) -> Option<LinePart> {
        let waiting = self.delayed.iter().filter(|(_, delay)| delay.until > now);
        let (address, first) = waiting.clone().min_by_key(|(_, delay)| delay.until)?;
        let seconds = seconds_left(first.until, now)?;
        let count = waiting.filter(|(_, delay)| delay.lost_answer == first.lost_answer).count();
        let (what, is, answer) = match count {
            1 => (address.to_string(), "is", "its first answer"),
            _ => (format!("{count} files"), "are", "their first answers"),
        };
        let part = if first.lost_answer {
            LinePart::new(format!("waiting {seconds} s before {what} {is} uploaded again ({answer} got lost)"))
                .or(format!("{what} {is} uploaded again in {seconds} s"))
        } else {
            let what = if count == 1 { what } else { format!("{count} assets") };
            LinePart::new(format!("waiting {seconds} s before the next try of {what}"))
        };
        Some(part.or(format!("next try in {seconds} s")))
    }

    /// The wait for moderation.
    fn review(&self, now: Duration) -> Option<LinePart> {
        let (assets, until) = self.reviewing?;
        let left = RoughTime(until.saturating_sub(now));
        let long = format!("waiting for Roblox to moderate {} ({left} at most)", plural(assets, "asset"));
        Some(LinePart::new(long).or(format!("{assets} in moderation")))
    }
}

/// The seconds until then, begun ones included; `None` if that is over.
fn seconds_left(until: Duration, now: Duration) -> Option<u64> {
    let left = until.checked_sub(now)?;
    Some(left.as_millis().div_ceil(1000) as u64).filter(|seconds| *seconds > 0)
}

/// As many of these parts as fit into this many columns, the first ones first, and each in its most
/// telling form for which there is room then. The first one is there in any case.
fn fitting(parts: &[LinePart], columns: usize) -> String {
    let mut shown: Vec<(&LinePart, &String)> = Vec::new();
    let mut taken = 0;
    for part in parts {
        let Some(shortest) = part.0.last() else { continue };
        let width = fit::width(shortest) + if shown.is_empty() { 0 } else { fit::width(BETWEEN) };
        if shown.is_empty() || taken + width <= columns {
            shown.push((part, shortest));
            taken += width;
        }
    }
    for (part, form) in &mut shown {
        let others = taken - fit::width(form);
        if let Some(longer) = part.0.iter().find(|longer| others + fit::width(longer) <= columns) {
            taken = others + fit::width(longer);
            *form = longer;
        }
    }
    let shown: Vec<&str> = shown.into_iter().map(|(_, form)| form.as_str()).collect();
    shown.join(BETWEEN)
}

/// The files that are uploading, by name where there is room.
fn uploading(addresses: &BTreeSet<Address>) -> Option<LinePart> {
    let names: Vec<&str> = addresses.iter().take(NAMED).map(Address::as_str).collect();
    let long = match (names.as_slice(), addresses.len() - names.len()) {
        ([], _) => return None,
        (names, 0) => format!("uploading {}", names.join(", ")),
        (names, more) => format!("uploading {} and {more} more", names.join(", ")),
    };
    Some(LinePart::new(long).or(format!("{} uploading", addresses.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::estimate::Workload;

    const START: Duration = Duration::from_secs(100);

    fn after(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn address(name: &str) -> Address {
        Address::new(name).unwrap()
    }

    fn planned(steps: u64, addresses: &[&str], ends_at: Option<Timestamp>) -> ProgressEvent {
        let addresses = addresses.iter().map(|name| address(name)).collect();
        ProgressEvent::Planned { work: Workload { steps, ..Workload::default() }, addresses, ends_at }
    }

    fn line(events: impl IntoIterator<Item = ProgressEvent>) -> ProgressLine {
        let mut line = ProgressLine::default();
        events.into_iter().for_each(|event| _ = line.tell(event, START));
        line
    }

    fn uploading(name: &str) -> ProgressEvent {
        ProgressEvent::Uploading { address: address(name), bytes: 1 }
    }

    fn answered(unconnected: Option<&str>) -> ProgressEvent {
        ProgressEvent::Answered { endpoint: "create_asset", status: None, unconnected: unconnected.map(at) }
    }

    #[test]
    fn without_a_connection_the_line_says_since_when_and_until_when_it_waits() {
        let mut line = line([planned(4, &[], Some(at("2026-11-29T15:19:36Z"))), uploading("ui/a.png")]);
        assert_eq!(line.message(START), "0 of 4 done · uploading ui/a.png");
        let delayed = ProgressEvent::Delayed { address: address("ui/a.png"), wait: Duration::ZERO, lost_answer: false };
        for event in [answered(Some("2026-11-29T14:19:36Z")), delayed, answered(Some("2026-11-29T14:20:07Z"))] {
            line.tell(event, START);
        }
        assert_eq!(line.message(START), "0 of 4 done · no network since 14:19 UTC · gives up at 15:19");
        assert_eq!(line.fitting(START, 50), "0 of 4 done · no network since 14:19 UTC");
        line.tell(planned(4, &[], Some(at("2026-11-29T14:20:06Z"))), START);
        assert_eq!(line.message(START), "0 of 4 done · no network since 14:19:36 UTC · gives up at 14:20:06");
        line.tell(planned(4, &[], Some(at("2026-12-01T15:19:36Z"))), START);
        assert_eq!(line.message(START), "0 of 4 done · no network since 14:19 UTC · gives up at 2026-12-01 15:19 UTC");
        line.tell(planned(4, &[], None), START);
        assert_eq!(line.message(START), "0 of 4 done · no network since 14:19 UTC");
        line.tell(answered(None), START);
        assert_eq!(line.message(START), "0 of 4 done");
    }

    #[test]
    fn a_wait_for_the_rate_limit_is_counted_down_and_fits_into_any_terminal() {
        let mut line = line([
            planned(250, &[], None),
            ProgressEvent::Waiting { reason: WaitReason::RateLimit, wait: Duration::from_secs(55) },
            // Another endpoint waits for less.
            ProgressEvent::Waiting { reason: WaitReason::RateLimit, wait: Duration::from_secs(3) },
        ]);
        line.done = 98;
        (0..52).for_each(|n| _ = line.tell(ProgressEvent::Accepted { address: address(&format!("{n}.png")) }, START));
        let whole = "98 of 250 done · waiting for Roblox's rate limit (41 s) · 52 processing at Roblox";
        assert_eq!(line.message(after(14)), whole);
        assert_eq!(line.fitting(after(14), 120), whole);
        assert_eq!(line.fitting(after(14), 69), "98 of 250 done · rate limit, 41 s · 52 processing at Roblox");
        assert_eq!(line.fitting(after(15), 49), "98 of 250 done · rate limit, 40 s · 52 processing");
        assert_eq!(line.fitting(after(15), 38), "98 of 250 done · rate limit, 40 s");
        assert_eq!(line.fitting(after(15), 20), "98 of 250 done");
        assert_eq!(line.waits_for(after(54)), Some(WaitReason::RateLimit));
        assert_eq!(line.fitting(after(55), 69), "98 of 250 done · 52 processing at Roblox");
        assert_eq!(line.waits_for(after(55)), None);
    }

    #[test]
    fn a_wait_for_roblox_to_recover_ends_with_its_first_good_answer() {
        let failing = ProgressEvent::Waiting { reason: WaitReason::Failing, wait: Duration::from_secs(20) };
        let mut line = line([failing]);
        assert_eq!(line.message(START), "waiting for Roblox to recover from its errors (20 s)", "before any plan");
        let answered = |status| ProgressEvent::Answered { endpoint: "get_asset", status, unconnected: None };
        assert!(!line.tell(answered(Some(503)), START));
        assert!(line.tell(answered(Some(200)), START));
        assert_eq!(line.message(START), "");
    }

    #[test]
    fn a_second_plan_counts_on_from_the_first() {
        let mut line = line([planned(8, &[], None)]);
        line.done = 6;
        line.failed = BTreeSet::from([address("broken")]);
        line.unanswered = BTreeSet::from([address("house")]);
        assert_eq!(line.message(START), "6 of 8 done · 1 failed · 1 unanswered");
        let delay = |wait| ProgressEvent::Delayed {
            address: address("house"),
            wait: Duration::from_secs(wait),
            lost_answer: true,
        };
        line.tell(planned(1, &["house"], None), START);
        line.tell(delay(60), START);
        let waits = "waiting 58 s before house is uploaded again (its first answer got lost)";
        assert_eq!(line.message(after(2)), format!("6 of 8 done · 1 failed · {waits}"));
        assert_eq!(line.fitting(after(2), 69), "6 of 8 done · 1 failed · house is uploaded again in 58 s");
        assert_eq!(line.fitting(after(2), 49), "6 of 8 done · 1 failed · next try in 58 s");
        line.tell(uploading("house"), after(60));
        assert_eq!(line.message(after(61)), "6 of 8 done · 1 failed · uploading house");
        // One that failed for another reason, beside work that goes on.
        let address = address("ui/a.png");
        line.tell(ProgressEvent::Delayed { address, wait: Duration::from_secs(4), lost_answer: false }, after(60));
        let rest = "uploading house · waiting 3 s before the next try of ui/a.png";
        assert_eq!(line.message(after(61)), format!("6 of 8 done · 1 failed · {rest}"));
        // More than was known before.
        line.tell(planned(5, &["house"], None), after(62));
        assert_eq!(line.message(after(62)), "6 of 12 done · 1 failed");
    }

    #[test]
    fn a_narrow_terminal_has_the_most_important_parts_whole() {
        let mut line = line([planned(60, &[], None), uploading("ui/a-long-name.png")]);
        line.done = 12;
        line.failed = BTreeSet::from([address("a"), address("b")]);
        assert_eq!(line.fitting(START, 10), "12 of 60 done");
        assert_eq!(line.fitting(START, 38), "12 of 60 done · 2 failed · 1 uploading");
        assert_eq!(line.fitting(START, 69), "12 of 60 done · 2 failed · uploading ui/a-long-name.png");
        assert_eq!(line.fitting(START, 200), line.message(START));
        let mut line = ProgressLine::default();
        line.tell(ProgressEvent::Files { done: 1234, total: 100_000, bytes: 500_000_000 }, START);
        assert_eq!(line.fitting(START, 50), "checking files: 1234 of 100000 · 500 MB read");
        assert_eq!(line.fitting(START, 38), "checking files: 1234 of 100000");
    }

    #[test]
    fn a_wait_for_moderation_says_how_long_it_lasts_at_most() {
        let reviewing = ProgressEvent::Reviewing { assets: 3, left: Duration::from_secs(1740) };
        let line = line([planned(3, &[], None), reviewing]);
        let waits = "waiting for Roblox to moderate 3 assets (about 28 min at most)";
        assert_eq!(line.message(after(60)), format!("0 of 3 done · {waits}"));
        assert_eq!(line.fitting(after(60), 38), "0 of 3 done · 3 in moderation");
    }
}
