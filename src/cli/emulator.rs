//! `macadam emulator`.

use std::path::Path;

use serde_json::json;

use super::args::{EmulatorArgs, EmulatorProfile};
use super::embedded::not_started;
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint};
use crate::emulator::{self, Config, FaultRule, LatencyModel, Switches};
use crate::platform::{plain_file, signals};

/// The most that is read of a script of faults.
const MAX_FAULTS_BYTES: u64 = 16 << 20;

/// Serves until a signal.
pub(super) async fn run(output: Printer, args: EmulatorArgs) -> Result<Exit, CommandFailure> {
    if args.list_switches {
        list_switches(output);
        return Ok(Exit::Success);
    }
    let latency: LatencyModel = args.latency.parse().map_err(|error| CommandFailure::of(Exit::Usage, &error, None))?;
    let profile = match args.profile {
        EmulatorProfile::Documented => emulator::Profile::Documented,
        EmulatorProfile::Observed => emulator::Profile::Observed,
    };
    let faults = args.faults.as_deref().map(read_faults).transpose()?.unwrap_or_default();
    let config = Config {
        listen: args.listen,
        profile,
        switches: args.switches,
        world_file: args.world,
        latency,
        ..Config::default()
    };
    let mut signals = signals::catch_end_signals()
        .map_err(|error| CommandFailure::new(Exit::Unusable, format!("catch signals: {error}")))?;
    let running = emulator::start(config).await.map_err(|error| not_started(&error))?;
    running.control().add_faults(faults).map_err(|error| CommandFailure::of(Exit::Usage, &error, None))?;
    let url = running.url();
    if output.is_json() {
        output.document(&json!({ "url": url }));
    } else {
        output.line(format!("The emulator listens on {}", paint(TextStyle::Good, &url)));
        output.line(format!("  use it:        macadam sync --once --api-url {url}    (any ROBLOX_API_KEY will do)"));
        output.line(format!("  look inside:   curl {url}/emulator/assets"));
        output.line(
            "  take a copy:   a sync writes an assets.lock.toml that belongs to this server, and must not be published",
        );
        output.line("  stop it:       Ctrl-C");
    }
    signals.recv().await;
    running.shutdown().await;
    Ok(Exit::Success)
}

fn read_faults(path: &Path) -> Result<Vec<FaultRule>, CommandFailure> {
    let wrong = |error: &dyn std::error::Error| {
        CommandFailure::new(Exit::Usage, format!("read the faults from {}: {error}", path.display()))
    };
    let text = plain_file::read(path, MAX_FAULTS_BYTES).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn list_switches(output: Printer) {
    let table = Switches::table();
    if output.is_json() {
        let rows: Vec<_> = table
            .iter()
            .map(|row| {
                json!({
                    "name": row.name, "values": row.values, "documented": row.documented,
                    "observed": row.observed, "about": row.source,
                })
            })
            .collect();
        output.document(&json!({ "switches": rows }));
        return;
    }
    for row in table {
        output.line(format!("{} = {}", paint(TextStyle::Change, row.name), row.values.join(" | ")));
        output.line(format!("    documented: {}, observed: {}", row.documented, row.observed));
        output.line(format!("    {}", paint(TextStyle::Quiet, row.source)));
    }
}
