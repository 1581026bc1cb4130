//! What an earlier commit had: which files, and which of the contents that files have now.
//!
//! It needs the commit's list of files; a partial clone lacks the files themselves. What git keeps of a
//! file may differ from the file. Other ends of lines and the usual pointers of Git LFS are known without
//! git, other pointers are read; where another filter may have made something of a file, a content counts as one that the commit
//! may have. No program of a filter runs. Read next: [`super::filters`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ask::{CheckoutFile, FILES, records, why};
use super::filters::{ATTRIBUTES, Filters};
use super::lfs_pointers::LfsPointers;
use super::tracked::{ignored, inside, prefix};
use crate::files::{GitObjects, ObjectFormat};
use crate::model::file::FileFacts;
use crate::model::path::{ProjectPath, composed};

/// Files of which a commit tells something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct EarlierFiles {
    /// Those that the commit has, and those of which git tells nothing since it ignores them.
    pub existed: BTreeSet<ProjectPath>,
    /// Those whose content the commit has or may have, by whatever name.
    pub known_content: BTreeSet<ProjectPath>,
}

/// Returns those of `files`, of the project around `manifest`, of which `commit` tells something. Each
/// comes with what is known of its content, or `None` if that doesn't matter. Blocks: it runs git, and
/// reads the files whose content the commit doesn't have under their name.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn files_at<'a>(
    manifest: &Path,
    commit: &str,
    files: impl Iterator<Item = (&'a ProjectPath, Option<&'a FileFacts>)>,
) -> Result<EarlierFiles, String> {
    let Some(place) = CheckoutFile::of(manifest)? else { return Ok(EarlierFiles::default()) };
    let prefix = prefix(&place);
    let folder = if prefix.is_empty() { "." } else { prefix.as_str() };
    // The attributes of the folders above count as well.
    let above = prefix.match_indices('/').map(|(end, _)| prefix.get(..end).unwrap_or_default());
    let above = above.map(|folder| folder.rsplit_once('/').map_or("", |(up, _)| up));
    let above: Vec<String> = above.map(|up| format!("{up}/{ATTRIBUTES}").trim_start_matches('/').to_owned()).collect();
    let paths: Vec<&str> = above.iter().map(String::as_str).chain([folder]).collect();
    let list = |query: &[&str]| {
        let answer =
            place.ask_for(&[&["--literal-pathspecs"], query, &["--"], paths.as_slice()].concat(), b"", FILES)?;
        if answer.status.success() { Ok(answer.raw) } else { Err(why(&answer)) }
    };
    let (then, now) =
        (list(&["ls-tree", "-r", "-z", "--full-tree", commit])?, list(&["ls-files", "--stage", "-v", "-z"])?);
    // Git compares the content of a file whose times changed, and would run a filter for that.
    let filters = Filters::of(&place)?;
    let without_filters: Vec<&str> = filters.switched_off().iter().flat_map(|off| ["-c", off]).collect();
    let edited = list(&[&without_filters, &["ls-files", "--modified", "-z"][..]].concat())?;
    // A mode, a type and an object.
    let then = objects(&then, |facts| facts.split(' ').nth(2));
    // A tag, a mode, an object and a stage. Git doesn't look at a file with another tag, and keeps of
    // a link the path that it leads to.
    let now = objects(&now, |facts| match facts.split(' ').collect::<Vec<_>>()[..] {
        ["H", "100644" | "100755", object, "0"] => Some(Some(object)),
        _ => Some(None),
    });
    let edited: BTreeSet<String> = records(&edited).map(|path| composed(path).into_owned()).collect();
    let contents: BTreeSet<&str> = then.values().copied().collect();
    let mut found = EarlierFiles::default();
    let (mut unknown, mut unsure) = (BTreeMap::new(), Vec::new());
    for (path, facts) in files {
        let name = inside(&prefix, path).into_owned();
        let after = now.get(&name);
        if then.contains_key(&name) {
            found.existed.insert(path.clone());
        } else if after.is_none() {
            unknown.insert(name.clone(), path);
        }
        let Some(facts) = facts else { continue };
        let in_index = after.copied().flatten().filter(|_| !edited.contains(&name));
        if in_index.is_some_and(|object| contents.contains(object)) {
            found.known_content.insert(path.clone());
        } else {
            unsure.push(UnsureFile { path, name, facts });
        }
    }
    if !unknown.is_empty() {
        let ignored: BTreeSet<String> = ignored(&place, unknown.keys().map(String::as_str))?.into_iter().collect();
        for path in ignored.iter().filter_map(|name| unknown.get(name)) {
            found.existed.insert(ProjectPath::clone(path));
            found.known_content.insert(ProjectPath::clone(path));
        }
        unsure.retain(|file| !ignored.contains(&file.name));
    }
    let root = manifest.parent().unwrap_or(manifest);
    let (known, new): (Vec<_>, Vec<_>) = with_content(root, &contents, unsure)?;
    found.known_content.extend(known.into_iter().map(|file| file.path.clone()));
    if !new.is_empty() {
        let pointers = LfsPointers::among(&place, &contents)?;
        let (known, new): (Vec<_>, Vec<_>) = new.into_iter().partition(|file| pointers.has(file.facts.hash));
        found.known_content.extend(known.into_iter().map(|file| file.path.clone()));
        let is_attributes = |name: &&String| name.rsplit('/').next() == Some(ATTRIBUTES);
        let attributes = then.iter().filter(|(name, _)| is_attributes(name)).map(|(_, object)| *object);
        let paths = then.keys().chain(new.iter().map(|file| &file.name)).map(String::as_str);
        if pointers.may_lack_one(filters.has_lfs_extension())
            || filters.may_have_changed_files(&place, attributes, paths)?
        {
            found.known_content.extend(new.into_iter().map(|file| file.path.clone()));
        }
    }
    Ok(found)
}

