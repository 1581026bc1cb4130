//! The time from the end of a save to the first byte of the request at the remote, compared to the
//! system's bare file watch. The end of a save is the call that closes the file, or renames it into
//! its place. It is measured from the start of that call, since the system may report the event
//! before the call returns.
//!
//! Saves come one at a time, each more than a second after the last: the bench measures the latency
//! of Macadam, not its rate limit.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::figures::{Section, Spread};
use super::relay::{Relay, Write};
use super::running::Service;
use super::support::Project;
use super::tree::{FOLDERS, Kind, PROGRAM, Tree};

/// The files of the project. Every second one is a model.
const FILES: usize = 200;

/// The shortest gap between saves, and the random addition to it, so that saves meet every moment
/// of the service's own timers. It makes some 40 a minute, half of them creates and half updates,
/// of which Macadam sends a hundred a minute each.
const APART: Duration = Duration::from_millis(1200);
const JITTER: Duration = Duration::from_millis(500);

/// The time after which a missing event counts as a failure.
const NEVER: Duration = Duration::from_secs(60);

/// The first content number of saves. Those of the tree are below.
const FIRST_CONTENT: u32 = 1_000_000;

/// The highest acceptable times from a save to the wire in milliseconds: the median, and the
/// slowest in a hundred.
const MOST_MEDIAN: f64 = 300.0;
const MOST_P99: f64 = 1000.0;

/// The way a program saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Writes the file in its place.
    Plain,
    /// Writes another file and renames it into the place.
    Rename,
}

/// One measured save.
struct Save {
    kind: Kind,
    way: Way,
    /// The time to the first byte of the request.
    wire: Duration,
    /// The time to the event of a bare watch.
    event: Duration,
}

/// Measures this many saves.
pub fn run(saves: usize) -> Section {
    let mut relay = None;
    let tree = Tree::grow(Path::new(PROGRAM), FILES, 2, |remote| {
        let address = remote.url().trim_start_matches("http://").parse().expect("an address");
        relay.insert(Relay::start(address)).url()
    });
    let relay = relay.expect("it was started");
    tree.project.sync();
    tree.check_synced();
    let (_watcher, events) = bare_watch(&tree.project);
    let service = Service::start(&tree.project);
    // Waits for the lockfile and the other writes of a start.
    sleep(Duration::from_secs(3));
    let measured: Vec<Save> = (0..saves).map(|at| save(&tree, &relay, &events, at)).collect();
    service.end();
    section(&measured)
}

fn save(tree: &Tree, relay: &Relay, events: &Receiver<(PathBuf, Instant)>, at: usize) -> Save {
    let (path, kind) = &tree.files[at % tree.files.len()];
    let way = if (at / 2).is_multiple_of(2) { Way::Plain } else { Way::Rename };
    let content = kind.bytes(FIRST_CONTENT + u32::try_from(at).expect("few saves"));
    let file = tree.project.file(path);
    assert!(relay.arrivals().try_recv().is_err(), "a write that no save asked for");
    let saved = write(&file, &content, way);
    let event = loop {
        let (changed, event) = events.recv_timeout(NEVER).expect("the system tells of a save");
        if changed == file {
            break event;
        }
    };
    let arrival = relay.arrivals().recv_timeout(NEVER).expect("a save leads to a request");
    let expected = match kind {
        Kind::Picture => Write::Create,
        Kind::Model => Write::Update,
    };
    assert_eq!(arrival.write, expected, "{path}");
    let pause = APART + JITTER.mul_f64(fastrand::f64());
    sleep(pause.saturating_sub(saved.elapsed()));
    Save { kind: *kind, way, wire: arrival.at - saved, event: event - saved }
}

/// Saves a file, and returns when the last call of that began.
fn write(file: &Path, content: &[u8], way: Way) -> Instant {
    let target = match way {
        Way::Plain => file.to_owned(),
        Way::Rename => file.with_extension("tmp"),
    };
    let mut open = File::create(&target).expect("create");
    open.write_all(content).expect("write");
    let mut saved = Instant::now();
    drop(open);
    if way == Way::Rename {
        saved = Instant::now();
        std::fs::rename(target, file).expect("rename");
    }
    saved
}

/// Starts a bare watch, which reports files that were closed or renamed into their place, and when.
fn bare_watch(project: &Project) -> (RecommendedWatcher, Receiver<(PathBuf, Instant)>) {
    let (send, events) = channel();
    let report = move |event: notify::Result<notify::Event>| {
        let at = Instant::now();
        let event = event.expect("an event");
        let saved = matches!(
            event.kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(RenameMode::To))
        );
        if saved {
            let _ = event.paths.into_iter().try_for_each(|path| send.send((path, at))); // the measuring may be over
        }
    };
    let mut watcher = notify::recommended_watcher(report).expect("a watch");
    for folder in FOLDERS {
        watcher.watch(&project.file(folder), RecursiveMode::Recursive).expect("watch");
    }
    (watcher, events)
}

fn section(saves: &[Save]) -> Section {
    let mut section = Section::new(format!("wire: {} saves in a project of {FILES} files", saves.len()));
    let wire = Spread::of(saves.iter().map(|save| save.wire));
    section.add("save to wire: least", wire.percentile(0), "ms");
    section.measure("save to wire: median", wire.median(), "ms", MOST_MEDIAN);
    section.measure("save to wire: 99th percentile", wire.percentile(99), "ms", MOST_P99);
    section.add("save to wire: most", wire.percentile(100), "ms");
    for kind in [Kind::Picture, Kind::Model] {
        for way in [Way::Plain, Way::Rename] {
            let times = saves.iter().filter(|save| save.kind == kind && save.way == way).map(|save| save.wire);
            let name = format!("  {kind:?}, {way:?}: median").to_lowercase();
            section.add(name, Spread::of(times).median(), "ms");
        }
    }
    let event = Spread::of(saves.iter().map(|save| save.event));
    section.add("bare watch, save to event: median", event.median(), "ms");
    section.add("bare watch, save to event: 99th percentile", event.percentile(99), "ms");
    section.add("save to wire / bare watch: medians", wire.median() / event.median(), "times");
    section
}
