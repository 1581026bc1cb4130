//! Commands beside a running service: they leave what they would do to it, and print what came of it.

use std::time::Duration;

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::target::Target;
use crate::engine::request::{AskError, ask};
use crate::model::request::{Answer, ProblemKind, Request};

/// A service answers between two of its rounds, and a round may upload for minutes.
const PATIENCE: Duration = Duration::from_mins(10);

/// After so long without an answer a person is told what is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Has the service carry out `request`, where one holds the state. `None`: there is none, and nothing was asked; the command goes on by itself, and is
/// refused where another process holds the state.
///
/// # Errors
/// With what the service said, or why it did not answer.
pub async fn beside_service(
    output: Output,
    global: &Global,
    target: &Target,
    request: &Request,
) -> Result<Option<Answer>, Failure> {
    let asking = ask(&target.project, &target.remote, request, global.patience.unwrap_or(PATIENCE));
    tokio::pin!(asking);
    let answered = tokio::select! {
        answered = &mut asking => answered,
        () = tokio::time::sleep(SILENCE) => {
            if !output.is_quiet() {
                output.warning("a service holds the state; waiting for it to carry this out");
            }
            asking.await
        }
    };
    match answered {
        Ok(answer) => Ok(Some(answer)),
        // It is certain that the service never does it.
        Err(AskError::NoService | AskError::Ended { begun: false }) => Ok(None),
        Err(error) => {
            let exit = match &error {
                AskError::Problem(problem) => match problem.kind {
                    ProblemKind::Refused | ProblemKind::Interrupted => Exit::Unreconciled,
                    ProblemKind::Unusable => Exit::Unusable,
                    ProblemKind::Credential => Exit::Credential,
                },
                AskError::Patience { begun: false, .. } => Exit::Busy,
                AskError::State(_) | AskError::Lock(_) => Exit::Unusable,
                AskError::NoService | AskError::Ended { .. } | AskError::Patience { .. } => Exit::Unreconciled,
            };
            Err(Failure::of(exit, &error, error.hint()))
        }
    }
}
