//! Questions that only git itself can answer: whether the checked-out commit has a file, and
//! whether git tracks or ignores it.
//!
//! They are rare: about a lockfile that is missing or was changed by others, and in CI once at the
//! end. Git runs without hooks, filters, file monitor, locks or network, since the repository may come
//! from a stranger. Every question goes through [`CheckoutFile::ask_for`], and only by commands for
//! programs (plumbing): what those print, and what they run, depends on no taste of a person's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{WorkTree, work_tree};
use crate::platform::own_file;
use crate::platform::program::{self, ProgramOutput};

/// The longest wait for git: these questions take milliseconds, but a disk that hangs takes for
/// ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limit for an answer of a line or two, in bytes.
const A_FEW_LINES: u64 = 64 * 1024;

/// The limit for contents of files, in bytes: some of the lockfile's own limit.
pub(super) const FILES: u64 = 1 << 30;

/// The number of commits of a file's history that are read. Every merge of the repository counts.
const COMMITS: usize = 4096;

/// The limit for a list with a line for each of them, in bytes.
const LIST: u64 = 4 << 20;

/// The number of different contents of a file's history that are read.
const VERSIONS: usize = 512;

/// The limit for all of them, and for the names of all commits of a branch, in bytes.
const HISTORY: u64 = 64 << 20;

/// The variables that git inherits: the paths of programs and of the user's configuration (which
/// may ignore files), which Git for Windows finds by `HOMEDRIVE` and `HOMEPATH` first. None of them
/// leads git to another repository.
pub(crate) const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "SystemRoot",
    "HOMEDRIVE",
    "HOMEPATH",
    "USERPROFILE",
    "PROGRAMDATA",
    "TMPDIR",
    "TEMP",
];

/// Git fetches nothing, prompts for nothing, takes no lock, and its output is never translated. It
/// shows the history that was committed: what was replaced or grafted locally would hide a part of it.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C"),
];

/// Settings of the repository's that would have git run a program, whatever is asked of it. Others do
/// so only for a command that this module must not use: one for people (`log`, `diff`, `status`), which
/// also reads pagers, signature checkers and drivers of attributes, or one that writes. Filters are
/// switched off by name ([`super::filters`]), and no fetch gets as far as its programs.
const SWITCHED_OFF: &[&str] = &["core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false"];

/// Git's advice about `GIT_GRAFT_FILE`, which would stand before the reason of a failure.
const NO_ADVICE: &str = "advice.graftFileDeprecated=false";

/// Git's knowledge of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It is in the repository, or in the index for the next commit.
    Tracked,
    /// Git doesn't know it.
    Untracked,
    /// Git is told to ignore it.
    Ignored,
}

/// The checked-out commit, and whether it has a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AtHead {
    /// The commit; `None` before the first one.
    pub commit: Option<String>,
    /// Whether it has the file. A content that a partial clone lacks counts as none.
    pub has_file: bool,
}

/// Returns the commit checked out around `file`, and whether it has it; nothing without a repository.
/// The file need not exist, but its folder must.
///
/// # Errors
/// Returns why this is unknown: lower case, no full stop.
pub(crate) fn at_head(file: &Path) -> Result<AtHead, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(AtHead::default()) };
    let queries = format!("HEAD^{{commit}}\nHEAD:{}\n", place.inside);
    let answer = place.ask(&["cat-file", "--batch-check"], queries.as_bytes())?;
    let said = answer.said()?;
    let mut lines = said.lines();
    let (Some(commit), Some(file), true) = (lines.next(), lines.next(), answer.status.success()) else {
        return Err(why(&answer));
    };
    let commit = commit.split_once(" commit ").map(|(commit, _)| commit.to_owned());
    match file.rsplit(' ').next() {
        Some("missing") => Ok(AtHead { commit, has_file: false }),
        Some(size) if size.parse::<u64>().is_ok() => Ok(AtHead { commit, has_file: true }),
        Some(_) | None => Err(why(&answer)),
    }
}

