//! The project and the remote that a command works on.

use std::path::PathBuf;
use std::time::Duration;

use super::args::Global;
use super::ci;
use super::credential;
use super::embedded::Embedded;
use super::exit::{CommandFailure, Exit};
use super::invocation::named_server;
use crate::cloud::base::BaseUrl;
use crate::cloud::client::Client;
use crate::cloud::secret::Credential;
use crate::cloud::timeouts::Timeouts;
use crate::engine::workspace::project::Project;
use crate::model::address::Address;
use crate::platform::clock;

/// A project and the name of its remote, for commands that send nothing.
#[derive(Debug, Clone)]
pub(super) struct ProjectTarget {
    /// The project, with the emulator's state and lockfile where that is meant.
    pub project: Project,
    /// The remote as state and lockfile record it.
    pub remote: String,
}

/// The remote's name in state and lockfile of `--emulator`: its port changes from run to run.
const EMBEDDED: &str = "emulator";

/// The folder in which the program was started.
///
/// # Errors
/// When the folder doesn't exist any more.
pub(super) fn here() -> Result<PathBuf, CommandFailure> {
    std::env::current_dir()
        .map_err(|error| CommandFailure::new(Exit::Unusable, format!("find the current folder: {error}")))
}

/// Finds the project and the remote's name.
///
/// # Errors
/// When there is no manifest, or the API's address can't be used.
pub(super) fn find(global: &Global) -> Result<ProjectTarget, CommandFailure> {
    let mut project = Project::find(global.manifest.as_deref(), global.state.as_deref(), &here()?)?;
    project.in_ci = ci::is_ci();
    super::output::paths_begin_at(&project.root);
    of_project(global, project)
}

/// The target of a project that was found.
///
/// # Errors
/// When the API's address can't be used.
pub(super) fn of_project(global: &Global, project: Project) -> Result<ProjectTarget, CommandFailure> {
    if global.emulator {
        return Ok(ProjectTarget { project: project.for_emulator()?, remote: EMBEDDED.to_owned() });
    }
    let remote = base(global)?.to_string();
    Ok(ProjectTarget { project: project.for_remote(&remote), remote })
}

/// Whether the run's server is a program on this machine, whose asset IDs don't exist on Roblox:
/// they must not be published.
pub(super) fn is_local(global: &Global) -> bool {
    let named = || named_server(global).and_then(|url| url.parse::<BaseUrl>().ok());
    global.emulator || named().is_some_and(|base| base.is_loopback())
}

/// Finds the project for a command that needs neither state nor remote.
///
/// # Errors
/// As [`find`], but for where the state would be.
pub(super) fn find_files(global: &Global) -> Result<Project, CommandFailure> {
    let mut project = Project::find_files(global.manifest.as_deref(), &here()?)?;
    project.in_ci = ci::is_ci();
    super::output::paths_begin_at(&project.root);
    if !global.emulator {
        base(global)?;
    }
    Ok(project)
}

/// The API's address.
///
/// # Errors
/// When it can't be used.
pub(super) fn base(global: &Global) -> Result<BaseUrl, CommandFailure> {
    let text = global.api_url.as_deref().unwrap_or(BaseUrl::ROBLOX);
    text.parse::<BaseUrl>().map_err(|error| CommandFailure::of(Exit::Usage, &error, None))
}

/// The credential for the remote.
///
/// # Errors
/// Exit code 4 without a usable credential.
pub(super) fn credential(global: &Global, target: &ProjectTarget) -> Result<Credential, CommandFailure> {
    if global.emulator {
        return credential::for_emulator();
    }
    credential::find(global.api_key_file.as_deref(), &target.project)
}

/// A client of the target's remote, and the embedded emulator where that is the remote.
///
/// # Errors
/// When the emulator or the client can't be started.
pub(super) async fn connect(
    global: &Global,
    target: &ProjectTarget,
    credential: Credential,
) -> Result<(Client, Option<Embedded>), CommandFailure> {
    let (base, embedded) = if global.emulator {
        let embedded = Embedded::start(&target.project.emulator_folder()).await?;
        let base =
            embedded.url().parse::<BaseUrl>().map_err(|error| CommandFailure::of(Exit::Unusable, &error, None))?;
        (base, Some(embedded))
    } else {
        (base(global)?, None)
    };
    let timeouts = Timeouts::default().at_most(global.patience.unwrap_or(Duration::MAX));
    let client =
        Client::new(base, credential, timeouts).map_err(|error| CommandFailure::of(Exit::Unusable, &error, None))?;
    let client = client.timed_by(clock::elapsed);
    let client = if global.emulator { client.for_rehearsal() } else { client };
    Ok((client, embedded))
}

/// Reads an address from the command line.
///
/// # Errors
/// Wrong usage, when the text is not an address.
pub(super) fn address(text: &str) -> Result<Address, CommandFailure> {
    Address::new(text).map_err(|error| CommandFailure::of(Exit::Usage, &error, None))
}
