//! Whether the command could publish a change from here: what is uploaded and never published is
//! uploaded again by every other machine. Only the command that ships with Macadam can be asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{CommandSettings, LineSink, RunCounters, TimeLimits, run, run_limited, shipped};

/// The pause after the first refusal: git may have been at work. Doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause: a person has changed something, and waits for the service.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The limit of one check: it may ask the remote, and wait for another run in the repository.
const CHECK: Duration = Duration::from_mins(2);

/// What the service knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MayPublish {
    /// The command was asked, and didn't answer yet.
    Asking,
    /// It can't, with its reason.
    No(String),
    /// It can, or can't be asked.
    Yes,
}

/// Checks, before anything is uploaded, that the command could publish the changes.
///
/// # Errors
/// Returns why it could not: lower case, no full stop. The details are passed to `print`.
pub(crate) async fn may_publish(
    setting: &CommandSettings,
    paths: &[PathBuf],
    signalled: watch::Receiver<Option<Duration>>,
    print: LineSink<'_>,
) -> Result<(), String> {
    let Some(command) = shipped::check_of(&setting.command) else { return Ok(()) };
    run_limited(&CommandSettings { command, ..setting.clone() }, paths, signalled, print).await
}

/// Asks the command of a service until it could publish. Returns its latest answer; `ended` of the
/// counters tells of each. Needs a runtime.
pub(super) fn ask(
    setting: &CommandSettings,
    limits: TimeLimits,
    counters: Arc<RunCounters>,
) -> watch::Receiver<MayPublish> {
    let check = shipped::check_of(&setting.command);
    let (answer, answered) = watch::channel(if check.is_some() { MayPublish::Asking } else { MayPublish::Yes });
    if let Some(command) = check {
        let setting = CommandSettings { command, ..setting.clone() };
        let limits = TimeLimits { run: CHECK, ..limits };
        tokio::spawn(async move {
            tokio::select! {
                () = ask_until_it_can(setting, limits, &answer, &counters) => {}
                // The service has ended, and with it a command that is running.
                () = answer.closed() => {}
            }
        });
    }
    answered
}

async fn ask_until_it_can(
    setting: CommandSettings,
    limits: TimeLimits,
    answer: &watch::Sender<MayPublish>,
    counters: &RunCounters,
) {
    let paths = [setting.project.lockfile.clone()];
    let (_last, deadline) = watch::channel(Duration::MAX);
    let mut pause = FIRST_PAUSE;
    loop {
        let mut last_line = None;
        let asked = run(&setting, &paths, limits, deadline.clone(), &mut |line| last_line = Some(line)).await;
        let may = match asked {
            Ok(()) => MayPublish::Yes,
            Err(why) => {
                let line = last_line.unwrap_or(why);
                MayPublish::No(line.strip_prefix("macadam-commit-push: ").unwrap_or(&line).to_owned())
            }
        };
        let is_over = may == MayPublish::Yes;
        answer.send_replace(may);
        counters.ended.notify_one();
        if is_over {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
