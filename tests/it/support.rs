//! The harness: a project in a folder of its own, the real binary with a cleared environment, and an emulator on a real port.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use macadam::emulator;
use serde_json::Value;

/// A project in a temporary folder.
pub struct Project {
    folder: tempfile::TempDir,
    url: Option<String>,
}

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Self { folder, url: None };
        project.write("assets.toml", manifest);
        project
    }

    /// The same project against the remote at `url`.
    pub fn at(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    pub fn remove(&self, name: &str) {
        let path = self.file(name);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }

    /// The program with a cleared environment, in the project's folder, with a key that any emulator takes.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
        command.args(args).current_dir(self.path()).env_clear().env("ROBLOX_API_KEY", SECRET);
        command.env("HOME", self.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if let Some(url) = &self.url {
            command.args(["--api-url", url]);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs with `--json` and reads the one document on standard output.
    pub fn json(&self, args: &[&str]) -> (i32, Value) {
        let ran = self.run(&[args, &["--json"]].concat());
        let document = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error} in {:?}\n{}", ran.stdout, ran.stderr));
        (ran.code, document)
    }

    /// `sync --once`, which must succeed.
    pub fn sync(&self) -> Value {
        let (code, document) = self.json(&["sync", "--once"]);
        assert_eq!(code, 0, "{document:#}");
        document
    }
}

/// The key of the tests; it must never be seen in anything that the program prints.
pub const SECRET: &str = "test-key-3f9c1b77";

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "the key was printed");
        ran
    }

    /// That it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
