//! The harness: a project in a folder of its own, the real binary with a cleared environment, and
//! an emulator on a real port.

#[path = "git.rs"]
pub mod git;
#[path = "png.rs"]
mod png;
#[allow(dead_code, reason = "the soak uses a part that these tests don't")]
#[path = "system.rs"]
pub mod system;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicI64, Ordering};

use macadam::emulator::{self, ApiEndpoint, AssetReport, Config, Control, LatencyModel, Running};
use serde_json::Value;

pub use self::png::chunk;

/// A project in a temporary folder.
pub struct Project {
    folder: tempfile::TempDir,
    program: PathBuf,
    url: Option<String>,
    environment: Vec<(&'static str, OsString)>,
    /// How far the program's clock is ahead, in seconds.
    ahead: AtomicI64,
}

/// The result of one run of the program.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    pub fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_macadam").into();
        let project = Self { folder, program, url: None, environment: Vec::new(), ahead: AtomicI64::new(0) };
        project.write("assets.toml", manifest);
        project
    }

    /// The same project with another build of the program.
    #[allow(dead_code, reason = "the benches compare builds")]
    pub fn run_by(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// The same project against the remote at `url`.
    pub fn at(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// A variable for every run from now on.
    pub fn set_env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.into()));
    }

    /// Every run from now on is so much later, without waiting.
    pub fn pass(&self, minutes: i64) {
        self.ahead.fetch_add(minutes * 60, Ordering::Relaxed);
    }

    /// Reads no longer lag behind what was written so far.
    pub fn let_reads_catch_up(&self) {
        self.pass(3);
    }

    /// Runs a git command that may fail.
    pub fn try_git(&self, args: &[&str]) -> Ran {
        Ran::of(git::try_git(self.path(), args))
    }

    /// Runs a git command and returns what it printed.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        git::git(self.path(), args)
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

    /// The folder of the state: in a git checkout git's own, elsewhere beside the manifest.
    pub fn state_folder(&self) -> PathBuf {
        let git = self.file(".git");
        if git.join("HEAD").exists() { git.join("macadam") } else { self.file(".macadam") }
    }

    /// The state of `assets.toml`.
    pub fn state(&self) -> PathBuf {
        let folder = self.state_folder();
        folder.join(if folder.ends_with(".macadam") { "assets.db" } else { "assets.toml.db" })
    }

    /// Takes the state away with its folder, as a machine that is thrown away does; there may be
    /// none.
    pub fn remove_state(&self) {
        // At once: a process that runs may be writing in it.
        let elsewhere = tempfile::tempdir().unwrap();
        let removed = std::fs::rename(self.state_folder(), elsewhere.path().join("state"));
        assert!(removed.is_ok() || !self.state_folder().exists(), "{removed:?}");
    }

    /// The program with a cleared environment, in the project's folder, with a key that any
    /// emulator takes.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.path()).env_clear().env("ROBLOX_API_KEY", SECRET);
        command.env("HOME", self.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        system::prepare(&mut command);
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead != 0 {
            command.env("MACADAM_CLOCK_SHIFT", ahead.to_string());
        }
        // The emulator's operations take 20 ms.
        command.env("MACADAM_FIRST_POLL", "40");
        // A minute's rest after a lost answer has tests of its own.
        command.env("MACADAM_REST", "1");
        // What a server on this machine is not good for, too.
        command.env("MACADAM_STAND_IN", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(url) = &self.url {
            command.args(["--api-url", url]);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs at a terminal, where somebody types these lines. `script` of util-linux, which Linux
    /// systems have, is the terminal; both kinds of output are one there.
    #[cfg(target_os = "linux")]
    pub fn at_terminal(&self, args: &[&str], typed: &str) -> Ran {
        use std::io::Write as _;
        use std::process::Stdio;

        let asked = self.command(args);
        let words = [asked.get_program()].into_iter().chain(asked.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut command = Command::new("script");
        command.args(["-qec", &words.join(" "), "/dev/null"]).current_dir(self.path()).env_clear();
        command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(typed.as_bytes()).unwrap();
        Ran::of(child.wait_with_output().unwrap())
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
        let ran =
            Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
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

/// An emulator on a port of its own, with operations that are done at once by default.
pub struct Remote {
    running: Option<Running>,
    runtime: tokio::runtime::Runtime,
}

impl Remote {
    /// With the observed profile.
    pub fn start() -> Self {
        Self::with(Config::default())
    }

    /// As configured, but for the latency, which is 20 ms.
    pub fn with(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = Config { latency: LatencyModel::Fixed(20), ..config };
        let running = runtime.block_on(emulator::start(config)).unwrap();
        Self { running: Some(running), runtime }
    }

    pub fn control(&self) -> &Control {
        self.running.as_ref().unwrap().control()
    }

    pub fn url(&self) -> String {
        self.running.as_ref().unwrap().url()
    }

    pub fn assets(&self) -> Vec<AssetReport> {
        self.control().assets()
    }

    /// How many requests an endpoint got.
    pub fn requests(&self, endpoint: ApiEndpoint) -> usize {
        self.control().requests().iter().filter(|request| request.endpoint == Some(endpoint)).count()
    }

    /// How many requests of any kind came.
    /// How many requests would change something.
    pub fn writes(&self) -> usize {
        use ApiEndpoint::{ArchiveAsset, CreateAsset, RestoreAsset, RollbackAsset, UpdateAsset};
        let all = [CreateAsset, UpdateAsset, ArchiveAsset, RestoreAsset, RollbackAsset];
        all.into_iter().map(|endpoint| self.requests(endpoint)).sum()
    }

    pub fn all_requests(&self) -> usize {
        self.control().requests().len()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown());
        }
    }
}

/// Copies the program to `path`. On Unix by a process of its own: had this one the copy open for writing, a
/// process that another test starts at that moment would have it open too, and the copy could not
/// be run ("text file busy").
pub fn copy_program(path: &Path) {
    let program = env!("CARGO_BIN_EXE_macadam");
    if cfg!(unix) {
        let copied = Command::new("cp").arg(program).arg(path).status().unwrap();
        assert!(copied.success(), "{copied}");
    } else {
        std::fs::copy(program, path).unwrap();
    }
}

/// A tenth of a second of silence but for its first samples.
pub fn wav(first: impl TryInto<u32>) -> Vec<u8> {
    let mut data = b"RIFF".to_vec();
    data.extend(836u32.to_le_bytes());
    data.extend(b"WAVEfmt ");
    for field in [16u32, 0x0001_0001, 8000, 8000, 0x0008_0001] {
        data.extend(field.to_le_bytes());
    }
    data.extend(b"data");
    data.extend(800u32.to_le_bytes());
    data.extend(first.try_into().ok().unwrap().to_le_bytes());
    data.extend([0x80; 796]);
    data
}

/// The smallest picture that passes the checks: 1 by 1 pixels of the colour `shade`.
pub fn png(shade: u8) -> Vec<u8> {
    let mut data = vec![0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    chunk(&mut data, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    // One stored deflate block of a filter byte and a pixel.
    let row = [0, shade];
    let mut zlib = vec![0x78, 0x01, 0x01, 2, 0, 0xfd, 0xff];
    zlib.extend(row);
    let (a, b) = row
        .iter()
        .fold((1u32, 0u32), |(a, b), byte| ((a + u32::from(*byte)) % 65521, (b + a + u32::from(*byte)) % 65521));
    zlib.extend(((b << 16) | a).to_be_bytes());
    chunk(&mut data, b"IDAT", &zlib);
    chunk(&mut data, b"IEND", &[]);
    data
}

/// A model whose one part has the name `name`.
pub fn rbxmx(name: &str) -> String {
    format!(
        "<roblox version=\"4\"><Item class=\"Folder\" referent=\"0\"><Properties><string name=\"Name\">{name}</string></Properties></Item></roblox>\n"
    )
}

/// An animation with the name `name`.
pub fn animation(name: &str) -> String {
    rbxmx(name).replace("class=\"Folder\"", "class=\"KeyframeSequence\"")
}

/// A manifest that finds images, models, sounds and animations by globs.
pub const GLOBS: &str =
    "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n[globs.models]\npath = \"models/**/*.rbxmx\"\n";
