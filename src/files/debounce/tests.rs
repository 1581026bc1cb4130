use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::files::tests_support::path;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One event of a script.
#[derive(Debug, Clone)]
enum ScriptStep {
    Event(ProjectPath, ChangeKind),
    /// From now on the file is complete, or not.
    Complete(ProjectPath, bool),
}

/// Parses lines of `TIME WHAT PATH`, or `FROM..TO/STEP WHAT PATH` for many events; in PATH `#`
/// stands for the number of the event. Times are milliseconds.
fn parse(script: &str) -> Vec<(Duration, ScriptStep)> {
    let mut acts = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [times, what, name] = words[..] else { panic!("{line}") };
        let number = |text: &str| text.parse::<u64>().unwrap();
        let times: Vec<u64> = match times.split_once("..") {
            None => vec![number(times)],
            Some((from, rest)) => {
                let (to, step) = rest.split_once('/').unwrap();
                (number(from)..=number(to)).step_by(usize::try_from(number(step)).unwrap()).collect()
            }
        };
        for (index, time) in times.into_iter().enumerate() {
            let path = path(&name.replace('#', &index.to_string()));
            let act = match what {
                "created" => ScriptStep::Event(path, ChangeKind::Created),
                "written" => ScriptStep::Event(path, ChangeKind::Written),
                "closed" => ScriptStep::Event(path, ChangeKind::Closed),
                "touched" => ScriptStep::Event(path, ChangeKind::Touched),
                "removed" => ScriptStep::Event(path, ChangeKind::Removed),
                "whole" => ScriptStep::Complete(path, true),
                "partial" => ScriptStep::Complete(path, false),
                _ => panic!("{line}"),
            };
            acts.push((ms(time), act));
        }
    }
    acts.sort_by_key(|(time, _)| *time);
    acts
}

/// Plays a caller that does what the module asks for. Files are complete unless the script says
/// otherwise. Returns the released files, and when.
fn run(mut acts: Vec<(Duration, ScriptStep)>, until: Duration) -> Vec<(Duration, BTreeSet<ProjectPath>)> {
    acts.reverse();
    let mut debouncer = Debouncer::default();
    let mut partial = BTreeSet::new();
    let (mut released, mut now) = (Vec::new(), Duration::ZERO);
    loop {
        let event = acts.last().map(|(time, _)| *time);
        let Some(time) = debouncer.next(now).into_iter().chain(event).min().filter(|time| *time <= until) else {
            break;
        };
        assert!(time >= now);
        now = time;
        while let Some((_, act)) = acts.pop_if(|(time, _)| *time <= now) {
            match act {
                ScriptStep::Event(path, kind) => debouncer.note(path, kind, now),
                ScriptStep::Complete(path, true) => drop(partial.remove(&path)),
                ScriptStep::Complete(path, false) => drop(partial.insert(path)),
            }
        }
        for check in debouncer.looks(now) {
            debouncer.whole(&check, !partial.contains(&check.path));
        }
        let ready = debouncer.release(now);
        assert!(ready.iter().all(|path| debouncer.is_settled(path, now)), "released and still waiting");
        assert!(debouncer.next(now).is_none_or(|next| next > now), "would spin at {now:?}: {debouncer:?}");
        if !ready.is_empty() {
            released.push((now, ready));
        }
    }
    released
}

/// `expected` has a line for each change: the time, and the number of files or their names.
fn check(script: &str, expected: &[&str]) {
    let released = run(parse(script), ms(60_000));
    let lines: Vec<String> = released
        .iter()
        .map(|(time, paths)| {
            let mut line = format!("{} ", time.as_millis());
            match paths.len() {
                1..=3 => line.push_str(&paths.iter().map(ProjectPath::as_str).collect::<Vec<_>>().join(" ")),
                many => write!(line, "{many} files").unwrap(),
            }
            line
        })
        .collect();
    assert_eq!(lines, expected, "{script}");
}

