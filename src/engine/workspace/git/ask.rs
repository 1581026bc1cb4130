//! What only git itself can tell: whether the commit that is checked out has a file, and whether
//! git knows a file or ignores it.
//!
//! Asked seldom: of a lockfile that is missing or that somebody else wrote, and in CI once at the
//! end. Git runs without hooks, a file monitor, locks or a network, since the repository may be a
//! stranger's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{WorkTree, work_tree};
use crate::platform::program::{self, ProgramOutput};

/// These questions take milliseconds; a disk that hangs takes for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// More is not read of an answer of a line or two.
const A_FEW_LINES: u64 = 64 * 1024;

/// More is not read of files: as much as a lockfile may have, in a merge and its parents.
const FILES: u64 = 1 << 30;

/// What git gets of this process's environment: where programs are, and whose configuration counts
/// (ignored files of a person's own). Nothing that points it to another repository.
const INHERITED: &[&str] = &["PATH", "HOME", "XDG_CONFIG_HOME", "SystemRoot", "USERPROFILE", "TMPDIR"];

/// Nothing is fetched for an answer, nobody is asked, nothing is locked, and its words are always
/// the same.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C"),
];

/// What git knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It is part of the repository, or will be with the next commit.
    Tracked,
    /// Git has never heard of it.
    Untracked,
    /// Git was told to ignore it.
    Ignored,
}

/// Whether the commit that is checked out around `file` has it; `false` where there is no
/// repository. The file need not be there, its folder must.
///
/// # Errors
/// Why it can't be told: lower case, no full stop.
pub(crate) fn head_has(file: &Path) -> Result<bool, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(false) };
    let query = format!("HEAD:{}\n", place.inside);
    let answer = place.ask(&["cat-file", "--batch-check"], query.as_bytes())?;
    // No commit yet is an answer too: `missing`.
    match answer.said.trim_end().rsplit(' ').next() {
        Some("missing") => Ok(false),
        Some(size) if answer.status.success() && size.parse::<u64>().is_ok() => Ok(true),
        Some(_) | None => Err(why(&answer)),
    }
}

/// What git has of a file, apart from what is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Versions {
    /// What it put on disk last, or was told to put into the next commit.
    pub index: Option<Vec<u8>>,
    /// What the commit that is checked out has. In the middle of a switch of branches that is still
    /// the old one.
    pub head: Option<Vec<u8>>,
    /// Where the commit that is checked out is a merge: what the commits have that it merges.
    pub merged: Vec<Vec<u8>>,
}

/// What git has of `file`: nothing where there is no repository.
///
/// # Errors
/// Why it can't be told: lower case, no full stop.
pub(crate) fn versions(file: &Path) -> Result<Versions, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(Versions::default()) };
    let second = place.ask(&["cat-file", "--batch-check"], b"HEAD^2^{commit}\n")?;
    let is_merge = second.status.success() && !second.said.trim_end().ends_with("missing");
    let names: &[&str] = if is_merge { &[":0", "HEAD", "HEAD^1", "HEAD^2"] } else { &[":0", "HEAD"] };
    let queries: String = names.iter().map(|name| format!("{name}:{}\n", place.inside)).collect();
    let answer = place.ask_for(&["cat-file", "--batch"], queries.as_bytes(), FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let mut found = contents(&answer.raw).into_iter();
    let (index, head) = (found.next().flatten(), found.next().flatten());
    // In the middle of a switch of branches the index is the new one's already.
    let is_settled = index == head;
    Ok(Versions { index, head, merged: found.flatten().filter(|_| is_settled).collect() })
}

/// The files of a batch, in the order of the questions: before each a line with its name, type and
/// size, after it a line break; for one that isn't there only a line that says so.
fn contents(mut batch: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut contents = Vec::new();
    while let Some(end) = batch.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = batch.split_at(end);
        let line = String::from_utf8_lossy(line);
        let size = line.rsplit_once(" blob ").and_then(|(_, size)| size.parse::<usize>().ok());
        let rest = rest.get(1..).unwrap_or_default();
        let Some(size) = size else {
            contents.push(None);
            batch = rest;
            continue;
        };
        let Some(content) = rest.get(..size) else { break };
        contents.push(Some(content.to_owned()));
        batch = rest.get(size.saturating_add(1)..).unwrap_or_default();
    }
    contents
}

/// What git knows of `file`; `None` where there is no repository.
///
/// # Errors
/// Why it can't be told: lower case, no full stop.
pub(crate) fn tracking(file: &Path) -> Result<Option<Tracking>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let listed = place.ask(&["--literal-pathspecs", "ls-files", "--cached", "--", &place.inside], b"")?;
    if !listed.status.success() {
        return Err(why(&listed));
    }
    if !listed.said.is_empty() {
        return Ok(Some(Tracking::Tracked));
    }
    let ignored = place.ask(&["check-ignore", "--quiet", "--", &place.inside], b"")?;
    match ignored.status.code() {
        Some(0) => Ok(Some(Tracking::Ignored)),
        Some(1) => Ok(Some(Tracking::Untracked)),
        Some(_) | None => Err(why(&ignored)),
    }
}

/// A file in a checkout.
struct CheckoutFile {
    /// Git's folder of the checkout.
    private: PathBuf,
    /// The folder of the checkout.
    top: PathBuf,
    /// The file's path in it, with `/`.
    inside: String,
}

impl CheckoutFile {
    fn of(file: &Path) -> Result<Option<Self>, String> {
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(None) };
        let found = work_tree(folder).map_err(|unread| unread.to_string())?;
        let Some(WorkTree { top, git_folder: private }) = found else { return Ok(None) };
        let folder =
            std::fs::canonicalize(folder).map_err(|error| format!("can't find {}: {error}", folder.display()))?;
        let below = folder.strip_prefix(&top).unwrap_or(&folder).join(name);
        let names: Option<Vec<&str>> = below.iter().map(OsStr::to_str).collect();
        let inside = names.map(|names| names.join("/")).filter(|path| !path.contains('\n'));
        let inside = inside.ok_or_else(|| format!("git can't be asked about the name {}", below.display()))?;
        Ok(Some(Self { private, top, inside }))
    }

    fn ask(&self, query: &[&str], input: &[u8]) -> Result<ProgramOutput, String> {
        self.ask_for(query, input, A_FEW_LINES)
    }

    fn ask_for(&self, query: &[&str], input: &[u8], most: u64) -> Result<ProgramOutput, String> {
        // With both folders named, git doesn't mind who owns them, and follows no configuration to others.
        let folders =
            [OsStr::new("--git-dir"), self.private.as_os_str(), OsStr::new("--work-tree"), self.top.as_os_str()];
        let options = ["-C".as_ref(), self.top.as_os_str(), "--no-pager".as_ref(), "-c".as_ref()];
        let options = options.into_iter().chain([OsStr::new("core.fsmonitor=false")]).chain(folders);
        let arguments = options.chain(query.iter().map(OsStr::new));
        program::ask("git", arguments, ENVIRONMENT, INHERITED, input, (PATIENCE, most))
            .map_err(|error| format!("git can't be asked: {error}"))
    }
}

fn why(answer: &ProgramOutput) -> String {
    let said = answer.complained.lines().next().unwrap_or_default().trim();
    format!("git says: {}", if said.is_empty() { "nothing" } else { said })
}
