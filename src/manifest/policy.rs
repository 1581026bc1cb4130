//! `[policy]`: what is done about drift, removals, replacements and doubts.

use std::time::Duration;

use super::diagnostic::{ErrorSink, shown};
use super::read::{KeyValue, TableReader};
use crate::model::policy::{AmbiguousCreate, DriftPolicy, LeavePolicy, ModeratedName, Policy};

/// The longest `archive_after`: a decade, beyond which `keep` is meant.
const MAX_ARCHIVE_AFTER: Duration = Duration::from_secs(3650 * 86_400);
/// The units of a duration in seconds.
const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 7 * 86_400)];

pub(super) const DRIFT: [(&str, DriftPolicy); 2] = [("report", DriftPolicy::Report), ("heal", DriftPolicy::Heal)];
pub(super) const LEAVE: [(&str, LeavePolicy); 2] = [("keep", LeavePolicy::Keep), ("archive", LeavePolicy::Archive)];
pub(super) const AMBIGUOUS: [(&str, AmbiguousCreate); 3] =
    [("auto", AmbiguousCreate::Auto), ("retry", AmbiguousCreate::Retry), ("hold", AmbiguousCreate::Hold)];
pub(super) const MODERATED: [(&str, ModeratedName); 2] =
    [("fail", ModeratedName::Fail), ("neutral", ModeratedName::Neutral)];

/// Reads the table; what is unset keeps its default.
pub(super) fn read_policy(mut fields: TableReader<'_>, report: &mut ErrorSink) -> Policy {
    let unset = Policy::default();
    let drift = fields.take("drift").and_then(|field| field.choice(&DRIFT, report));
    let removed = fields.take("removed").and_then(|field| field.choice(&LEAVE, report));
    let replaced = fields.take("replaced").and_then(|field| field.choice(&LEAVE, report));
    let archive_after = fields.take("archive_after").and_then(|field| read_duration(&field, report));
    let ambiguous_create = fields.take("ambiguous_create").and_then(|field| field.choice(&AMBIGUOUS, report));
    let moderated_name = fields.take("moderated_name").and_then(|field| field.choice(&MODERATED, report));
    fields.finish(report);
    Policy {
        drift: drift.unwrap_or(unset.drift),
        removed: removed.unwrap_or(unset.removed),
        replaced: replaced.unwrap_or(unset.replaced),
        archive_after: archive_after.unwrap_or(unset.archive_after),
        ambiguous_create: ambiguous_create.unwrap_or(unset.ambiguous_create),
        moderated_name: moderated_name.unwrap_or(unset.moderated_name),
    }
}

fn read_duration(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Duration> {
    const HINT: &str = "a whole number with `s`, `m`, `h`, `d` or `w` after it, such as \"14d\", at most ten years; \"0d\" means at once";
    if let toml::de::DeValue::Integer(_) = field.value.get_ref() {
        report.add(field.wrong_kind("a string in quotes").hint(HINT));
        return None;
    }
    let text = field.text(report)?;
    let duration = parse_duration(text).filter(|d| *d <= MAX_ARCHIVE_AFTER);
    if duration.is_none() {
        report.add(field.fault(format!("`{}` can't be {}", field.name, shown(text))).hint(HINT));
    }
    duration
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(parse_duration(text), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("14d", Some(14 * 86_400));
        check("12h", Some(43_200));
        check("30m", Some(1800));
        check("45s", Some(45));
        check("2w", Some(14 * 86_400));
        check("0d", Some(0));
        for bad in ["", "d", "14", "1d12h", "-1d", "+1d", "1.5d", "1 d", "d1", "99999999999999999999w", "14D", "١d"] {
            check(bad, None);
        }
    }
}
