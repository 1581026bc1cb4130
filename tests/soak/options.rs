//! The command line: the soak's own options, and those of the usual test harness, which `cargo
//! test` and nextest pass to every test.

use std::time::Duration;

/// The requested mode.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run the scenario.
    Run,
    /// List the one test.
    List,
    /// The filter selects other tests.
    Nothing,
}

/// The parsed command line.
#[derive(Debug)]
pub struct Options {
    pub mode: Mode,
    /// The source of all randomness.
    pub seed: u64,
    /// The duration; `None` runs the short scenario.
    pub time: Option<Duration>,
    /// Kinds of actions to leave out, to find out which ones a failure needs.
    pub without: Vec<String>,
}

/// The name of the one test.
const NAME: &str = "soak";

/// Options of the test harness that take a value as the next word.
const WITH_VALUE: [&str; 6] = ["--test-threads", "--format", "--color", "--logfile", "--shuffle-seed", "-Z"];

/// The actions that take facts away for good, which only some other copy may have.
const LOSES_FACTS: [&str; 2] = ["PushOldLockfile", "StaleState"];

impl Options {
    /// Parses the words after the program's name.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut time, mut seed, mut without) = (None, None, Vec::new());
        let (mut list, mut exact, mut ignored) = (false, false, false);
        let (mut filters, mut skipped) = (Vec::new(), Vec::new());
        let mut words = words.flat_map(|word| match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
            _ => vec![word],
        });
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a value"));
            match word.as_str() {
                "--for" => time = Some(duration(&value()?)?),
                "--seed" => seed = Some(value()?.parse().map_err(|_| "`--seed` wants a number".to_owned())?),
                "--without" => without.extend(value()?.split(',').map(str::to_owned)),
                "--list" => list = true,
                "--exact" => exact = true,
                "--ignored" => ignored = true,
                "--skip" => skipped.push(value()?),
                known if WITH_VALUE.contains(&known) => drop(value()?),
                flag if flag.starts_with('-') => {}
                filter => filters.push(filter.to_owned()),
            }
        }
        let means = |filter: &String| if exact { filter == NAME } else { NAME.contains(filter.as_str()) };
        let wanted = filters.is_empty() || filters.iter().any(means);
        let mode = match () {
            () if ignored || !wanted || skipped.iter().any(means) => Mode::Nothing,
            () if list => Mode::List,
            () => Mode::Run,
        };
        // By default the short scenario is the same each time, and nothing is lost in it: how much
        // an older state and an older lockfile forget together depends on the timing of the
        // machine.
        if time.is_none() && seed.is_none() {
            without.extend(LOSES_FACTS.map(str::to_owned));
        }
        // A long one looks for something new.
        let seed = seed.unwrap_or_else(|| if time.is_some() { fastrand::u64(..1 << 32) } else { 1 });
        Ok(Self { mode, seed, time, without })
    }
}

/// Parses `90s`, `30m` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 90s, 30m or 2h");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number * unit))
}
