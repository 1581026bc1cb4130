//! The place of a manifest's state, and of everything else that isn't for git. No other code knows
//! it.
//!
//! In a git checkout it is `.git/macadam/` of that work tree. For a linked work tree or a
//! submodule, it is in the folder that its `.git` names. `git clean` doesn't reach it there, and
//! git checks nothing out into it, so no pull request can plant a file or a link. Elsewhere it is
//! `.macadam/` beside the manifest.
//!
//! Each manifest has its own path: below the git folder, it mirrors the manifest's path from the
//! top of the work tree. Dots in the names of folders are escaped there (as `%2e`). So no folder
//! has the name of a file of Macadam's, which all contain a dot.
//!
//! It only reads and never writes. Read next: [`crate::engine::workspace::git`] for how a checkout
//! is found, [`crate::engine::workspace::project`] for the caller.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::engine::workspace::git::{self, WorkTree, WorkTreeError};
use crate::platform::own_file;

/// The folder's name beside a manifest outside git.
pub(crate) const BESIDE: &str = ".macadam";

/// The folder's name in git's folder.
const IN_GIT: &str = "macadam";

/// The subfolder for the state, lockfile and data of the embedded emulator.
const EMULATOR: &str = "emulator";

/// The folder of the state for the manifests of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StateFolder {
    /// In git's folder.
    OfGit(PathBuf),
    /// Beside the manifest.
    Beside(PathBuf),
}

impl StateFolder {
    /// Returns the folder for the manifests in `root`.
    ///
    /// # Errors
    /// When it is unknown whether `root` is in a git checkout.
    pub(crate) fn of(root: &Path) -> Result<Self, WorkTreeError> {
        let found = match git::work_tree(root) {
            // Reading the manifest reports a missing folder.
            Err(WorkTreeError::Read { path, source }) if path == root && source.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::beside(root));
            }
            found => found?,
        };
        let Some(WorkTree { top, git_folder }) = found else { return Ok(Self::beside(root)) };
        let inside = own_file::resolved(root)
            .map_err(|source| WorkTreeError::Read { path: root.to_owned(), source })?
            .strip_prefix(&top)
            .map(Path::to_owned)
            .unwrap_or_default();
        let mut folder = git_folder.join(IN_GIT);
        let names = inside.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        folder.extend(names.map(without_dots));
        Ok(Self::OfGit(folder))
    }

    /// Returns the folder beside the manifests in `root`, whether or not there is a checkout.
    pub(crate) fn beside(root: &Path) -> Self {
        Self::Beside(root.join(BESIDE))
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::OfGit(path) | Self::Beside(path) => path,
        }
    }

    /// Returns the state's path for `manifest`, of which only the name counts.
    pub(crate) fn state(&self, manifest: &Path) -> PathBuf {
        let name = match self {
            // The whole name counts: `assets.toml` and `assets.json` are two manifests.
            Self::OfGit(_) => manifest.file_name(),
            Self::Beside(_) => manifest.file_stem(),
        };
        let mut name = name.unwrap_or_default().to_owned();
        name.push(".db");
        self.path().join(name)
    }

    /// Returns the path of the state for a server that isn't the first of the project, whose state
    /// is at `first`. No folder of the work tree has a name with a dot there.
    pub(crate) fn state_of_server(&self, server: &str, first: &Path) -> PathBuf {
        let escaped = |c: char| match c {
            c if c.is_ascii_alphanumeric() || c == '-' || c == '.' => c.to_string(),
            c => format!("%{:02x}", u32::from(c)),
        };
        let folder = format!("server.{}", server.chars().map(escaped).collect::<String>());
        self.path().join(folder).join(first.file_name().unwrap_or_default())
    }

    /// Returns the folder for the embedded emulator.
    pub(crate) fn emulator(&self) -> PathBuf {
        self.path().join(EMULATOR)
    }
}

/// Returns the manifests of a work tree of which its `git_folder` has a state, by their paths from the
/// top folder. Those whose folders have names that are escaped, but for dots, are left out.
pub(crate) fn manifests(git_folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(git_folder.join(IN_GIT), String::new())];
    while let Some((folder, inside)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A folder with a dot belongs to another server.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && name != EMULATOR && !name.contains('.') {
                folders.push((entry.path(), format!("{inside}{}/", name.replace("%2e", "."))));
            } else if let Some(manifest) = name.strip_suffix(".db").filter(|_| !is_folder) {
                found.push(format!("{inside}{manifest}"));
            }
        }
    }
    found
}