/// Git's versions of a file, apart from the one on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Versions {
    /// The checked-out commit. During a switch of branches, that is still the old one.
    pub commit: Option<String>,
    /// The version in the index: the last one checked out, or staged for the next commit.
    pub index: Option<Vec<u8>>,
    /// The version in the checked-out commit.
    pub head: Option<Vec<u8>>,
}

/// Returns git's versions of `file`; none without a repository.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn versions(file: &Path) -> Result<Versions, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(Versions::default()) };
    let commit = place.ask(&["cat-file", "--batch-check"], b"HEAD^{commit}\n")?;
    let commit = commit.said()?.split_once(" commit ").map(|(commit, _)| commit.to_owned());
    let queries: String = [":0", "HEAD"].iter().map(|name| format!("{name}:{}\n", place.inside)).collect();
    let answer = place.ask_for(&["cat-file", "--batch"], queries.as_bytes(), FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let mut found = contents(&answer.raw).into_iter();
    Ok(Versions { commit, index: found.next().flatten(), head: found.next().flatten() })
}

/// A commit in the history of a file: one that changed it, or a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileCommit {
    /// Its name.
    pub commit: String,
    /// The next earlier commits of this history. None for the first one, and for the last one that
    /// a shallow clone has. A side of a merge that has none is left out, so the first of them may be of
    /// a branch that was merged: see [`FileHistory::line`].
    pub parents: Vec<String>,
    /// The name of the file's content; `None` if it has no such file.
    pub blob: Option<String>,
}

/// The history of a file, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FileHistory {
    /// The commits, the newest first. All sides of every merge are included.
    pub commits: Vec<FileCommit>,
    /// The names of those that are on the first parents' line of the first commit that was selected, the
    /// newest first.
    pub line: Vec<String>,
    /// The contents by their names. The oldest may be absent from a long history.
    pub contents: BTreeMap<String, Vec<u8>>,
}

/// Returns the history of `file` that leads to the commits that `from` selects for `git rev-list`, with
/// the contents that `needed` names.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn history(
    file: &Path,
    from: &[&str],
    needed: impl FnOnce(&FileHistory) -> BTreeSet<String>,
) -> Result<FileHistory, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(FileHistory::default()) };
    // Without `--full-history`, git follows only the side of a merge that has the same content.
    let newest = format!("--max-count={COMMITS}");
    let options = ["--literal-pathspecs", "rev-list", "--full-history", "--parents", &newest];
    let query = [&options, from, &["--", &place.inside]].concat();
    let listed = place.ask_for(&query, b"", LIST)?;
    if !listed.status.success() {
        return Err(why(&listed));
    }
    let commits: Vec<Vec<&str>> = listed.said()?.lines().map(|line| line.split(' ').collect()).collect();
    let names = commits.iter().filter_map(|names| names.first());
    let queries: String = names.map(|commit| format!("{commit}:{}\n", place.inside)).collect();
    let sizes = place.ask_for(&["cat-file", "--batch-check"], queries.as_bytes(), LIST)?;
    if !sizes.status.success() {
        return Err(why(&sizes));
    }
    let blobs: Vec<Option<(&str, u64)>> = sizes.said()?.lines().map(blob).collect();
    let mut history = FileHistory::default();
    for (names, blob) in commits.iter().zip(&blobs) {
        let mut names = names.iter().map(|name| (*name).to_owned());
        let Some(commit) = names.next() else { continue };
        let blob = blob.map(|(name, _)| name.to_owned());
        history.commits.push(FileCommit { commit, parents: names.collect(), blob });
    }
    let known: BTreeSet<&str> = commits.iter().filter_map(|names| names.first().copied()).collect();
    let line = ["rev-list", "--first-parent", from.first().copied().unwrap_or("HEAD")];
    let line = place.ask_for(&line, b"", HISTORY)?;
    if !line.status.success() {
        return Err(why(&line));
    }
    history.line = line.said()?.lines().filter(|commit| known.contains(commit)).map(str::to_owned).collect();
    let needed = needed(&history);
    history.contents = place.contents(blobs.into_iter().flatten().filter(|(name, _)| needed.contains(*name)))?;
    Ok(history)
}

