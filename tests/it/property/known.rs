//! Reads the program's knowledge without the program: the state's rows and the lockfile's text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::support::Project;

/// A revision of an address: its asset and Roblox's number of it, 0 where there is none.
pub type Key = (String, u64, u64);

/// The known facts of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub hash: Option<String>,
    pub shared: bool,
    pub duplicate: bool,
}

/// The known facts of an upload that may have made a second asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible {
    pub content: String,
    /// Its outcome is known by now.
    pub settled: bool,
}

/// The contents of a state or a lockfile.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub facts: BTreeMap<Key, Fact>,
    /// The creates that are open: address, whether Roblox works on an operation of it, content.
    pub open: Vec<(String, bool, String)>,
    /// The contents of uploads of new assets that were given up, by upload.
    pub abandoned: BTreeMap<String, String>,
    /// The contents of uploads whose operation is waited for no longer, and may still end, by
    /// upload.
    pub set_aside: BTreeMap<String, String>,
    /// The uploads that may have made a second asset, by their random names.
    pub possible: BTreeMap<String, Possible>,
    /// How many events speak of a possible double.
    pub reported: u64,
    /// Assets that a person had forgotten, by the state.
    pub forgotten: BTreeSet<u64>,
    /// Assets that no address of this checkout's lockfile has.
    pub elsewhere: BTreeSet<u64>,
}

impl Known {
    /// The knowledge of the project's state, with its integrity checked. Read from a copy: a look
    /// must not mend what a crash left.
    pub fn state(project: &Project) -> Self {
        Self::state_in(&project.file(""))
    }

    /// As [`Known::state`], of the manifest `assets.toml` in this folder.
    pub fn state_in(root: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_state(root, folder.path()).map_or_else(Self::default, |copy| Self::read(&copy))
    }

    fn read(file: &Path) -> Self {
        let db = Connection::open(file).unwrap();
        let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let tables: u64 = db
            .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'revisions'", [], |row| number(row, 0))
            .unwrap();
        // Killed before its first transaction.
        if tables == 0 {
            return Self::default();
        }
        let mut known = Self::default();
        let mut rows = db
            .prepare(
                "SELECT address, asset_id, version, lower(hex(content)), shared, coalesce(duplicate, 0)
                 FROM revisions LEFT JOIN listed USING (address, asset_id)",
            )
            .unwrap();
        let facts = rows.query_map([], |row| {
            let hash: String = row.get(3)?;
            let fact = Fact { hash: Some(hash).filter(|h| !h.is_empty()), shared: row.get(4)?, duplicate: row.get(5)? };
            Ok(((row.get(0)?, number(row, 1)?, number(row, 2)?), fact))
        });
        known.facts.extend(facts.unwrap().map(Result::unwrap));
        let creates = "SELECT upload, lower(hex(content)), ending, address, \
             coalesce((SELECT event FROM journal WHERE attempt = id ORDER BY step DESC LIMIT 1), '') FROM attempts WHERE upload IS NOT NULL";
        let mut rows = db.prepare(creates).unwrap();
        let attempts = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
        for attempt in attempts.unwrap() {
            let (upload, content, ending, address, event): (String, String, Option<String>, String, String) =
                attempt.unwrap();
            match (ending.as_deref(), event.as_str()) {
                (None, "set_aside") => drop(known.set_aside.insert(upload, content)),
                (None, event) => known.open.push((address, event == "accept", content)),
                (Some("abandoned"), _) => drop(known.abandoned.insert(upload, content)),
                (Some(_), _) => {}
            }
        }
        let mut rows = db.prepare("SELECT upload, lower(hex(content)), settled FROM possible_duplicates").unwrap();
        let possible =
            rows.query_map([], |row| Ok((row.get(0)?, Possible { content: row.get(1)?, settled: row.get(2)? })));
        possible.unwrap().for_each(|row| known.add_possible([row.unwrap()]));
        let elsewhere =
            "SELECT asset_id FROM revisions JOIN assets USING (address) GROUP BY asset_id HAVING max(in_lockfile) = 0";
        let mut rows = db.prepare(elsewhere).unwrap();
        known.elsewhere.extend(rows.query_map([], |row| number(row, 0)).unwrap().map(Result::unwrap));
        let mut rows = db.prepare("SELECT asset_id FROM forgotten").unwrap();
        known.forgotten.extend(rows.query_map([], |row| number(row, 0)).unwrap().map(Result::unwrap));
        let reported = "SELECT count(*) FROM events WHERE kind IN ('possible_duplicate', 'recreated')";
        known.reported = db.query_row(reported, [], |row| number(row, 0)).unwrap();
        known
    }

