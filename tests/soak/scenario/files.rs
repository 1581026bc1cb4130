//! The actions of people and their programs on files.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::Scenario;
use crate::content::Kind;
use crate::fixture::SoakFixture;
use crate::manifest::Manifest;

/// A file that a program writes piece by piece.
#[derive(Debug)]
pub(super) struct SlowWrite {
    path: String,
    file: File,
    rest: Vec<u8>,
    piece: usize,
    pause: Duration,
    due: Instant,
}

impl SlowWrite {
    fn write_piece(&mut self) {
        let piece = self.rest.drain(..self.piece.min(self.rest.len())).collect::<Vec<u8>>();
        self.file.write_all(&piece).unwrap();
        self.due = Instant::now() + self.pause;
    }
}

impl Scenario {
    /// Continues the writes that go piece by piece.
    pub(super) fn write_on(&mut self) {
        let now = Instant::now();
        for write in self.slow.iter_mut().filter(|write| write.due <= now) {
            write.write_piece();
        }
        self.slow.retain(|write| !write.rest.is_empty());
    }

    /// Completes the writes that go piece by piece.
    pub(super) fn finish_writes(&mut self) {
        for mut write in self.slow.drain(..) {
            write.piece = write.rest.len();
            write.write_piece();
        }
    }

    /// Returns all files that make assets.
    pub(super) fn all_files(fixture: &SoakFixture) -> Vec<String> {
        let folders = [("ui", "png"), ("models", "rbxmx"), ("items", "png"), ("items", "rbxmx")];
        folders.iter().flat_map(|(folder, ending)| fixture.project.files(folder, ending)).collect()
    }

    /// Returns the files that only a glob finds and that are not pinned. They may move.
    pub(super) fn free_files(fixture: &SoakFixture) -> Vec<String> {
        let manifest = Manifest::read(&fixture.project);
        let (entries, pins) = (manifest.entries(), manifest.pins());
        let mut files = [fixture.project.files("ui", "png"), fixture.project.files("models", "rbxmx")].concat();
        files.retain(|path| !pins.contains(path) && entries.values().all(|entry| entry.path != *path));
        files
    }

    /// Returns a path for a new file, in an existing or a new folder.
    pub(super) fn new_path(&mut self, fixture: &SoakFixture, kind: Kind, rng: &mut fastrand::Rng) -> String {
        let number = self.fresh();
        let folders = fixture.project.folders(kind.folder());
        let folder = match rng.u8(..6) {
            0 => kind.folder().to_owned(),
            1 => format!("{}/d{number}", kind.folder()),
            2 => format!("{}/d{number}/deep", kind.folder()),
            _ => rng.choice(folders).unwrap_or_else(|| format!("{}/d0", kind.folder())),
        };
        format!("{folder}/f{number}.{}", kind.extension())
    }

    /// Returns a file that is not being written, and new content for it. Models are more common: a
    /// picture's edit costs a create.
    fn some_file(
        &mut self,
        fixture: &SoakFixture,
        rng: &mut fastrand::Rng,
        kind: Option<Kind>,
    ) -> Option<(String, Vec<u8>)> {
        let kind = kind.unwrap_or_else(|| if rng.u8(..4) == 0 { Kind::Picture } else { Kind::Model });
        let is_free = |path: &String| Kind::of(path) == kind && self.slow.iter().all(|write| write.path != *path);
        let files: Vec<String> = Self::all_files(fixture).into_iter().filter(is_free).collect();
        let number = self.fresh();
        rng.choice(files).map(|path| (path, kind.bytes(number)))
    }

    pub(super) fn edit(
        &mut self,
        fixture: &SoakFixture,
        rng: &mut fastrand::Rng,
        kind: Option<Kind>,
    ) -> Option<String> {
        let (path, bytes) = self.some_file(fixture, rng, kind)?;
        fixture.project.write(&path, bytes);
        Some(format!("edit {path}"))
    }