/// Returns whether `commit`, or one before it that is no merge, changed `file`.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn was_changed(file: &Path, commit: &str) -> Result<bool, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(false) };
    let options = ["--literal-pathspecs", "rev-list", "--no-merges", "--full-history", "--max-count=1"];
    let listed = place.ask(&[&options[..], &[commit, "--", &place.inside]].concat(), b"")?;
    if listed.status.success() { Ok(!listed.raw.is_empty()) } else { Err(why(&listed)) }
}

/// Returns name and size of a content, from a line of `--batch-check`.
fn blob(line: &str) -> Option<(&str, u64)> {
    let (name, size) = line.split_once(" blob ")?;
    Some((name, size.parse().ok()?))
}

/// Returns the files of a batch, in the order of the queries. Each follows a line with its name,
/// type and size, and ends with a line break. For a missing file there is only a line that says so.
pub(super) fn contents(mut batch: &[u8]) -> Vec<Option<Vec<u8>>> {
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

/// Returns the parts of an answer that end with a NUL. One that is not UTF-8 is left out, since it
/// tells of a path that no project can name.
pub(super) fn records(answer: &[u8]) -> impl Iterator<Item = &str> {
    answer.split(|byte| *byte == 0).filter_map(|part| std::str::from_utf8(part).ok()).filter(|part| !part.is_empty())
}

/// Returns whether git tracks or ignores `file`; `None` without a repository.
///
/// # Errors
/// Returns why this is unknown: lower case, no full stop.
pub(crate) fn tracking(file: &Path) -> Result<Option<Tracking>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let listed = place.ask(&["--literal-pathspecs", "ls-files", "--cached", "--", &place.inside], b"")?;
    if !listed.status.success() {
        return Err(why(&listed));
    }
    if !listed.raw.is_empty() {
        return Ok(Some(Tracking::Tracked));
    }
    let ignored = place.ask(&["check-ignore", "--quiet", "--", &place.inside], b"")?;
    match ignored.status.code() {
        Some(0) => Ok(Some(Tracking::Ignored)),
        Some(1) => Ok(Some(Tracking::Untracked)),
        Some(_) | None => Err(why(&ignored)),
    }
}

/// The versions of a file that an unfinished merge left in git's index. One that a side or their
/// common ancestor doesn't have is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergeSides {
    /// The version that both sides come from.
    pub base: Option<Vec<u8>>,
    /// The checked-out side's version.
    pub ours: Option<Vec<u8>>,
    /// The other side's version.
    pub theirs: Option<Vec<u8>>,
}

/// Returns the sides of an unfinished merge of `file`; `None` if there is none, or no repository.
///
/// # Errors
/// Returns why this is unknown: lower case, no full stop.
pub(crate) fn merge_sides(file: &Path) -> Result<Option<MergeSides>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let queries: String = (1..=3).map(|stage| format!(":{stage}:{}\n", place.inside)).collect();
    let answer = place.ask_for(&["cat-file", "--batch"], queries.as_bytes(), FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let mut found = contents(&answer.raw).into_iter();
    let (base, ours, theirs) = (found.next().flatten(), found.next().flatten(), found.next().flatten());
    let is_unmerged = base.is_some() || ours.is_some() || theirs.is_some();
    Ok(is_unmerged.then_some(MergeSides { base, ours, theirs }))
}

