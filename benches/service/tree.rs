//! A project of many files that are all synced already. Macadam creates at most some hundred assets
//! a minute, so a sync doesn't make the lockfile and the remote's world. It syncs one picture and
//! one model, and their entries are repeated for all other files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use macadam::emulator::Config;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::support::{GLOBS, Project, Remote, chunk, png, rbxmx};

/// One file in this many is a model; the others are pictures.
pub const MODEL_EVERY: usize = 10;

/// The number of files in a folder, and of such folders in their parent.
const IN_FOLDER: usize = 50;
const FOLDERS_IN_FOLDER: usize = 20;

/// The length of the chunk that ends a PNG file, in bytes.
const END_LENGTH: usize = 12;

/// The first asset ID of the files here, far below those of the emulator.
const FIRST_ID: u64 = 1_000_000;

/// The files that are synced first.
const SAMPLES: [&str; 2] = ["ui/sample.png", "models/sample.rbxmx"];

/// The program that is measured where no other is named.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_macadam");

/// The folders that hold the files.
pub const FOLDERS: [&str; 2] = ["ui", "models"];

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image: new content is a new asset.
    Picture,
    /// A model: new content is a new revision.
    Model,
}

impl Kind {
    /// Returns the bytes of a file of this kind. Each `content` has different bytes.
    pub fn bytes(self, content: u32) -> Vec<u8> {
        match self {
            Self::Picture => picture(content),
            Self::Model => rbxmx(&format!("part {content}")).into_bytes(),
        }
    }
}

/// A project with its remote, in which nothing is left to do.
pub struct Tree {
    /// The project.
    pub project: Project,
    /// The remote, which has the assets of all files.
    pub remote: Remote,
    /// The files with their kinds.
    pub files: Vec<(String, Kind)>,
    /// Holds the remote's world file.
    _world: TempDir,
}

impl Tree {
    /// Makes a project of `program` with `count` files, of which one in `model_every` is a model.
    /// Commands use the URL that `front` returns for the remote.
    pub fn grow(program: &Path, count: usize, model_every: usize, front: impl FnOnce(&Remote) -> String) -> Self {
        let sample = Sample::take(program);
        let project = Project::new(GLOBS).run_by(program);
        let mut files = Vec::new();
        let mut entries = BTreeMap::new();
        let mut assets = serde_json::Map::new();
        for at in 0..count {
            let kind = if at % model_every == 0 { Kind::Model } else { Kind::Picture };
            let path = path(at, kind);
            let content = kind.bytes(u32::try_from(at).expect("few files"));
            project.write(&path, &content);
            let hash = hex(&Sha256::digest(&content));
            let id = FIRST_ID + at as u64;
            entries.insert(path.clone(), sample.entry(kind, &path, id, &hash));
            assets.insert(id.to_string(), sample.asset(kind, id, &hash, content.len()));
            files.push((path, kind));
        }
        let (remote, world) = sample.remote(assets);
        let url = front(&remote);
        let head = sample.head.replace(&sample.url, &url);
        let entries: String = entries.into_values().collect();
        project.write("assets.lock.toml", format!("{head}{entries}{}", sample.foot));
        Self { project: project.at(&url), remote, files, _world: world }
    }

    /// Makes a project with the mix of a game: mostly pictures.
    pub fn of_a_game(count: usize) -> Self {
        Self::grow(Path::new(PROGRAM), count, MODEL_EVERY, Remote::url)
    }

    /// Checks that every file is synced, and that the remote got no write.
    pub fn check_synced(&self) {
        let (code, status) = self.project.json(&["status"]);
        let rows = status["assets"].as_array().expect("a list");
        let synced = rows.iter().filter(|row| row["state"] == "synced").count();
        assert_eq!((code, synced, rows.len()), (0, self.files.len(), self.files.len()), "not all is synced");
        let writes = self.remote.control().requests().into_iter().filter(|request| request.committed).count();
        assert_eq!(writes, 0, "the prepared lockfile was not believed");
    }
}

/// One picture and one model as a sync leaves them, in the lockfile and in the remote's world.
struct Sample {
    /// The remote that the lockfile names.
    url: String,
    /// The lockfile up to the first entry.
    head: String,
    /// The entries of the picture and the model.
    entries: [String; 2],
    /// The lockfile's last line.
    foot: String,
    /// The remote's world file.
    world: Value,
    /// IDs and hashes of the two.
    ids: [u64; 2],
    hashes: [String; 2],
}

