//! The bodies of the fuzz targets. `fuzz_targets/` calls these functions with libFuzzer's input.
//! `tests/it/fuzz.rs` calls them with the corpus on every run of the tests, and with random
//! mutations of it on request.
//!
//! A target must not panic on any input. Beyond that each one checks a law that holds for every
//! input.

use std::path::Path;
use std::sync::OnceLock;

use macadam::testing::cloud::ErrorBody;
use macadam::testing::cloud::LimitSample;
use macadam::testing::files::{self, FilesInProgress};
use macadam::testing::lockfile::{self, Ledger};
use macadam::testing::model::Address;
use macadam::testing::model::Change;
use macadam::testing::model::FileCache;
use macadam::testing::model::FileSelection;
use macadam::testing::model::InLockfile;
use macadam::testing::model::ProjectPath;
use macadam::testing::model::{AssetId, Creator, OperationId};
use macadam::testing::model::{AssetType, FileFormat};
use macadam::testing::model::{Identity, Recorded};
use macadam::testing::state::Store;
use macadam::testing::{cloud, manifest, state};
use rusqlite::Connection;
use rusqlite::types::Value;

/// The time of every target.
const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;
const REMOTE: &str = "https://apis.roblox.com";

/// One target: its name, which is also the folder of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] =
    [("manifest", manifest), ("lockfile", lockfile), ("wire", wire), ("file", file), ("state", state)];

/// Reads and resolves a manifest without files, or renders its errors.
pub fn manifest(data: &[u8]) {
    let mistakes = match manifest::parse(data, "assets.toml") {
        Ok(manifest) => {
            let _ = manifest.selection();
            manifest.resolve(&Default::default(), &Default::default(), &Default::default()).err().unwrap_or_default()
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            mistakes
        }
    };
    let shown = manifest::render(&mistakes, &String::from_utf8_lossy(data), false, None);
    assert_eq!(shown.is_empty(), mistakes.is_empty());
    if let (Ok(text), Ok(address)) = (std::str::from_utf8(data), Address::new("sword")) {
        let _ = manifest::remove_pin(text, &address);
    }
}

fn text_of(ledger: &Ledger) -> Vec<u8> {
    let mut text = Vec::new();
    lockfile::write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut text).expect("memory takes all");
    text
}

/// Reads three lockfiles, separated by a line of `%%%`. Each readable one must survive writing and
/// reading unchanged. It is imported, and merged with the others in either order.
pub fn lockfile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = Path::new("assets.lock.toml");
    let read = |text: &str| lockfile::parse(text.as_bytes(), file).ok();
    let ledgers: Vec<Ledger> = text.split("\n%%%\n").take(3).filter_map(read).collect();
    for ledger in &ledgers {
        let again = lockfile::parse(&text_of(ledger), file).expect("what was written can be read");
        assert_eq!(*ledger, again, "it says the same");
        let mut known = Recorded::default();
        for change in lockfile::import(&known, ledger, NOW) {
            known.apply(&change, NOW).expect("what a lockfile tells fits");
        }
    }
    if let [one, two, rest @ ..] = ledgers.as_slice() {
        let base = rest.first();
        let (there, back) = (lockfile::merge(base, one, two), lockfile::merge(base, two, one));
        assert_eq!(there.ok(), back.ok(), "whose side is whose doesn't matter");
    }
}

/// Reads one of Roblox's bodies as the response to every request, and each of its lines as a rate
/// limit header.
pub fn wire(data: &[u8]) {
    let (Ok(asset_id), Ok(operation)) = (AssetId::new(5), OperationId::new("a")) else { return };
    for complete in [true, false] {
        let _ = ErrorBody::read(data, complete);
        let _ = cloud::read_asset(data, asset_id, complete);
    }
    for about in [None, Some(asset_id)] {
        let _ = cloud::read_submitted(data, about);
        let _ = cloud::read_operation(data, &operation, about);
    }
    let _ = cloud::read_key(data);
    let _ = cloud::read_version(data, asset_id);
    if let Ok(text) = std::str::from_utf8(data) {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let _ = LimitSample::parse(&lines, &lines, &lines, &lines, NOW);
        let credential = macadam::testing::cloud::Credential::api_key("abcdefgh/ijklmnop+qrstuvwx");
        let hidden = credential.map(|credential| credential.redact(text)).unwrap_or_default();
        assert!(!hidden.contains("abcdefgh"), "a piece of the key is shown");
    }
}