/// Returns the values of git's attributes of `file`, in the order of `names`; `None` for one that
/// no line of `.gitattributes` sets. `None` without a repository.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn attributes(file: &Path, names: &[&str]) -> Result<Option<Vec<Option<String>>>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let query: Vec<&str> = ["check-attr", "-z"].iter().chain(names).copied().chain(["--", &place.inside]).collect();
    let answer = place.ask(&query, b"")?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let mut values = attribute_values(&answer).map(|(_, value)| Some(value).filter(|value| value != "unspecified"));
    Ok(Some(names.iter().map(|_| values.next().flatten().map(Cow::into_owned)).collect()))
}

/// Returns attributes and their values, from an answer of `check-attr -z`. A value that is not UTF-8 is
/// still none of the known ones.
pub(super) fn attribute_values(answer: &ProgramOutput) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    // A path, an attribute and its value, each with a NUL after it.
    let mut parts = answer.raw.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    std::iter::from_fn(move || {
        parts.next()?;
        Some((parts.next()?, parts.next()?))
    })
}

/// Returns a setting of git's for the checkout around `file`; `None` if it is not set, or without a
/// repository.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn setting(file: &Path, name: &str) -> Result<Option<String>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let answer = place.ask(&["config", "--get", name], b"")?;
    match answer.status.code() {
        Some(0) => Ok(Some(answer.said()?.trim_end().to_owned())),
        Some(1) => Ok(None),
        Some(_) | None => Err(why(&answer)),
    }
}

/// Returns the tracked files in the folder of `file` whose line endings differ between git and the
/// disk, with their paths from that folder; none without a repository.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn converted(file: &Path) -> Result<Vec<String>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(Vec::new()) };
    let folder = place.inside.rsplit_once('/').map(|(folder, _)| folder);
    let query = ["--literal-pathspecs", "ls-files", "--eol", "-z", "--", folder.unwrap_or(".")];
    let answer = place.ask_for(&query, b"", FILES)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let inside = |path: &str| match folder {
        Some(folder) => path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned),
        None => Some(path.to_owned()),
    };
    let lines = records(&answer.raw).filter_map(|line| line.split_once('\t'));
    Ok(lines.filter(|(facts, _)| is_converted(facts)).filter_map(|(_, path)| inside(path)).collect())
}

/// Reads a line such as `i/lf    w/crlf  attr/text=auto`: the endings in the index and on disk, and
/// the attributes. `-text` forbids a conversion, as Git LFS does.
fn is_converted(facts: &str) -> bool {
    let of = |prefix: &str| facts.split_whitespace().find_map(|word| word.strip_prefix(prefix));
    let (Some(index), Some(disk)) = (of("i/"), of("w/")) else { return false };
    let is_text = |endings: &str| matches!(endings, "lf" | "crlf" | "mixed");
    index != disk && is_text(index) && is_text(disk) && of("attr/") != Some("-text")
}

/// A file in a checkout.
#[derive(Debug)]
pub(super) struct CheckoutFile {
    /// The checkout's git folder.
    pub(super) private: PathBuf,
    /// The checkout's top folder.
    pub(super) top: PathBuf,
    /// The file's path below the top folder, with `/`.
    pub(super) inside: String,
}

impl CheckoutFile {
    pub(super) fn of(file: &Path) -> Result<Option<Self>, String> {
        // A folder that isn't made yet is in the next one that is.
        let Some(folder) = file.ancestors().skip(1).find(|folder| folder.is_dir()) else { return Ok(None) };
        let Ok(name) = file.strip_prefix(folder) else { return Ok(None) };
        let found = work_tree(folder).map_err(|unread| unread.to_string())?;
        let Some(WorkTree { top, git_folder: private }) = found else { return Ok(None) };
        let folder = own_file::resolved(folder).map_err(|error| format!("can't find {}: {error}", folder.display()))?;
        let below = folder.strip_prefix(&top).unwrap_or(&folder).join(name);
        let names: Option<Vec<&str>> = below.iter().map(OsStr::to_str).collect();
        let inside = names.map(|names| names.join("/")).filter(|path| !path.contains('\n'));
        let inside = inside.ok_or_else(|| format!("git can't be asked about the name {}", below.display()))?;
        Ok(Some(Self { private, top, inside }))
    }

