//! `macadam sync` without `--once`: the service. Here is what it is given; the loop is in
//! `engine/service`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::args::{Global, SyncArgs};
use super::consent::agreed;
use super::credential;
use super::exit::{CommandFailure, Exit};
use super::on_change::on_change_command;
use super::output::Printer;
use super::question::asks;
use super::target;
use crate::engine::on_change::{self, OnChange};
use crate::engine::reconcile::service::observability::{DEADLINE, Observability};
use crate::engine::reconcile::service::{ServiceCommand, ServiceError, ServiceSettings, serve};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::{Listener, ProgressEvent, silent};
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot;
use crate::plan::PlanOptions;
use crate::platform::clock;
use crate::platform::signals::{self, Signal};
use crate::state::lock;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::server::{self, StatusPages};
use crate::telemetry::systemd::Notifier;

impl From<ServiceError> for CommandFailure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Gather(error) => error.into(),
            ServiceError::StateCache(error) => error.into(),
            ServiceError::Lockfile(error) => error.into(),
            ServiceError::Requests(error) => error.into(),
            ServiceError::Taken { message, hint } => Self::new(Exit::Busy, message).hint(hint),
            ServiceError::Defect { message } => Self::new(Exit::Unusable, message),
        }
    }
}

/// Runs the service until a signal.
pub(super) async fn run(output: Printer, global: &Global, args: &SyncArgs) -> Result<Exit, CommandFailure> {
    on_change_command(global, args)?;
    let target = target::find(global)?;
    // Without a manifest or a key nothing is attempted, and no state is made.
    read_manifest(&target.project)?;
    let credential = target::credential(global, &target)?;
    let person = asks(output, args.yes || global.emulator || output.is_quiet());
    if person {
        let look = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
        if !agreed(output, &tokio::task::block_in_place(look)?.plan) {
            return Ok(Exit::Unreconciled);
        }
    }
    let ending = Shutdown::default();
    let commands = signal_commands(ending.clone(), args.on_change.is_some())?;
    let mut session = Session::open(&target.project, &target.remote, lock::SERVICE).await?;
    let (client, embedded) = target::connect(global, &target, credential).await?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), clock::now().as_second().unsigned_abs()));
    let (health, seen) = watch::channel(Health { deadline: DEADLINE, ..Health::default() });
    let (stop_pages, stopped) = oneshot::channel::<()>();
    let pages = StatusPages { health: seen, metrics: Arc::clone(&metrics), clock: Arc::new(clock::elapsed) };
    let serving = match args.listen {
        Some(address) => Some(listen(address, pages, stopped).await?),
        None => None,
    };
    let on_change = args.on_change.as_ref().map(|command| {
        let (command, project) = (command.clone(), target.project.clone());
        OnChange::start(on_change::CommandSettings { command, project, hidden: Vec::new() })
    });
    let is_watched = !output.is_json() && !output.is_quiet() && std::io::stderr().is_terminal();
    let manifest = target.project.manifest_name();
    if global.emulator {
        // A person is told below what is watched.
        let watches =
            if is_watched { String::new() } else { format!("; watching {manifest} and the files that it names") };
        tracing::info!(
            "this is a rehearsal: it uploads to the built-in emulator, and sends nothing to Roblox{watches}"
        );
    }
    if is_watched {
        output.say(format!("Watching {manifest} and the files that it names. Ctrl-C to stop."));
    }
    let (again, of) = (global.clone(), target.clone());
    let setting = ServiceSettings {
        uploads: args.uploads as usize,
        interval: args.interval,
        branch: args.require_branch.clone(),
        key: Box::new(move || target::credential(&again, &of).map_err(|failure| said(&failure))),
        key_change: credential::how_to_change(global.api_key_file.as_deref(), &target.project),
        listener: listener(Arc::clone(&metrics)),
    };
    let outside = Observability::new(metrics, health, notifier());
    let ended = serve(&mut session, Arc::new(client), setting, outside, on_change, commands, ending).await;
    // Last, so that a check sees that it is stopping.
    drop(stop_pages);
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    session.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    ended?;
    output.ended("stopped");
    Ok(Exit::Success)
}

