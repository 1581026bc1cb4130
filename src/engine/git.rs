//! What git says of this checkout, read from its own files: whether files may be missing here that the branch has.
//!
//! Runs no program and never writes. What can't be read is said, not guessed. Read next: `gather`, the caller.
#![expect(clippy::disallowed_methods, reason = "this module reads git's configuration, which is no asset")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why files of the branch may be missing in the checkout around `folder`; `None` where it is whole, or none of git's.
pub fn partial(folder: &Path) -> Option<String> {
    match is_sparse(folder) {
        Ok(false) => None,
        Ok(true) => Some(
            "git checks out only a part of this branch's files (`git sparse-checkout list` shows which)".to_owned(),
        ),
        Err(Unread { path, source }) => {
            Some(format!("whether git checks out all files is unknown: can't read {}: {source}", path.display()))
        }
    }
}

/// A file of git's that could not be read.
struct Unread {
    path: PathBuf,
    source: io::Error,
}

fn is_sparse(folder: &Path) -> Result<bool, Unread> {
    let Some(private) = private_folder(folder)? else { return Ok(false) };
    // A worktree has its own state and shares the configuration.
    let shared = match read(&private.join("commondir"))? {
        Some(path) => private.join(path.trim()),
        None => private.clone(),
    };
    let config = read(&shared.join("config"))?.unwrap_or_default();
    let mut sparse = flag(&config, "core", "sparsecheckout");
    if flag(&config, "extensions", "worktreeconfig") == Some(true) {
        let own = read(&private.join("config.worktree"))?.unwrap_or_default();
        sparse = flag(&own, "core", "sparsecheckout").or(sparse);
    }
    // Without the list git checks out everything.
    let list = private.join("info").join("sparse-checkout");
    let listed = list.try_exists().map_err(|source| Unread { path: list, source })?;
    Ok(sparse == Some(true) && listed)
}

/// Git's folder of the checkout that `folder` lies in. In a worktree or a submodule `.git` is a file that says where it is.
fn private_folder(folder: &Path) -> Result<Option<PathBuf>, Unread> {
    let folder = fs::canonicalize(folder).map_err(|source| Unread { path: folder.to_owned(), source })?;
    for above in folder.ancestors() {
        let path = above.join(".git");
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Ok(Some(path)),
            Ok(_) => {
                let text = read(&path)?.unwrap_or_default();
                return Ok(text.strip_prefix("gitdir:").map(|place| above.join(place.trim())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Unread { path, source }),
        }
    }
    Ok(None)
}

/// The text of a file, or `None` when there is none.
fn read(path: &Path) -> Result<Option<String>, Unread> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unread { path: path.to_owned(), source }),
    }
}

/// A flag of a configuration; the last one counts (`git-config(1)`). `section` and `key` are in lower case.
fn flag(config: &str, section: &str, key: &str) -> Option<bool> {
    let mut inside = false;
    let mut found = None;
    for line in config.lines() {
        let mut line = line.trim_start();
        while let Some((header, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            inside = header.trim().eq_ignore_ascii_case(section);
            line = rest.trim_start();
        }
        let line = line.split(['#', ';']).next().unwrap_or("");
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if inside && name.trim().eq_ignore_ascii_case(key) {
            // A key alone is true.
            found = Some(value.is_none_or(is_true));
        }
    }
    found
}

fn is_true(value: &str) -> bool {
    let value = value.replace('"', "").trim().to_ascii_lowercase();
    matches!(value.as_str(), "true" | "yes" | "on") || value.parse::<i64>().is_ok_and(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_read_as_git_reads_it() {
        let check = |config: &str, expected: Option<bool>| {
            assert_eq!(flag(config, "core", "sparsecheckout"), expected, "{config:?}");
        };
        check("", None);
        check("[core]\n\tsparseCheckout = true\n", Some(true));
        check("[Core] SPARSECHECKOUT=\"yes\" # x\r\n", Some(true));
        check("[core]\nsparseCheckout\n", Some(true));
        check("[core]\nsparseCheckout = 1 ; x\n", Some(true));
        check("[core]\nsparseCheckout =\n", Some(false));
        check("[core]\nsparseCheckout = off\n", Some(false));
        check("[core]\nsparseCheckout = true\n[core]\nsparseCheckout = false\n", Some(false));
        check("[core \"x\"]\nsparseCheckout = true\n[x]\nsparseCheckout = true\n", None);
        check("[core]\n# sparseCheckout = true\nsparseCheckoutCone = true\n", None);
    }

    /// Writes files below a new folder and says what is known of `at`.
    fn check(at: &str, files: &[(&str, &str)], expected: bool) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(at)).unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let why = partial(&root.path().join(at));
        assert_eq!(
            why.as_deref().is_some_and(|why| why.contains("sparse-checkout list")),
            expected,
            "{why:?}: {files:?}"
        );
        assert!(expected || why.is_none(), "{why:?}");
    }

    #[test]
    fn a_sparse_checkout_is_found_however_git_keeps_it() {
        const ON: &str = "[core]\nsparseCheckout = true\n";
        let list = |folder: &str| format!("{folder}/info/sparse-checkout");
        check("a", &[(".git/HEAD", "")], false);
        check("a/b", &[(".git/config", ON)], false);
        check("a/b", &[(".git/config", ON), (&list(".git"), "/*\n")], true);
        check("a", &[(".git/config", "[core]\n"), (&list(".git"), "/*\n")], false);
        let own = "[extensions]\nworktreeConfig = true\n";
        check("a", &[(".git/config", own), (".git/config.worktree", ON), (&list(".git"), "")], true);
        check("a", &[(".git/config", "[core]\n"), (".git/config.worktree", ON), (&list(".git"), "")], false);
        let off = "[core]\nsparseCheckout = false\n";
        let on = format!("{ON}{own}");
        check("a", &[(".git/config", &on), (".git/config.worktree", off), (&list(".git"), "")], false);

        let worktree = "main/.git/worktrees/w";
        let (common, own_config) = (format!("{worktree}/commondir"), format!("{worktree}/config.worktree"));
        let linked =
            [("w/.git", "gitdir: ../main/.git/worktrees/w\n"), ("main/.git/config", own), (common.as_str(), "../..\n")];
        check("w/game", &[&linked[..], &[(&own_config, ON), (&list(worktree), "")]].concat(), true);
        check("w/game", &[&linked[..], &[(&own_config, ON), (&list("main/.git"), "")]].concat(), false);
        check("main", &[&linked[..], &[(&own_config, ON), (&list(worktree), "")]].concat(), false);

        let module = [("a/sub/.git", "gitdir: ../../.git/modules/sub\n"), (".git/modules/sub/config", ON)];
        check("a/sub", &[&module[..], &[(&list(".git/modules/sub"), "")]].concat(), true);
        check("a", &[&module[..], &[(&list(".git/modules/sub"), "")]].concat(), false);
    }

    #[test]
    fn what_cant_be_read_is_not_taken_for_whole() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(".git/config")).unwrap();
        let why = partial(root.path()).unwrap();
        assert!(why.contains("unknown") && why.contains("config"), "{why}");
    }
}