    /// Returns the first contents of these by name, of which there may be several alike, within the
    /// limits for a history.
    fn contents<'a>(&self, blobs: impl Iterator<Item = (&'a str, u64)>) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let (mut names, mut left) = (Vec::new(), HISTORY);
        let mut seen = BTreeSet::new();
        for (name, size) in blobs.filter(|(name, _)| seen.insert(*name)).take(VERSIONS) {
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
            names.push(name);
        }
        let queries: String = names.iter().map(|name| format!("{name}\n")).collect();
        let answer = self.ask_for(&["cat-file", "--batch"], queries.as_bytes(), FILES)?;
        if !answer.status.success() {
            return Err(why(&answer));
        }
        let found = names.iter().zip(contents(&answer.raw));
        Ok(found.filter_map(|(name, content)| Some(((*name).to_owned(), content?))).collect())
    }

    pub(super) fn ask(&self, query: &[&str], input: &[u8]) -> Result<ProgramOutput, String> {
        self.ask_for(query, input, A_FEW_LINES)
    }

    pub(super) fn ask_for(&self, query: &[&str], input: &[u8], most: u64) -> Result<ProgramOutput, String> {
        // With both folders given, git accepts any owner of them, and no configuration leads it
        // elsewhere.
        let folders =
            [OsStr::new("--git-dir"), self.private.as_os_str(), OsStr::new("--work-tree"), self.top.as_os_str()];
        let options = ["-C".as_ref(), self.top.as_os_str(), "--no-pager".as_ref()];
        let off = SWITCHED_OFF.iter().chain([&NO_ADVICE]).flat_map(|setting| [OsStr::new("-c"), OsStr::new(*setting)]);
        let options = options.into_iter().chain(off).chain(folders);
        let arguments = options.chain(query.iter().map(OsStr::new));
        program::ask("git", arguments, ENVIRONMENT, INHERITED, input, (PATIENCE, most))
            .map_err(|error| format!("git can't be asked: {error}"))
    }
}

pub(super) fn why(answer: &ProgramOutput) -> String {
    format!("git says: {}", reason(&answer.complained).unwrap_or("nothing"))
}

/// Returns the line of git's complaints that says why it ended. Advice and warnings may stand before it.
fn reason(complained: &str) -> Option<&str> {
    let lines = || complained.lines().map(str::trim).filter(|line| !line.is_empty());
    let begins = |words: &str| lines().find(|line| line.starts_with(words));
    begins("fatal:").or_else(|| begins("error:")).or_else(|| lines().find(|line| !line.starts_with("hint:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failure_is_what_ended_git() {
        for (complained, wanted) in [
            ("hint: grafts\nhint: are old\nfatal: unable to read tree (1)\n", Some("fatal: unable to read tree (1)")),
            ("warning: odd\nerror: no object\nfatal: bad tree\nhint: x\n", Some("fatal: bad tree")),
            ("hint: x\nerror: no object\n", Some("error: no object")),
            ("hint: x\nsomething\n", Some("something")),
            ("\n", None),
        ] {
            assert_eq!(reason(complained), wanted);
        }
    }

    #[test]
    fn a_file_whose_line_endings_git_changed_is_recognized() {
        assert!(is_converted("i/lf    w/crlf  attr/text=auto"));
        assert!(is_converted("i/lf    w/mixed attr/"));
        assert!(!is_converted("i/lf    w/lf    attr/text=auto"));
        assert!(!is_converted("i/lf    w/-text attr/-text"), "a Git LFS pointer that is a file here");
        assert!(!is_converted("i/lf    w/crlf  attr/-text"));
        assert!(!is_converted("i/lf    w/      attr/"), "it is missing here");
        assert!(!is_converted(""));
    }
}