    pub(super) fn atomic_save(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let (path, bytes) = self.some_file(fixture, rng, None)?;
        let temporary = format!("{path}.tmp");
        fixture.project.write(&temporary, bytes);
        fixture.project.rename(&temporary, &path);
        Some(format!("save {path} by a rename"))
    }

    pub(super) fn truncate_and_write(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let (path, bytes) = self.some_file(fixture, rng, None)?;
        let mut file = File::create(fixture.project.file(&path)).unwrap();
        std::thread::sleep(Duration::from_millis(rng.u64(..60)));
        file.write_all(&bytes).unwrap();
        Some(format!("truncate {path} and write it"))
    }

    /// Writes in pieces, with pauses shorter than any after which a file counts as complete.
    pub(super) fn slow_write(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let (path, rest) = self.some_file(fixture, rng, None)?;
        let file = File::create(fixture.project.file(&path)).unwrap();
        let (piece, pause) = (rest.len() / rng.usize(2..6) + 1, Duration::from_millis(rng.u64(20..1200)));
        self.slow.push(SlowWrite { path: path.clone(), file, rest, piece, pause, due: Instant::now() });
        Some(format!("write {path} piece by piece, every {} ms", pause.as_millis()))
    }

    /// Makes many edits at once, as an exporter does.
    pub(super) fn burst(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let count = rng.usize(3..9);
        let edits = (0..count)
            .filter_map(|_| if rng.bool() { self.edit(fixture, rng, None) } else { self.atomic_save(fixture, rng) });
        let edits: Vec<String> = edits.collect();
        (!edits.is_empty()).then(|| format!("a burst: {}", edits.join(", ")))
    }

    pub(super) fn add(&mut self, fixture: &SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        if Self::all_files(fixture).len() > fixture.pace.files * 5 / 4 {
            return None;
        }
        let kind = if rng.bool() { Kind::Picture } else { Kind::Model };
        let path = self.new_path(fixture, kind, rng);
        let number = self.fresh();
        fixture.project.write(&path, kind.bytes(number));
        Some(format!("add {path}"))
    }

    /// Copies a picture, which then shares the asset of the first.
    pub(super) fn copy(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        self.manifest(fixture)?;
        let rows = fixture.status()?;
        let synced = |path: &String| rows.iter().any(|row| row.address == *path && row.state == "synced");
        let files =
            Self::free_files(fixture).into_iter().filter(|path| Kind::of(path) == Kind::Picture && synced(path));
        let from = rng.choice(files.collect::<Vec<_>>())?;
        let to = self.new_path(fixture, Kind::Picture, rng);
        fixture.project.write(&to, fixture.project.read(&from));
        Some(format!("copy {from} to {to}"))
    }

    pub(super) fn rename(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        self.manifest(fixture)?;
        let from = rng.choice(Self::free_files(fixture))?;
        let to = self.new_path(fixture, Kind::of(&from), rng);
        fixture.project.rename(&from, &to);
        Some(format!("rename {from} to {to}"))
    }

    pub(super) fn rename_folder(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        let manifest = self.manifest(fixture)?;
        let folders = [fixture.project.folders("ui"), fixture.project.folders("models")].concat();
        let mut bound = manifest.pins();
        bound.extend(manifest.entries().into_values().map(|entry| entry.path));
        let is_free = |folder: &String| !bound.iter().any(|path| path.starts_with(&format!("{folder}/")));
        let from = rng.choice(folders.into_iter().filter(is_free).collect::<Vec<_>>())?;
        let (above, _) = from.split_once('/')?;
        let to = format!("{above}/d{}", self.fresh());
        fixture.project.rename(&from, &to);
        Some(format!("rename the folder {from} to {to}"))
    }

    pub(super) fn delete(&mut self, fixture: &mut SoakFixture, rng: &mut fastrand::Rng) -> Option<String> {
        self.manifest(fixture)?;
        let files = Self::free_files(fixture);
        if files.len() < fixture.pace.files * 3 / 4 {
            return None;
        }
        let path = rng.choice(files)?;
        fixture.project.remove(&path);
        Some(format!("delete {path}"))
    }
}