impl Sample {
    fn take(program: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let world = folder.path().join("world.json");
        let remote = Remote::with(Config { world_file: Some(world.clone()), ..Config::default() });
        let url = remote.url();
        let project = Project::new(GLOBS).run_by(program).at(&url);
        let contents = [Kind::Picture.bytes(0), Kind::Model.bytes(0)];
        SAMPLES.iter().zip(&contents).for_each(|(path, content)| project.write(path, content));
        project.sync();
        let hashes = contents.map(|content| hex(&Sha256::digest(content)));
        let assets = remote.assets();
        let ids = hashes.clone().map(|hash| {
            let asset = assets.iter().map(|report| &report.asset).find(|asset| asset.versions[0].content.hash == hash);
            asset.expect("it was created").id
        });
        // Ending the remote writes its world.
        drop(remote);
        let lockfile = project.read("assets.lock.toml");
        let (head, rest) = lockfile.split_once("[assets.").expect("an entry");
        let (rest, foot) = rest.rsplit_once("\n\n").expect("a last line");
        let rest = format!("[assets.{rest}\n\n");
        let entries = SAMPLES.map(|path| {
            let from = rest.find(&format!("[assets.\"{path}\"]")).expect("its entry");
            let length = rest[from..].find("\n\n").expect("an empty line after it");
            rest[from..from + length + 2].to_owned()
        });
        let world = whole(&std::fs::read_to_string(world).expect("the world file"));
        Self { url, head: head.to_owned(), entries, foot: foot.to_owned(), world, ids, hashes }
    }

    /// Returns the lockfile's entry of a file.
    fn entry(&self, kind: Kind, path: &str, id: u64, hash: &str) -> String {
        let at = kind as usize;
        let entry = self.entries[at].replace(SAMPLES[at], path).replace(&self.hashes[at], hash);
        entry.replace(&format!("asset_id = {}", self.ids[at]), &format!("asset_id = {id}"))
    }

    /// Returns the remote's asset of a file.
    fn asset(&self, kind: Kind, id: u64, hash: &str, bytes: usize) -> Value {
        let mut asset = self.world["world"]["assets"][self.ids[kind as usize].to_string()].clone();
        asset["id"] = id.into();
        asset["versions"][0]["content"]["hash"] = hash.into();
        asset["versions"][0]["content"]["bytes"] = bytes.into();
        asset
    }

    /// Starts a remote with these assets, and no others.
    fn remote(&self, assets: serde_json::Map<String, Value>) -> (Remote, TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("world.json");
        let mut world = self.world.clone();
        world["world"]["assets"] = assets.into();
        std::fs::write(&file, world.to_string()).expect("write the world");
        (Remote::with(Config { world_file: Some(file), ..Config::default() }), folder)
    }
}

/// Returns a whole world with the changes of the lines after it.
fn whole(lines: &str) -> Value {
    let mut lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut file: Value = lines.next().expect("a world");
    for mut change in lines {
        for (id, asset) in change["assets"].as_object_mut().into_iter().flatten() {
            file["world"]["assets"][id] = asset.take();
        }
        if !change["mint"].is_null() {
            file["world"]["mint"] = change["mint"].take();
        }
    }
    file
}

/// Makes a picture of one pixel that holds `content` as text.
fn picture(content: u32) -> Vec<u8> {
    let mut data = png(0);
    let end = data.split_off(data.len() - END_LENGTH);
    chunk(&mut data, b"tEXt", format!("Comment\0{content}").as_bytes());
    data.extend(end);
    data
}

fn path(at: usize, kind: Kind) -> String {
    let folder = at / IN_FOLDER;
    let (outer, inner) = (folder / FOLDERS_IN_FOLDER, folder % FOLDERS_IN_FOLDER);
    let (top, extension) = match kind {
        Kind::Picture => (FOLDERS[0], "png"),
        Kind::Model => (FOLDERS[1], "rbxmx"),
    };
    format!("{top}/area-{outer:02}/part-{inner:02}/asset-{at:05}.{extension}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String can't fail
        text
    })
}
