//! The rate limit headers of one response, in all their forms.
//!
//! Parsing never fails and never trusts: unreadable values are absent, absurd ones are cut. Read
//! next: `meter`, which uses the samples.

use jiff::Timestamp;
use std::time::Duration;

/// The longest wait that a header can ask for. Windows last a minute (creator-docs:
/// cloud/reference/rate-limits.md), so a longer wait is a mistake or a date read against a wrong
/// clock. Asking again after this long costs one request.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The rate limits that one response reports. `x-ratelimit-*` is on every response, 200 too. A
/// header may be a list such as `120, 120;w=60`, because several limits apply at once; the smallest
/// remaining count and the largest reset win.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitSample {
    /// The smallest limit, in requests per minute.
    pub limit: Option<u32>,
    /// The requests left in the window.
    pub remaining: Option<u32>,
    /// The time until the window ends, in whole seconds as reported.
    pub reset: Option<Duration>,
    /// The wait that the response asks for. On a gateway's 429 it is 5 s whatever the window, which
    /// is too short on its own.
    pub retry_after: Option<Duration>,
}

impl LimitSample {
    /// Parses the values of `x-ratelimit-limit`, `x-ratelimit-remaining`, `x-ratelimit-reset` and
    /// `retry-after`, one string for each header line. `now` is the time of day, for a
    /// `retry-after` that is a date.
    pub fn parse(
        limit: &[String],
        remaining: &[String],
        reset: &[String],
        retry_after: &[String],
        now: Timestamp,
    ) -> Self {
        Self {
            limit: smallest_limit(limit),
            remaining: items(remaining).filter_map(|(value, _)| count(value)).min(),
            reset: items(reset).filter_map(|(value, _)| seconds(value)).max(),
            retry_after: retry_after.iter().filter_map(|value| wait(value, now)).max(),
        }
    }
}

/// Splits list headers into items: the value, and the parameters after its first `;`.
fn items(values: &[String]) -> impl Iterator<Item = (&str, &str)> {
    values.iter().flat_map(|value| value.split(',')).map(|item| {
        let (value, parameters) = item.split_once(';').unwrap_or((item, ""));
        (value.trim(), parameters)
    })
}

/// Returns the smallest limit per minute. Items without a window belong to the one that applies
/// now; of those with one, only `w=60` is per minute. Without either, the smallest of all items
/// counts. A limit of zero would forbid even asking again, so it counts as a mistake.
fn smallest_limit(values: &[String]) -> Option<u32> {
    let limits = || {
        items(values).filter_map(|(value, parameters)| {
            let window = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("w="));
            Some((count(value).filter(|limit| *limit > 0)?, window.is_none_or(|window| window.trim() == "60")))
        })
    };
    let a_minute = limits().filter_map(|(limit, a_minute)| a_minute.then_some(limit)).min();
    a_minute.or_else(|| limits().map(|(limit, _)| limit).min())
}

/// Parses a count. Negative values, which some limiters send, become zero.
fn count(text: &str) -> Option<u32> {
    match text.strip_prefix('-') {
        Some(digits) => is_number(digits).then_some(0),
        None => is_number(text).then(|| text.parse().unwrap_or(u32::MAX)),
    }
}

/// Parses a span in seconds, whole or with a fraction (rounded up). Negative spans become zero.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let more = u32::from(is_number(fraction).then(|| fraction.bytes().any(|b| b != b'0'))?);
    let seconds = match count(whole)? {
        0 if whole.starts_with('-') => 0,
        whole => whole.saturating_add(more),
    };
    Some(Duration::from_secs(seconds.into()).min(LONGEST_WAIT))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Parses a `retry-after`: an HTTP date, which contains a comma itself, or seconds, or a list of