/// A file whose content is not that of an object which the commit has.
struct UnsureFile<'a> {
    path: &'a ProjectPath,
    /// Its path in the checkout.
    name: String,
    facts: &'a FileFacts,
}

/// Splits these files into those of whose bytes git makes one of the earlier `contents`, or that can't
/// be read, and the others.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
fn with_content<'a>(
    root: &Path,
    contents: &BTreeSet<&str>,
    files: Vec<UnsureFile<'a>>,
) -> Result<(Vec<UnsureFile<'a>>, Vec<UnsureFile<'a>>), String> {
    let Some(one) = contents.first() else { return Ok((Vec::new(), files)) };
    // Names have 40 or 64 digits.
    let format = if one.len() == 40 { ObjectFormat::Sha1 } else { ObjectFormat::Sha256 };
    let unread = |error| format!("can't read {}: {error}", root.display());
    let mut objects = GitObjects::new(root, format).map_err(unread)?;
    let mut is_known = |file: &UnsureFile<'_>| {
        let FileFacts { size, hash, .. } = file.facts;
        contents.contains(objects.of_lfs_pointer(*hash, *size).as_str())
            || objects
                .of_file(file.path)
                .map_or(true, |names| names.iter().any(|name| contents.contains(name.as_str())))
    };
    Ok(files.into_iter().partition(|file| is_known(file)))
}

/// Reads a list of files, each with its facts before a tab.
fn objects<'a, T>(list: &'a [u8], object: impl Fn(&'a str) -> Option<T>) -> BTreeMap<String, T> {
    let lines = records(list).filter_map(|line| line.split_once('\t'));
    lines.filter_map(|(facts, path)| Some((composed(path).into_owned(), object(facts)?))).collect()
}

/// Returns whether `commit` has `file`, also where its content is not here.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn has(file: &Path, commit: &str) -> Result<bool, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(false) };
    let query = ["--literal-pathspecs", "ls-tree", "--full-tree", "--name-only", commit, "--", &place.inside];
    let answer = place.ask(&query, b"")?;
    if answer.status.success() { Ok(!answer.raw.is_empty()) } else { Err(why(&answer)) }
}