/// Returns an escaped name for a folder of the work tree. It never equals the name of a file of
/// Macadam's or the emulator's folder, and no two folders share one. A name that is not UTF-8 is
/// escaped byte by byte.
fn without_dots(name: &OsStr) -> OsString {
    let escaped = |byte: u8| format!("%{byte:02x}");
    let text = match name.to_str() {
        // Covers every spelling on a disk that ignores case.
        Some(name) if name.eq_ignore_ascii_case(EMULATOR) => {
            name.bytes().map(escaped).take(1).chain(name.get(1..).map(str::to_owned)).collect()
        }
        Some(name) => name.replace('%', "%25").replace('.', "%2e"),
        None => name
            .as_encoded_bytes()
            .iter()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { escaped(*byte) })
            .collect(),
    };
    text.into()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;

    fn checkout(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            match name.strip_suffix('/') {
                Some(_) => std::fs::create_dir_all(path).unwrap(),
                None => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    let text = if name.ends_with("/.git") { "gitdir: ../main/.git/worktrees/w\n" } else { "" };
                    std::fs::write(path, text).unwrap();
                }
            }
        }
        folder
    }

    const MAIN: [&str; 3] = ["main/.git/HEAD", "main/.git/objects/", "main/game/a.b/"];

    #[track_caller]
    fn check(files: &[&str], root: &str, expected: &str) {
        let folder = checkout(files);
        let base = own_file::resolved(folder.path()).unwrap();
        let found = StateFolder::of(&base.join(root)).unwrap();
        assert_eq!(found.path(), base.join(expected), "{files:?}");
        assert_eq!(matches!(found, StateFolder::OfGit(_)), !expected.ends_with(BESIDE));
    }

    #[test]
    fn the_state_is_in_the_git_folder_or_beside_the_manifest() {
        check(&["a/"], "a", "a/.macadam");
        check(&MAIN, "main", "main/.git/macadam");
        check(&MAIN, "main/game", "main/.git/macadam/game");
        check(&MAIN, "main/game/a.b", "main/.git/macadam/game/a%2eb");
        let linked = [&MAIN[..], &["w/.git", "w/x/", "main/.git/worktrees/w/HEAD", "main/.git/worktrees/w/commondir"]];
        check(&linked.concat(), "w/x", "main/.git/worktrees/w/macadam/x");
        // An empty `.git` is not a git folder; git looks further up.
        check(&["a/.git/"], "a", "a/.macadam");
        check(&[&MAIN[..], &["main/game/.git/"]].concat(), "main/game", "main/.git/macadam/game");
        // Reading the manifest reports the missing folder.
        check(&MAIN, "main/gone", "main/gone/.macadam");
    }

    #[test]
    fn a_git_file_that_leads_nowhere_is_an_error() {
        let folder = checkout(&["w/.git"]);
        let error = StateFolder::of(&folder.path().join("w")).unwrap_err();
        assert!(matches!(error, WorkTreeError::Broken { .. }), "{error:?}");
        std::fs::write(folder.path().join("w/.git"), "gitdir:\n").unwrap();
        let error = StateFolder::of(&folder.path().join("w")).unwrap_err();
        assert!(matches!(error, WorkTreeError::NoPointer { .. }), "{error:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_in_the_place_of_git_is_refused_at_once() {
        let folder = checkout(&["a/"]);
        let path = folder.path().join("a/.git");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let error = StateFolder::of(&folder.path().join("a")).unwrap_err();
        assert!(matches!(error, WorkTreeError::Read { .. }), "{error:?}");
    }

    #[test]
    fn no_two_manifests_share_a_path_and_none_is_in_the_way_of_another() {
        let roots = [
            "",
            "a",
            "a/b",
            "a.b",
            "a%2eb",
            "a%252eb",
            "emulator",
            "Emulator",
            "%65mulator",
            "assets.toml.db",
            "a/emulator",
        ];
        let manifests = ["assets.toml", "assets.json", "assets", "a", "emulator", "assets.toml.db", ".toml"];
        let mut paths = std::collections::BTreeSet::new();
        for root in roots {
            let names = Path::new(root).components().map(|part| without_dots(part.as_os_str()));
            let folder = StateFolder::OfGit([OsString::from("m")].into_iter().chain(names).collect());
            for manifest in manifests {
                paths.insert(folder.state(Path::new(manifest)));
                assert!(paths.insert(folder.emulator().join(manifest)), "{root} {manifest}");
            }
        }
        assert_eq!(paths.len(), roots.len() * manifests.len() * 2);
        for path in &paths {
            assert!(!path.ancestors().skip(1).any(|above| paths.contains(above)), "{path:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_escaped_by_byte() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(without_dots(OsStr::from_bytes(b"a\xff.")), "a%ff%2e");
        assert_eq!(without_dots(OsStr::from_bytes(b"a%ff.")), "a%25ff%2e");
    }
}