/// Inspects a file as `check` does. The first byte chooses the format.
pub fn file(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    let extensions: Vec<&str> = FileFormat::ALL.iter().flat_map(|format| format.extensions().iter().copied()).collect();
    let Some(extension) = extensions.get(usize::from(*choice) % extensions.len()) else { return };
    let name = format!("file.{extension}");
    let (Ok(folder), Ok(path)) = (tempfile::tempdir(), ProjectPath::new(&name)) else { return };
    if std::fs::write(folder.path().join(&name), content).is_err() {
        return;
    }
    let walk = files::walk(
        folder.path(),
        &FileSelection { explicit: [path.clone()].into_iter().collect(), ..FileSelection::default() },
    );
    let found = files::scan(folder.path(), &walk, &FileCache::new(), &FilesInProgress::default(), 0, &|_| {});
    assert!(found.findings.contains_key(&path), "nothing is said of the file");
}

/// Returns a state with one asset, made once.
fn template() -> Option<&'static [u8]> {
    static TEMPLATE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().ok()?;
        let path = folder.path().join("assets.db");
        let mut store = Store::open(&path, REMOTE, NOW).ok()?;
        let identity = Identity {
            asset_type: AssetType::Model,
            creator: "user:1".parse::<Creator>().ok()?,
            privacy: Default::default(),
            path: ProjectPath::new("sword.fbx").ok()?,
        };
        let address = Address::new("sword").ok()?;
        let enrolled = [
            Change::SetIdentity { address: address.clone(), identity },
            Change::SetInLockfile { address: address.clone(), in_lockfile: InLockfile::Yes },
            Change::SetRemoved { address, removed: true },
        ];
        store.commit(&enrolled, NOW).ok()?;
        drop(store);
        let connection = Connection::open(&path).ok()?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
        connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).ok()?;
        drop(connection);
        std::fs::read(path).ok()
    };
    TEMPLATE.get_or_init(make).as_deref()
}

/// Replaces one value of a state: the first byte chooses the table, the second the column, the
/// third the type. The state must load or be refused.
pub fn state(data: &[u8]) {
    let [table, column, kind, value @ ..] = data else { return };
    let template = template().expect("a state can be made");
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("assets.db");
    if std::fs::write(&path, template).is_err() {
        return;
    }
    if spoil(&path, usize::from(*table), usize::from(*column), *kind, value).is_none() {
        return;
    }
    if let Ok(store) = Store::open(&path, REMOTE, NOW) {
        let loaded: Result<Recorded, state::StateError> = store.load();
        drop(loaded);
    }
}

fn spoil(path: &Path, table: usize, column: usize, kind: u8, value: &[u8]) -> Option<()> {
    let connection = Connection::open(path).ok()?;
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;").ok()?;
    let names = |sql: &str| -> Option<Vec<String>> {
        connection.prepare(sql).ok()?.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()
    };
    let tables =
        names("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?;
    let table = tables.get(table % tables.len())?;
    let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let column = columns.get(column % columns.len())?;
    let text = || String::from_utf8_lossy(value).into_owned();
    let value = match kind % 4 {
        0 => Value::Text(text()),
        1 => Value::Integer(
            value.iter().fold(0_i64, |number, byte| number.wrapping_mul(256).wrapping_add(i64::from(*byte))),
        ),
        2 => Value::Blob(value.to_vec()),
        _ => Value::Null,
    };
    // A table without rows gets one that is nearly empty. If its constraints forbid that, there is
    // nothing to change.
    let changed = connection.execute(&format!("UPDATE OR REPLACE \"{table}\" SET \"{column}\" = ?1"), [&value]).ok()?;
    if changed == 0 {
        connection.execute(&format!("INSERT INTO \"{table}\" (\"{column}\") VALUES (?1)"), [&value]).ok()?;
    }
    Some(())
}