/// Returns the content that `file` had at `commit`; `None` if it had none, or it is not here.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn content(file: &Path, commit: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let answer = place.ask_for(&["cat-file", "blob", &format!("{commit}:{}", place.inside)], b"", FILES)?;
    Ok(answer.status.success().then_some(answer.raw))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;
    use crate::engine::workspace::git::tests::git;
    use crate::files;
    use crate::model::asset::FileFormat;
    use crate::model::file::ContentFacts;
    use crate::model::foreign_hash::HashKind;

    /// What `git -c` needs to take a file into the index through a filter. Macadam never runs it.
    const ROT: &str = "filter.rot.clean=tr a-z n-za-m";

    /// A checkout with these files in its first commit, in the folder `game`.
    fn committed(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "-b", "main"]);
        write(&folder, files);
        commit(&folder);
        git(folder.path(), &["tag", "one"]);
        folder
    }

    fn commit(folder: &tempfile::TempDir) {
        git(folder.path(), &["-c", ROT, "add", "-A"]);
        git(folder.path(), &["commit", "-qm", "files"]);
    }

    fn rename(folder: &tempfile::TempDir, from: &str, to: &str) {
        std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
    }

    /// The usual pointer of Git LFS.
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:HASH\nsize SIZE\n";

    /// Puts the usual pointer of Git LFS into the index, in place of the bytes of `name`.
    fn point(folder: &tempfile::TempDir, name: &str) {
        point_as(folder, name, POINTER);
    }

    /// Puts a pointer of this form into the index, and returns the name of its object.
    fn point_as(folder: &tempfile::TempDir, name: &str, form: &str) -> String {
        let FileFacts { size, hash, .. } = facts(&folder.path().join("game"), &path(name));
        let text = form.replace("HASH", &hash.to_string()).replace("SIZE", &size.to_string());
        write(folder, &[(".git/pointer", &text)]);
        let object = git(folder.path(), &["hash-object", "-w", "--no-filters", ".git/pointer"]);
        git(folder.path(), &["update-index", "--add", "--cacheinfo", &format!("100644,{object},game/{name}")]);
        object
    }

    fn path(text: &str) -> ProjectPath {
        ProjectPath::new(text).unwrap()
    }

    fn facts(root: &Path, path: &ProjectPath) -> FileFacts {
        let hashes = files::foreign_hashes(root, std::slice::from_ref(path), HashKind::Sha256);
        let hash = hashes.into_values().next().unwrap().unwrap().content;
        let size = std::fs::metadata(root.join(path.as_str())).unwrap().len();
        FileFacts { size, hash, format: FileFormat::Png, content: ContentFacts::Opaque }
    }

    fn write(folder: &tempfile::TempDir, files: &[(&str, &str)]) {
        for (name, content) in files {
            let place = folder.path().join(name);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, content).unwrap();
        }
    }

    /// Which of these files the first commit has, and which contents it has or may have.
    #[track_caller]
    fn check(folder: &tempfile::TempDir, asked: &[&str], existed: &[&str], known_content: &[&str]) {
        let paths = asked.iter().copied().map(path);
        let root = folder.path().join("game");
        let files: Vec<(ProjectPath, FileFacts)> = paths.map(|path| (path.clone(), facts(&root, &path))).collect();
        let files = files.iter().map(|(path, facts)| (path, Some(facts)));
        let found = files_at(&root.join("assets.toml"), "one", files).unwrap();
        let texts = |paths: &BTreeSet<ProjectPath>| paths.iter().map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&found.existed), existed, "{asked:?}");
        assert_eq!(texts(&found.known_content), known_content, "{asked:?}");
    }

    #[test]
    fn a_content_is_known_under_every_name() {
        let files =
            [("game/assets.toml", ""), ("game/a.mesh", "one"), ("game/b.mesh", "two"), (".gitignore", "built\n")];
        let folder = committed(&files);
        check(&folder, &["a.mesh", "b.mesh"], &["a.mesh", "b.mesh"], &["a.mesh", "b.mesh"]);
        git(folder.path(), &["mv", "game/b.mesh", "game/moved.mesh"]);
        write(&folder, &[("game/a.mesh", "six"), ("game/copy.mesh", "one"), ("game/new.mesh", "ten")]);
        write(&folder, &[("game/built/x.mesh", "elf")]);
        let asked = ["a.mesh", "built/x.mesh", "copy.mesh", "moved.mesh", "new.mesh"];
        let known = ["built/x.mesh", "copy.mesh", "moved.mesh"];
        check(&folder, &asked, &["a.mesh", "built/x.mesh"], &known);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "-qm", "two"]);
        check(&folder, &asked, &["a.mesh", "built/x.mesh"], &known);
        // An edit that git was told not to see.
        git(folder.path(), &["update-index", "--assume-unchanged", "game/a.mesh"]);
        write(&folder, &[("game/a.mesh", "one")]);
        check(&folder, &["a.mesh"], &["a.mesh"], &["a.mesh"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_has_the_content_of_its_file() {
        let folder = committed(&[("game/assets.toml", ""), ("game/a.mesh", "one")]);
        std::os::unix::fs::symlink("a.mesh", folder.path().join("game/link.mesh")).unwrap();
        git(folder.path(), &["add", "."]);
        check(&folder, &["link.mesh"], &[], &["link.mesh"]);
    }

    /// A place of the attribute, before the first commit; what happens afterwards to `a.mesh`, which is
    /// `b.mesh` then.
    #[cfg(unix)]
    #[track_caller]
    fn check_moved_out_of_a_filter(place: &str, line: &str, change: &dyn Fn(&tempfile::TempDir)) {
        let folder = committed(&[("game/assets.toml", "")]);
        write(&folder, &[(place, line), ("game/a.mesh", "one")]);
        if place == "attributes" {
            git(folder.path(), &["config", "core.attributesFile", folder.path().join(place).to_str().unwrap()]);
        }
        // Attributes that git keeps nothing of count as well.
        git(folder.path(), &["-c", ROT, "add", "game", if place == ".gitattributes" { place } else { "game" }]);
        git(folder.path(), &["commit", "-qm", "files"]);
        git(folder.path(), &["tag", "-f", "one"]);
        rename(&folder, "game/a.mesh", "game/b.mesh");
        change(&folder);
        check(&folder, &["b.mesh"], &[], &["b.mesh"]);
        commit(&folder);
        check(&folder, &["b.mesh"], &[], &["b.mesh"]);
    }

    #[cfg(unix)]
    #[test]
    fn known_bytes_wait_where_a_filter_kept_them_otherwise() {
        check_moved_out_of_a_filter(".gitattributes", "game/a.mesh filter=rot\n", &|_| {});
        check_moved_out_of_a_filter(".gitattributes", "*.mesh filter=rot\n", &|folder| {
            write(folder, &[(".gitattributes", "")]);
        });
        check_moved_out_of_a_filter(".gitattributes", "[attr]big filter=rot\n*.mesh big\n", &|folder| {
            write(folder, &[(".gitattributes", "[attr]big filter=rot\n")]);
        });
        check_moved_out_of_a_filter(".git/info/attributes", "game/a.mesh filter=rot\n", &|_| {});
        check_moved_out_of_a_filter("attributes", "a.mesh filter=rot\n", &|_| {});
        // Nothing but the configuration of the clone tells of it any more.
        check_moved_out_of_a_filter(".git/info/attributes", "*.mesh filter=rot\n", &|folder| {
            write(folder, &[(".git/info/attributes", "")]);
            let (key, command) = ROT.split_once('=').unwrap();
            git(folder.path(), &["config", key, command]);
        });
    }

    #[cfg(unix)]
    #[test]
    fn new_bytes_wait_wherever_a_filter_may_have_kept_them() {
        let attributes = (".gitattributes", "*.mesh filter=rot\n");
        let folder = committed(&[attributes, ("game/assets.toml", ""), ("game/a.mesh", "one")]);
        check(&folder, &["a.mesh"], &["a.mesh"], &["a.mesh"]);
        write(&folder, &[("game/a.mesh", "six"), ("game/b.wav", "elf")]);
        check(&folder, &["a.mesh", "b.wav"], &["a.mesh"], &["a.mesh", "b.wav"]);
    }

    /// The name that a text with replacements would have is that of another file, which git ignores.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_not_utf8_is_no_other_files() {
        use std::os::unix::ffi::OsStrExt as _;

        let folder = committed(&[("game/assets.toml", ""), ("game/a.mesh", "one")]);
        let odd = folder.path().join("game").join(std::ffi::OsStr::from_bytes(b"x\xff.mesh"));
        std::fs::write(&odd, "odd").unwrap();
        git(folder.path(), &["add", "-A"]);
        git(folder.path(), &["commit", "-qm", "odd"]);
        write(&folder, &[("game/x\u{fffd}.mesh", "new"), (".git/info/exclude", "*.mesh\n")]);
        check(&folder, &["x\u{fffd}.mesh"], &["x\u{fffd}.mesh"], &["x\u{fffd}.mesh"]);
        git(folder.path(), &["tag", "-f", "one"]);
        write(&folder, &[(".git/info/exclude", "")]);
        check(&folder, &["x\u{fffd}.mesh"], &[], &[]);
    }

    #[test]
    fn git_lfs_is_known_by_its_pointers() {
        let attributes = (".gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n");
        let folder = committed(&[("game/assets.toml", ""), ("game/raw.png", "raw")]);
        write(&folder, &[attributes, ("game/a.png", "two")]);
        point(&folder, "a.png");
        git(folder.path(), &["commit", "-qm", "files"]);
        git(folder.path(), &["tag", "-f", "one"]);
        // Under another name, out of the pattern, changed, and new.
        write(&folder, &[("game/b.png", "two"), ("game/c.mesh", "two"), ("game/a.png", "ten"), ("game/d.wav", "elf")]);
        let asked = ["a.png", "b.png", "c.mesh", "d.wav"];
        check(&folder, &asked, &["a.png"], &["b.png", "c.mesh"]);
        point(&folder, "a.png");
        point(&folder, "b.png");
        git(folder.path(), &["commit", "-qm", "files"]);
        check(&folder, &asked, &["a.png"], &["b.png", "c.mesh"]);
        write(&folder, &[(".gitattributes", "")]);
        check(&folder, &asked, &["a.png"], &["b.png", "c.mesh"]);
        // It was kept as it is before it came under the pattern.
        write(&folder, &[attributes]);
        rename(&folder, "game/raw.png", "game/moved.png");
        point(&folder, "moved.png");
        check(&folder, &["moved.png"], &[], &["moved.png"]);
        // A filter of that name that is another program.
        git(folder.path(), &["config", "filter.lfs.clean", "base64"]);
        check(&folder, &["d.wav"], &[], &["d.wav"]);
    }

    #[test]
    fn a_pointer_of_git_lfs_is_known_in_every_form() {
        let attributes = (".gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n");
        let other = "f".repeat(64);
        let extended =
            format!("version https://git-lfs.github.com/spec/v1\next-0-case sha256:HASH\noid sha256:{other}\nsize 7\n");
        for form in [
            "version https://hawser.github.com/spec/v1\noid sha256:HASH\nsize SIZE\n",
            "version http://git-media.io/v/2\noid sha256:HASH\nsize SIZE\n",
            &POINTER.replace('\n', "\r\n"),
            POINTER.trim_end(),
            &extended,
        ] {
            let folder = committed(&[attributes, ("game/assets.toml", "")]);
            write(&folder, &[("game/a.png", "two")]);
            point_as(&folder, "a.png", form);
            git(folder.path(), &["commit", "-qm", "files"]);
            git(folder.path(), &["tag", "-f", "one"]);
            // Under another name, in the index too, and new.
            rename(&folder, "game/a.png", "game/b.png");
            write(&folder, &[("game/c.png", "six")]);
            check(&folder, &["b.png", "c.png"], &[], &["b.png"]);
            point_as(&folder, "b.png", form);
            git(folder.path(), &["commit", "-qam", "moved"]);
            check(&folder, &["b.png", "c.png"], &[], &["b.png"]);
        }
    }

    #[test]
    fn where_a_pointer_is_not_here_that_may_have_any_form_new_bytes_wait() {
        let attributes = (".gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n");
        for (form, is_extended, waits) in
            [(POINTER, false, false), (POINTER, true, true), (POINTER.trim_end(), false, true)]
        {
            let folder = committed(&[attributes, ("game/assets.toml", "")]);
            write(&folder, &[("game/a.png", "two"), ("game/b.png", "ten")]);
            point_as(&folder, "a.png", form);
            let lost = point_as(&folder, "b.png", form);
            git(folder.path(), &["commit", "-qm", "files"]);
            git(folder.path(), &["tag", "-f", "one"]);
            let (start, rest) = lost.split_at(2);
            std::fs::remove_file(folder.path().join(".git/objects").join(start).join(rest)).unwrap();
            if is_extended {
                git(folder.path(), &["config", "lfs.extension.case.clean", "upper"]);
            }
            write(&folder, &[("game/c.png", "six")]);
            let known: &[&str] = if waits { &["c.png"] } else { &[] };
            check(&folder, &["c.png"], &[], known);
        }
    }

    #[test]
    fn ends_of_lines_are_those_of_git_and_those_of_the_disk() {
        let attributes = (".gitattributes", "*.mesh text=auto\n");
        let folder = committed(&[attributes, ("game/assets.toml", ""), ("game/a.mesh", "one\n")]);
        write(&folder, &[("game/b.mesh", "one\r\n"), ("game/c.mesh", "one\n"), ("game/d.mesh", "two\r\n")]);
        check(&folder, &["b.mesh", "c.mesh", "d.mesh"], &[], &["b.mesh", "c.mesh"]);
        commit(&folder);
        check(&folder, &["b.mesh", "c.mesh", "d.mesh"], &[], &["b.mesh", "c.mesh"]);
    }

    #[test]
    fn known_bytes_are_known_whatever_changes_the_ends_of_lines() {
        for attributes in ["game/a.mesh text eol=crlf\n", "*.mesh text eol=crlf\n", ""] {
            let folder = committed(&[(".gitattributes", attributes), ("game/assets.toml", "")]);
            git(folder.path(), &["config", "core.autocrlf", "true"]);
            write(&folder, &[("game/a.mesh", "one\r\ntwo\r\n")]);
            commit(&folder);
            git(folder.path(), &["tag", "-f", "one"]);
            rename(&folder, "game/a.mesh", "game/b.mesh");
            git(folder.path(), &["config", "core.autocrlf", "false"]);
            write(&folder, &[(".gitattributes", attributes.strip_prefix("*.mesh").map_or(attributes, |_| ""))]);
            check(&folder, &["b.mesh"], &[], &["b.mesh"]);
            commit(&folder);
            check(&folder, &["b.mesh"], &[], &["b.mesh"]);
        }
    }

    /// Returns a checkout whose configuration names a filter for every file, and the file that the
    /// filter's program makes.
    #[cfg(unix)]
    fn with_evil_filter(name: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = committed(&[("game/assets.toml", ""), ("game/a.mesh", "one")]);
        std::fs::write(folder.path().join(".gitattributes"), [b"* filter=", name, b"\n"].concat()).unwrap();
        git(folder.path(), &["add", "-A"]);
        git(folder.path(), &["commit", "-qm", "files"]);
        git(folder.path(), &["tag", "-f", "one"]);
        let (config, mark) = (folder.path().join(".git/config"), folder.path().join("ran"));
        let command = format!("\"touch '{}'; cat\"\n", mark.display());
        let mut text = std::fs::read(&config).unwrap();
        text.extend([b"[filter \"", name, b"\"]\nrequired = true\n"].concat());
        ["clean", "process"].iter().for_each(|key| text.extend(format!("{key} = {command}").bytes()));
        std::fs::write(&config, text).unwrap();
        (folder, mark)
    }

    #[cfg(unix)]
    #[test]
    fn no_program_of_a_filter_runs_that_has_no_name_in_utf8() {
        for name in [b"ev\xff", b"\xef\xbf\xbd\xff".as_slice()] {
            let (folder, mark) = with_evil_filter(name);
            write(&folder, &[("game/a.mesh", "six")]);
            let (root, path) = (folder.path().join("game"), path("a.mesh"));
            let facts = facts(&root, &path);
            let why = files_at(&root.join("assets.toml"), "one", [(&path, Some(&facts))].into_iter()).unwrap_err();
            assert!(!mark.exists(), "{name:?}");
            assert!(why.contains("can't be switched off"), "{why}");
        }
    }

    /// Git compares a file whose times changed, and runs the filter that the repository names.
    #[cfg(unix)]
    #[test]
    fn no_program_of_a_filter_runs() {
        let (folder, mark) = with_evil_filter(b"evil");
        // The same bytes, and the same length.
        for text in ["one", "six"] {
            write(&folder, &[("game/a.mesh", text), (".gitattributes", "* filter=evil\n"), ("game/b.mesh", "ten")]);
            let known: &[&str] = &["a.mesh", "b.mesh"];
            check(&folder, &["a.mesh", "b.mesh"], &["a.mesh"], known);
            assert!(!mark.exists(), "{text}");
        }
    }
}
