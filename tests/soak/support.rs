//! The service's checkout: its files, its git, and the real program run in it. The names are those
//! of the harness of `tests/it`, whose `known.rs` is shared and asks for paths.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::known::{Known, state_file};

/// The key of the soak, which must never appear in the program's output.
pub const SECRET: &str = "soak-key-91d7e04c";

/// The checkout.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    url: String,
    /// The back-off of an upload without a response, in seconds.
    rest: &'static str,
}

impl Project {
    /// Makes an empty repository at `folder`, whose remote is at `url`.
    pub fn new(folder: PathBuf, url: String, rest: &'static str) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let project = Self::at(folder, url, rest);
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project
    }

    /// Opens the existing checkout at `folder`.
    pub const fn at(folder: PathBuf, url: String, rest: &'static str) -> Self {
        Self { folder, url, rest }
    }

    /// Returns a path beside the checkout.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.with_file_name(name)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn rename(&self, from: &str, to: &str) {
        let to = self.file(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::rename(self.file(from), to).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    /// Returns all files with this ending below a folder, sorted, relative to the checkout.
    pub fn files(&self, below: &str, ending: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.file(below)];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension() == Some(OsStr::new(ending)) {
                    found.push(self.name(&path));
                }
            }
        }
        found.sort();
        found
    }

    /// Returns the immediate subfolders of a folder, sorted.
    pub fn folders(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.file(below)).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let mut found: Vec<String> = paths.map(|path| self.name(&path)).collect();
        found.sort();
        found
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap().to_str().unwrap().to_owned()
    }

    /// Returns the program with a cleared environment, in the checkout.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
        command.args(args).args(["--api-url", &self.url]).current_dir(&self.folder).env_clear();
        command
            .env("ROBLOX_API_KEY", SECRET)
            .env("HOME", &self.folder)
            .env("MACADAM_REST", self.rest)
            .env("MACADAM_STAND_IN", "1")
            .stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs the program with `--json`. Returns the exit code and the one document on standard
    /// output.
    pub fn json(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(&[args, &["--json"]].concat()).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "the key was printed by {args:?}");
        let document = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{args:?} printed no document: {error}\n{stdout}\n{stderr}"));
        (output.status.code().unwrap_or(-1), document)
    }

    /// Runs a git command that may fail.
    pub fn try_git(&self, args: &[&str]) -> Output {
        crate::git::try_git(&self.folder, args)
    }

    #[track_caller]
    pub fn git(&self, args: &[&str]) {
        crate::git::git(&self.folder, args);
    }

    /// Whether there is no state.
    pub fn lacks_state(&self) -> bool {
        !state_file(&self.folder).exists()
    }

    /// Returns the knowledge of the lockfile, here and at the head of each branch.
    pub fn lockfiles(&self) -> Known {
        let here = std::fs::read_to_string(self.file("assets.lock.toml")).unwrap_or_default();
        let heads = self.try_git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]).stdout;
        let mut known = Known::lockfile(&here);
        for branch in String::from_utf8_lossy(&heads).lines() {
            let shown = self.try_git(&["show", &format!("{branch}:assets.lock.toml")]);
            if shown.status.success() {
                known = known.and(&Known::lockfile(&String::from_utf8_lossy(&shown.stdout)));
            }
        }
        known
    }

    /// Commits everything, including the current lockfile.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }
}

/// Returns the part that `kept` lacks: assets, open creates, and abandoned creates.
pub fn beyond(mut known: Known, kept: &Known) -> Known {
    let assets = kept.assets();
    known.facts.retain(|(_, asset, _), _| !assets.contains(asset));
    known.open.retain(|open| !kept.open.contains(open));
    known.abandoned.retain(|upload, _| !kept.abandoned.contains_key(upload));
    known
}