#[test]
fn a_save_is_released_when_it_is_quiet_and_complete() {
    // A temporary file that is renamed into place.
    check("0 closed a", &["100 a"]);
    // Truncated, written and closed.
    check("0 written a\n 5 written a\n 9 closed a", &["109 a"]);
    // In many pieces, closed at the end.
    check("0 created a\n 10..3000/10 written a\n 3000 closed a", &["3100 a"]);
    // Closed after each piece, complete only at the end.
    check("0 partial a\n 0..1500/150 closed a\n 1500 whole a", &["1600 a"]);
    // Opened, written, and kept open.
    check("0 written a", &["2000 a"]);
    // A format that can't tell, or a broken file.
    check("0 partial a\n 0 closed a", &["2000 a"]);
    // Times and permissions after the save.
    check("0 written a\n 1 closed a\n 60 touched a", &["160 a"]);
    check("0 touched a", &["100 a"]);
    check("0 written a\n 60 touched a", &["2060 a"]);
    check("0 removed a", &["100 a"]);
    // Removed and written again.
    check("0 removed a\n 20 created a\n 25 written a\n 30 closed a", &["130 a"]);
    check("0 removed a\n 200 created a\n 230 closed a", &["100 a", "330 a"]);
}

#[test]
fn a_sound_or_video_that_is_not_whole_waits_much_longer() {
    // Appended in pieces, closed and opened again with pauses: taken as soon as it is complete,
    // since the longest wait is over.
    check("0 partial a.mp3\n 0..50000/10000 closed a.mp3\n 50000 whole a.mp3", &["50000 a.mp3"]);
    check("0 partial a.mp4\n 0..55000/5000 written a.mp4\n 55000 whole a.mp4", &["55000 a.mp4"]);
    // Other formats wait as usual.
    check("0 partial a.png\n 0 closed a.png\n 0 closed b.ogg", &["100 b.ogg", "2000 a.png"]);
    check("0 partial a.flac\n 0 closed a.flac\n 30000 removed a.flac", &["30100 a.flac"]);
    check("0 written a.wav", &["2000 a.wav"]);
    // Never finished: taken in the end.
    for script in
        ["0 partial a.wav\n 0 closed a.wav", "0 partial a.mov\n 0 written a.mov", "0 partial a.ogg\n 0 touched a.ogg"]
    {
        let released = run(parse(script), ms(600_000));
        assert_eq!(released.len(), 1, "{script}");
        assert_eq!(released[0].0, QUIET_UNFINISHED, "{script}");
    }
}

#[test]
fn a_burst_is_one_change() {
    // A hundred saves of one file, each within the quiet time of the one before.
    check("0..4950/50 closed a", &["5050 a"]);
    // A branch switch: a thousand files in half a second.
    check("0..999/1 written f#\n 0..999/1 closed f#", &["1099 1000 files"]);
    // Files keep coming: the first ones don't wait for the last.
    check("0..3000/50 closed f#", &["1100 21 files", "2150 21 files", "3100 19 files"]);
    // A rename is one change of two files.
    check("0 removed a\n 0 closed b", &["100 a b"]);
}

#[test]
fn a_file_that_is_always_written_delays_no_other() {
    // Complete now and then: taken after the maximum, and from then on again.
    check("0..24000/50 written a\n 5000 closed b", &["5100 b", "10000 a", "20050 a", "26000 a"]);
    // Never complete: its earlier content counts until it stops changing.
    check("0 partial a\n 0..30000/50 written a\n 5000 closed b", &["5100 b", "32000 a"]);
    // Complete in the end.
    check("0 partial a\n 0..15000/50 written a\n 12500 whole a", &["13000 a", "17000 a"]);
    // Saved again and again, never quiet.
    check("0..12000/90 closed a", &["10000 a", "12070 a"]);
}