fn said(failure: &CommandFailure) -> String {
    failure.problems.first().map(|problem| problem.message.clone()).unwrap_or_default()
}

/// Turns signals into commands. A second one to end ends the process at once, and whatever
/// `publishes` the lockfile.
fn signal_commands(
    switch: Shutdown,
    publishes: bool,
) -> Result<mpsc::UnboundedReceiver<ServiceCommand>, CommandFailure> {
    let mut signals =
        signals::catch_all().map_err(|error| CommandFailure::new(Exit::Unusable, format!("catch signals: {error}")))?;
    let (send, commands) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut ending = false;
        while let Some(signal) = signals.recv().await {
            let command = match signal {
                Signal::Hangup => ServiceCommand::Reload,
                Signal::End(end) if std::mem::replace(&mut ending, true) => {
                    if publishes {
                        tracing::warn!("stopped at once: the command of --on-change may not be done. {KEEP_FOLDER}");
                    } else {
                        tracing::warn!(
                            "stopped at once, by a second signal; the next start continues with what was under way"
                        );
                    }
                    super::die(end.exit_code())
                }
                Signal::End(_) => {
                    switch.trigger_quietly();
                    ServiceCommand::Stop
                }
            };
            let _ = send.send(command); // the service may have ended
        }
    });
    Ok(commands)
}

/// What a person has to do about a lockfile that may not be published.
const KEEP_FOLDER: &str = "Keep this folder and start Macadam here again: a machine that gets no lockfile of this run \
                           uploads its files again";

/// The status pages have no place.
fn unheard(address: SocketAddr, error: &std::io::Error) -> CommandFailure {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let message = format!("can't listen on {address}: another program, or another Macadam, uses that port");
            CommandFailure::new(Exit::Unusable, message)
                .hint("choose another port for `--listen`, or 0 for a free one, which the log then names")
        }
        _ => CommandFailure::new(Exit::Unusable, format!("can't listen on {address}: {error}"))
            .hint("`--listen` takes a port, such as 9400, or an address of this machine with a port"),
    }
}

async fn listen(
    address: SocketAddr,
    pages: StatusPages,
    stopped: oneshot::Receiver<()>,
) -> Result<tokio::task::JoinHandle<()>, CommandFailure> {
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| unheard(address, &error))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!("listening on http://{address}");
    }
    let until = async move {
        let _ = stopped.await; // the sender goes when the service has ended
    };
    Ok(tokio::spawn(server::serve(listener, pages, until)))
}

/// Counts requests for the metrics.
fn listener(metrics: Arc<Metrics>) -> Listener {
    Arc::new(move |progress| match progress {
        ProgressEvent::Answered { endpoint, status, unconnected: _ } => metrics.request(endpoint, status),
        ProgressEvent::Waited { endpoint, time } => metrics.waited(endpoint, time),
        ProgressEvent::Accepted { .. } => metrics.operation(),
        ProgressEvent::Polled => metrics.poll(),
        ProgressEvent::KeyExpires { at } => {
            metrics.set_key_expiry(at.and_then(|at| u64::try_from(at.as_second()).ok()))
        }
        ProgressEvent::Files { .. }
        | ProgressEvent::Listed { .. }
        | ProgressEvent::Planned { .. }
        | ProgressEvent::Uploading { .. }
        | ProgressEvent::Delayed { .. }
        | ProgressEvent::Finished { .. }
        | ProgressEvent::Waiting { .. }
        | ProgressEvent::Reviewing { .. } => {}
    })
}

#[expect(clippy::disallowed_methods, reason = "systemd says in the environment where it listens")]
fn notifier() -> Notifier {
    Notifier::new(|name| std::env::var_os(name), std::process::id()).unwrap_or_default()
}