/// them.
fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    match httpdate::parse_http_date(value.trim()) {
        Ok(date) => {
            let ahead = Timestamp::try_from(date).ok()?.duration_since(now);
            Some(Duration::try_from(ahead).unwrap_or(Duration::ZERO).min(LONGEST_WAIT))
        }
        Err(_) => value.split(',').filter_map(|item| seconds(item.trim())).max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    /// Parses header values. ` | ` separates repeated headers, `-` is an absent one.
    #[track_caller]
    fn check(headers: [&str; 4], limit: Option<u32>, remaining: Option<u32>, waits: [Option<u64>; 2]) {
        let [l, r, s, a] = headers.map(|text| match text {
            "-" => Vec::new(),
            text => text.split(" | ").map(str::to_owned).collect(),
        });
        let [reset, retry_after] = waits.map(|wait| wait.map(Duration::from_secs));
        assert_eq!(
            LimitSample::parse(&l, &r, &s, &a, now()),
            LimitSample { limit, remaining, reset, retry_after },
            "{headers:?}"
        );
    }

    #[test]
    fn plain_and_listed_headers_are_read() {
        check(["120", "119", "42", "-"], Some(120), Some(119), [Some(42), None]);
        check(["120, 120;w=60", "7, 80", "3, 41", "-"], Some(120), Some(7), [Some(41), None]);
        check(["120, 120;w=60, 100;w=60, 70000", "1", "9", "-"], Some(100), Some(1), [Some(9), None]);
        check(["120 | 100", "7 | 5", "3 | 4", "5 | 6"], Some(100), Some(5), [Some(4), Some(6)]);
        check(["120, 120; comment=\"x\" ; w=60", " 7 ", "3 ,", "-"], Some(120), Some(7), [Some(3), None]);
        check(["-", "-", "-", "-"], None, None, [None, None]);
    }

    #[test]
    fn a_limit_per_minute_wins_over_limits_of_other_windows() {
        check(["120, 5;w=1", "3", "1", "-"], Some(120), Some(3), [Some(1), None]);
        check(["5;w=1, 9;w=2", "3", "1", "-"], Some(5), Some(3), [Some(1), None]);
        check(["0, 120", "3", "1", "-"], Some(120), Some(3), [Some(1), None]);
        check(["0", "-", "-", "-"], None, None, [None, None]);
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let check = |value: &str, wait| check(["-", "-", "-", value], None, None, [None, wait]);
        check("5", Some(5));
        check("0", Some(0));
        check("-7", Some(0));
        check("1.2", Some(2));
        check("1.0", Some(1));
        check("-0.5", Some(0));
        check("5, 30", Some(30));
        check("Fri, 20 Nov 2026 12:00:30 GMT", Some(30));
        check("Fri, 20 Nov 2026 11:00:00 GMT", Some(0));
        check("Friday, 20-Nov-26 12:00:09 GMT", Some(9));
        check("Sat, 20 Nov 2027 12:00:00 GMT", Some(900));
        check("86400", Some(900));
        check("99999999999999999999999", Some(900));
        check("soon", None);
        check("", None);
        check("1.x", None);
        check("--1", None);
        check("١٢", None);
    }

    #[test]
    fn garbage_is_absent_and_absurd_values_are_cut() {
        check(["lots", "some", "later", "x"], None, None, [None, None]);
        check(["120", "-3", "-1", "-"], Some(120), Some(0), [Some(0), None]);
        check(["120", "x, 3", "1763640000", "-"], Some(120), Some(3), [Some(900), None]);
        check(["99999999999", "99999999999", "0", "-"], Some(u32::MAX), Some(u32::MAX), [Some(0), None]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_within_bounds(values in prop::collection::vec("[-0-9a-z.,;= |]{0,30}|\\PC{0,20}", 0..4)) {
            let sample = LimitSample::parse(&values, &values, &values, &values, now());
            prop_assert!(sample.reset.is_none_or(|reset| reset <= LONGEST_WAIT));
            prop_assert!(sample.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT));
            prop_assert!(sample.limit != Some(0));
        }
    }
}