#[test]
fn an_answer_about_an_older_state_does_not_count() {
    let mut debouncer = Debouncer::default();
    debouncer.note(path("a"), ChangeKind::Closed, ms(0));
    let looks = debouncer.looks(ms(100));
    debouncer.note(path("a"), ChangeKind::Written, ms(101));
    debouncer.whole(&looks[0], true);
    assert!(!debouncer.is_settled(&path("a"), ms(300)));
    assert_eq!(debouncer.in_progress(ms(300)), BTreeSet::from([path("a")]));
    assert_eq!(debouncer.next(ms(300)), Some(ms(2101)));
}

#[test]
fn a_check_without_an_answer_counts_as_incomplete() {
    let mut debouncer = Debouncer::default();
    debouncer.note(path("a"), ChangeKind::Closed, ms(0));
    assert_eq!(debouncer.looks(ms(100)).len(), 1);
    assert_eq!(debouncer.looks(ms(150)), []);
    assert_eq!(debouncer.next(ms(150)), Some(ms(2000)));
    assert_eq!(debouncer.release(ms(2000)).len(), 1);
    assert_eq!(debouncer.next(ms(2000)), None);
}

fn acts() -> impl Strategy<Value = Vec<(Duration, ScriptStep)>> {
    let kind = prop_oneof![
        Just(ChangeKind::Created),
        Just(ChangeKind::Written),
        Just(ChangeKind::Closed),
        Just(ChangeKind::Touched),
        Just(ChangeKind::Removed),
    ];
    let act = (0..4_u8, prop_oneof![4 => kind.prop_map(Some), 1 => Just(None)], any::<bool>()).prop_map(
        |(name, kind, whole)| {
            let path = path(&format!("f{name}"));
            kind.map_or(ScriptStep::Complete(path.clone(), whole), |kind| ScriptStep::Event(path, kind))
        },
    );
    let pause = prop_oneof![5 => 0..150_u64, 1 => 0..2500_u64];
    proptest::collection::vec((pause, act), 0..120).prop_map(|acts| {
        let mut now = 0;
        acts.into_iter()
            .map(|(pause, act)| {
                now += pause;
                (ms(now), act)
            })
            .collect()
    })
}

/// Returns the first event of each change, and the change's end.
fn spans(
    acts: &[(Duration, ScriptStep)],
    released: &[(Duration, BTreeSet<ProjectPath>)],
) -> Vec<(Duration, Duration, Duration)> {
    let mut spans = Vec::new();
    for name in 0..4 {
        let path = path(&format!("f{name}"));
        let mut events = acts
            .iter()
            .filter_map(|(time, act)| match act {
                ScriptStep::Event(of, _) if *of == path => Some(*time),
                _ => None,
            })
            .peekable();
        for (end, _) in released.iter().filter(|(_, paths)| paths.contains(&path)) {
            let first = *events.peek().expect("only what changed is released");
            let mut last = first;
            while let Some(time) = events.next_if(|time| time <= end) {
                last = time;
            }
            spans.push((first, last, *end));
        }
        assert_eq!(events.peek(), None, "a change of {path} was never released");
    }
    spans
}

proptest! {
    #[test]
    fn every_change_is_released_when_it_is_quiet_and_never_before(acts in acts()) {
        for (_, last, end) in spans(&acts, &run(acts.clone(), Duration::MAX)) {
            prop_assert!(end <= last + QUIET_UNCONFIRMED + BURST);
        }
    }

    #[test]
    fn no_whole_file_waits_longer_than_the_maximum(acts in acts()) {
        let events = |(_, act): &(Duration, ScriptStep)| !matches!(act, ScriptStep::Complete(..) | ScriptStep::Event(_, ChangeKind::Removed));
        let acts: Vec<_> = acts.into_iter().filter(events).collect();
        for (first, last, end) in spans(&acts, &run(acts.clone(), Duration::MAX)) {
            prop_assert!(end <= first + MAX_WAIT, "{first:?} {last:?} {end:?}");
            prop_assert!(end >= last + QUIET || end == first + MAX_WAIT);
        }
    }
}