    /// Reads a lockfile, which must be whole.
    pub fn lockfile(text: &str) -> Self {
        let document: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut known = Self::default();
        let assets = document.get("assets").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for (address, entry) in assets {
            for revision in list(&entry, "revisions") {
                let number =
                    |key: &str| revision.get(key).and_then(toml::Value::as_integer).unwrap_or(0).unsigned_abs();
                let flag = |key: &str| revision.get(key).and_then(toml::Value::as_bool).unwrap_or(false);
                let hash = revision.get("content_hash").and_then(toml::Value::as_str).map(str::to_owned);
                let fact = Fact { hash, shared: flag("shared"), duplicate: flag("duplicate") };
                known.facts.insert((address.clone(), number("asset_id"), number("revision")), fact);
            }
            let text = |work: &toml::Value, key: &str| work[key].as_str().unwrap().to_owned();
            let possible = list(&entry, "possible_duplicates");
            let flag = |work: &toml::Value, key: &str| work.get(key).and_then(toml::Value::as_bool).unwrap_or(false);
            known.add_possible(possible.iter().map(|work| {
                let possible = Possible { content: text(work, "content_hash"), settled: flag(work, "settled") };
                (text(work, "upload"), possible)
            }));
            for work in list(&entry, "open").into_iter().filter(|work| work.get("upload").is_some()) {
                let (content, submitted) = (text(&work, "content_hash"), work.get("operation").is_some());
                if submitted && flag(&work, "set_aside") {
                    known.set_aside.insert(text(&work, "upload"), content);
                } else {
                    known.open.push((address.clone(), submitted, content));
                }
            }
        }
        known
    }

    /// Both together.
    pub fn and(mut self, other: &Self) -> Self {
        self.facts.extend(other.facts.clone());
        self.open.extend(other.open.iter().cloned());
        self.abandoned.extend(other.abandoned.clone());
        self.set_aside.extend(other.set_aside.clone());
        self.add_possible(other.possible.clone());
        self
    }

    /// Takes in more of what may exist twice: what one side settled is settled.
    fn add_possible(&mut self, more: impl IntoIterator<Item = (String, Possible)>) {
        for (upload, possible) in more {
            self.possible.entry(upload).or_insert_with(|| possible.clone()).settled |= possible.settled;
        }
    }

    /// The contents of all uploads that were given up, here or by those of `earlier`, while
    /// their outcome is unknown; by upload.
    pub fn unsettled(&self, earlier: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let possible = self.possible.iter().map(|(upload, one)| (upload, &one.content));
        let all = possible.chain(&self.abandoned).chain(&self.set_aside).chain(earlier);
        let is_open = |upload: &String| self.possible.get(upload).is_none_or(|one| !one.settled);
        let open = all.filter(|(upload, _)| is_open(upload));
        open.map(|(upload, content)| (upload.clone(), content.clone())).collect()
    }

    /// The uploads that were given up and of which the state doesn't say that they may have made a
    /// second asset, or what came of them.
    pub fn unreported(&self) -> Vec<&String> {
        self.abandoned
            .keys()
            .chain(self.set_aside.keys())
            .filter(|upload| !self.possible.contains_key(*upload))
            .collect()
    }

    /// Checks that each abandoned upload is recorded: as a possible duplicate, and in the history
    /// of its address.
    #[track_caller]
    pub fn check_all_reported(&self) {
        assert!(
            self.unreported().is_empty(),
            "uploads were given up without a word: {:?} of {self:?}",
            self.unreported()
        );
        let open = self.abandoned.keys().filter(|upload| !self.possible[*upload].settled).count();
        assert!(
            self.reported >= open as u64,
            "{open} uploads may exist twice, and {} events say so: {self:?}",
            self.reported
        );
    }

    pub fn assets(&self) -> BTreeSet<u64> {
        self.facts.keys().map(|(_, asset, _)| *asset).collect()
    }

    /// Whether an address has an asset.
    pub fn has(&self, address: &str) -> bool {
        self.facts.keys().any(|(known, ..)| known == address)
    }

    /// Checks that `self` knows everything that `before` knew.
    #[track_caller]
    pub fn has_lost_nothing_of(&self, before: &Self, what: &str) {
        for (key, fact) in &before.facts {
            // An address that moved has it under another name.
            let (_, asset, revision) = key;
            let same = self.facts.iter().filter(|((_, a, r), _)| a == asset && r == revision);
            let hashes: Vec<&Option<String>> = same.map(|(_, now)| &now.hash).collect();
            assert!(!hashes.is_empty(), "{what}: {key:?} was forgotten");
            let kept = fact.hash.is_none() || hashes.contains(&&fact.hash);
            assert!(kept, "{what}: {key:?} was {fact:?}, is {hashes:?}");
        }
    }
}

/// The folder that has the state of the manifest `assets.toml` in `root`, if there is one.
pub fn state_folder(root: &Path) -> Option<PathBuf> {
    [".git/macadam", ".macadam"].map(|name| root.join(name)).into_iter().find(|folder| folder.is_dir())
}

/// The state of the manifest `assets.toml` in `root`, whether it is there or not.
pub fn state_file(root: &Path) -> PathBuf {
    let folder = state_folder(root).unwrap_or_default();
    folder.join(if folder.ends_with(".git/macadam") { "assets.toml.db" } else { "assets.db" })
}

/// Copies the state of the manifest `assets.toml` in `root` into `folder`, and returns the copy's
/// path; `None` without a state.
pub fn copy_state(root: &Path, folder: &Path) -> Option<PathBuf> {
    for ending in ["", "-wal"] {
        let mut from = state_file(root).into_os_string();
        from.push(ending);
        if Path::new(&from).exists() {
            std::fs::copy(from, folder.join(format!("assets.db{ending}"))).unwrap();
        }
    }
    Some(folder.join("assets.db")).filter(|copy| copy.exists())
}

fn number(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::unsigned_abs)
}

fn list(entry: &toml::Value, key: &str) -> Vec<toml::Value> {
    entry.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default()
}

/// How many times each content stands in a list.
pub fn tally<'a>(contents: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for content in contents {
        *counts.entry(content.clone()).or_default() += 1;
    }
    counts
}
