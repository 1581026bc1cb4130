//! What git never had of this project's assets.
//!
//! A file may be uploaded before anybody adds it to git, and the lockfile that tells of it be pushed
//! without it. Another clone lacks the file then, and must not take it for removed. And whoever
//! uploads is told. Read next: [`crate::engine::workspace::git::tracked`], which asks git.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::report::run_report::Warning;
use crate::engine::workspace::git;
use crate::engine::workspace::git::ask;
use crate::engine::workspace::git::at_commit::{self, EarlierFiles};
use crate::engine::workspace::git::tracked::{self, IndexedFiles, NeverTracked, UntrackedFiles};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::saved_answer::{HistoryQuestion, SavedAnswer};
use crate::engine::workspace::state_cache::StateCache;
use crate::engine::workspace::unfinished_merge::{self, UnfinishedMerge};
use crate::files;
use crate::manifest::{self, Diagnostic, Manifest, Matter};
use crate::model::address::Address;
use crate::model::along::along;
use crate::model::desired::{Desired, DesiredAsset, NeverCommitted};
use crate::model::file::{FileFacts, FileProblemKind};
use crate::model::path::ProjectPath;
use crate::model::proposed::quoted;
use crate::model::recorded::{KnownAddresses, Recorded};
use crate::model::shown::foreign;
use crate::platform::fingerprint;
use crate::platform::own_file::Access;

/// The names of files that a message lists.
const LISTED: usize = 3;

/// The names or patterns that a command to paste has at most.
const TYPED: usize = 8;

/// Returns the files of assets that are absent here, that another machine uploaded, and of which
/// git never had the file or its entry in the manifest, as far as this clone has its history; all
/// that are absent where git fails. None without git: an absence counts as ever then. Blocks: it
/// runs git.
pub(crate) fn never_committed(
    project: &Project,
    manifest: &Manifest,
    desired: &Desired,
    known: &KnownAddresses,
    saved: &mut SavedAnswer,
) -> BTreeMap<ProjectPath, NeverCommitted> {
    let mut absent: BTreeMap<&Address, &ProjectPath> = along(&known.from_elsewhere, &desired.assets)
        .filter(|(_, _, want)| want.is_none())
        .map(|(address, path, _)| (address, path))
        .collect();
    if !absent.is_empty() {
        // What has another name now didn't leave.
        let wanted: BTreeSet<&ProjectPath> = desired.assets.values().map(|want| &want.path).collect();
        absent.retain(|_, path| !wanted.contains(path));
    }
    // A rehearsal's lockfile never leaves this machine.
    if absent.is_empty() || project.lockfile_access == Access::Private {
        return BTreeMap::new();
    }
    let question = || {
        Some(HistoryQuestion {
            head: git::known_head(&project.root)?,
            index: fingerprint::of_file(&git::index(&project.root)?)?,
            selection: manifest.selection(),
            absent: absent.iter().map(|(address, path)| (Address::clone(address), ProjectPath::clone(path))).collect(),
        })
    };
    saved.get_or_ask(question(), || look(project, manifest, &absent)).unwrap_or_else(|why| {
        // A git that fails must not make an absence a removal: archiving can't wait for an answer.
        tracing::warn!("can't tell whether git ever had the assets that are missing here: {why}");
        absent.values().map(|path| (ProjectPath::clone(path), NeverCommitted::Unknown)).collect()
    })
}

fn look(
    project: &Project,
    manifest: &Manifest,
    absent: &BTreeMap<&Address, &ProjectPath>,
) -> Result<BTreeMap<ProjectPath, NeverCommitted>, String> {
    // Where the manifest still asks for a file, the file left; else its entry did.
    let selected = files::wanted_by_globs(&manifest.selection(), absent.keys().copied());
    let (of_file, of_entry): (Vec<_>, Vec<_>) = absent.iter().partition(|(address, _)| selected.contains(**address));
    let paths: Vec<&ProjectPath> = of_file.into_iter().map(|(_, path)| *path).collect();
    let Some(NeverTracked { files, is_shallow }) = tracked::never_committed(&project.manifest, &paths)? else {
        return Ok(BTreeMap::new());
    };
    let known = |part| if is_shallow { NeverCommitted::Shallow } else { part };
    let files = files.into_iter().map(|path| (path.clone(), known(NeverCommitted::File)));
    let entries = never_named(project, &of_entry)?.into_iter();
    Ok(files.chain(entries.map(|path| (path.clone(), known(NeverCommitted::Entry)))).collect())
}

/// Returns the files of those assets that no committed version of the manifest names.
fn never_named<'a>(
    project: &Project,
    absent: &[(&&'a Address, &&'a ProjectPath)],
) -> Result<Vec<&'a ProjectPath>, String> {
    let mut absent: Vec<(&Address, &ProjectPath)> = absent.iter().map(|(address, path)| (**address, **path)).collect();
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    let all = |history: &ask::FileHistory| history.commits.iter().filter_map(|commit| commit.blob.clone()).collect();
    let history = ask::history(&project.manifest, &["HEAD"], all)?;
    let mut seen = BTreeSet::new();
    for blob in history.commits.iter().filter_map(|commit| commit.blob.as_ref()) {
        if absent.is_empty() {
            break;
        }
        let Some(text) = history.contents.get(blob).filter(|_| seen.insert(blob)) else { continue };
        match manifest::parse(text, &project.manifest_name()) {
            Ok(version) => {
                let selection = version.selection();
                let by_glob = files::wanted_by_globs(&selection, absent.iter().map(|(address, _)| *address));
                let explicit: BTreeSet<&ProjectPath> = selection.explicit.iter().collect();
                let lines = version.lines();
                absent.retain(|(address, path)| {
                    !by_glob.contains(*address) && !explicit.contains(path) && lines.of_address(address).is_none()
                });
            }
            // What it named can't be told.
            Err(_) => return Ok(Vec::new()),
        }
    }
    Ok(absent.into_iter().map(|(_, path)| path).collect())
}

/// Asks git which files it has, for [`untracked_by`]. Blocks: it runs git.
pub(crate) fn index(project: &Project) -> IndexAnswer {
    // A rehearsal's lockfile never leaves this machine.
    if project.lockfile_access == Access::Private {
        return Ok(None);
    }
    tracked::index_around(&project.manifest)
}

/// Git's answer to [`index`]; `None` where it wasn't asked.
pub(crate) type IndexAnswer = Result<Option<IndexedFiles>, String>;

/// Does what [`untracked_by`] does, after asking git.
pub(crate) fn untracked(project: &Project, desired: &Desired) -> Vec<Diagnostic> {
    untracked_by(index(project), project, desired)
}

/// Returns notes about wanted files that git doesn't track, since other machines lack them, and
/// about a lockfile whose merge isn't finished. None where all is well, and where git can't be
/// asked. Blocks: it runs git where something isn't well.
pub(crate) fn untracked_by(index: IndexAnswer, project: &Project, desired: &Desired) -> Vec<Diagnostic> {
    // `status` reads no file, and a missing one is another matter.
    let is_there = |want: &&DesiredAsset| match &want.content {
        Ok(_) => true,
        Err(problem) => problem.kind == FileProblemKind::NotLookedAt,
    };
    let wanted = desired.assets.values().filter(is_there).map(|want| &want.path);
    let found = index.and_then(|index| match index {
        Some(index) => tracked::untracked(&index, &project.lockfile_name(), wanted),
        None => Ok(UntrackedFiles::default()),
    });
    match found {
        Ok(found) => {
            let unmerged = if found.is_lockfile_unmerged { unmerged(project) } else { None };
            unmerged.into_iter().chain((!found.files.is_empty()).then(|| note(project, &found))).collect()
        }
        Err(why) => {
            tracing::info!("can't tell whether git tracks the asset files: {why}");
            Vec::new()
        }
    }
}

/// Returns the files of these addresses with what was uploaded of them, as the cache knows it.
pub(crate) async fn uploaded(
    state_cache: &StateCache,
    addresses: BTreeSet<Address>,
) -> BTreeMap<ProjectPath, FileFacts> {
    let paths: BTreeSet<ProjectPath> = state_cache.read(|recorded| {
        let records = addresses.iter().filter_map(|address| recorded.assets.get(address));
        records.map(|record| record.identity.path.clone()).collect()
    });
    let cache = match paths.is_empty() {
        true => return BTreeMap::new(),
        false => state_cache.store().load_files_at(paths).await.unwrap_or_default(),
    };
    cache.into_iter().filter_map(|(path, file)| Some((path, file.content.ok()?))).collect()
}

/// Returns those of the wanted files, with their content, of which Roblox has that content.
pub(crate) fn on_roblox(desired: &Desired, recorded: &Recorded) -> BTreeMap<ProjectPath, FileFacts> {
    let both = along(&desired.assets, &recorded.assets);
    let uploaded = both.filter_map(|(_, want, record)| {
        let facts = want.content.as_ref().ok()?;
        record?.find_content(facts.hash)?;
        Some((want.path.clone(), facts.clone()))
    });
    uploaded.collect()
}

/// Returns those of `uploaded` files, with what was uploaded, that git has with another content in the
/// checked-out commit: only this disk has them as they are. None where git can't be asked. Blocks: it
/// runs git.
pub(crate) fn edited(project: &Project, uploaded: &BTreeMap<ProjectPath, FileFacts>) -> Option<Warning> {
    // A rehearsal's lockfile never leaves this machine.
    if uploaded.is_empty() || project.lockfile_access == Access::Private {
        return None;
    }
    let files = uploaded.iter().map(|(path, facts)| (path, Some(facts)));
    let EarlierFiles { existed, known_content } = at_commit::files_at(&project.manifest, "HEAD", files)
        .inspect_err(|why| tracing::info!("can't tell whether the uploaded files are committed: {why}"))
        .ok()?;
    let edited: Vec<ProjectPath> = existed.difference(&known_content).cloned().collect();
    if edited.is_empty() {
        return None;
    }
    let more = edited.len().saturating_sub(LISTED);
    let names: Vec<_> = edited.iter().take(LISTED).map(|path| foreign(path.as_str())).collect();
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (files, are) = match edited.len() {
        1 => ("1 asset file".to_owned(), "is"),
        count => (format!("{count} asset files"), "are"),
    };
    Some(Warning {
        message: format!(
            "{files} {are} not committed as uploaded, so other machines go back to what git has: {}{and}",
            names.join(", ")
        ),
        hint: format!("`git add {}`, commit and push", pathspecs(&edited)),
    })
}

/// A note about a merge of the lockfile that isn't finished; none about a lockfile that can't be
/// read, since whoever reads it reports that, with the same advice.
fn unmerged(project: &Project) -> Option<Diagnostic> {
    let name = project.lockfile_name();
    match unfinished_merge::look(project) {
        Ok(found) => found
            .filter(|merge| *merge != UnfinishedMerge::Unreadable)
            .map(|merge| Diagnostic::of_project(merge.message(&name), merge.hint(&name), name)),
        Err(why) => {
            tracing::info!("whether the lockfile is merged is unknown: {why}");
            None
        }
    }
}

fn note(project: &Project, found: &UntrackedFiles) -> Diagnostic {
    let UntrackedFiles { files, ignored, is_lockfile_unmerged: _ } = found;
    let (count, more) = (files.len(), files.len().saturating_sub(LISTED));
    let names: Vec<_> = files.iter().take(LISTED).map(|path| foreign(path.as_str())).collect();
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (file, is, lack) = if count == 1 { ("1 asset file", "is", "it") } else { ("asset files", "are", "them") };
    let file = if count == 1 { file.to_owned() } else { format!("{count} {file}") };
    let ignores = match *ignored {
        0 => String::new(),
        some if some == count => ", which git is told to ignore".to_owned(),
        some => format!(", {some} of which git is told to ignore"),
    };
    let add = if *ignored > 0 { "git add --force" } else { "git add" };
    let note = Diagnostic::of_project(
        format!("{file} {is} not in git{ignores}, so other machines lack {lack}: {}{and}", names.join(", ")),
        format!("`{add} {}`, and commit {lack} with the lockfile", pathspecs(files)),
        project.manifest_name(),
    );
    Diagnostic { matter: Some(Matter::Untracked), ..note }
}

/// Returns what `git add` takes to add these files: their names, or, where those are too many,
/// patterns for their folders at the top and extensions.
fn pathspecs(files: &[ProjectPath]) -> String {
    let names = || files.iter().map(|path| foreign(path.as_str()).into_owned()).collect::<BTreeSet<_>>();
    let in_folders = || files.iter().map(|path| pattern(path, Breadth::Folder)).collect::<BTreeSet<_>>();
    let anywhere = || files.iter().map(|path| pattern(path, Breadth::Project)).collect::<BTreeSet<_>>();
    let fits = |specs: &BTreeSet<String>| specs.len() <= TYPED;
    let specs = Some(names()).filter(fits).or_else(|| Some(in_folders()).filter(fits)).unwrap_or_else(anywhere);
    let dashes = if specs.iter().any(|spec| spec.starts_with('-')) { "-- " } else { "" };
    format!("{dashes}{}", specs.iter().map(|spec| quoted(spec)).collect::<Vec<_>>().join(" "))
}

/// Where a pattern finds files.
#[derive(Clone, Copy)]
enum Breadth {
    /// In the folder at the top that the file is in.
    Folder,
    /// In the whole project.
    Project,
}

/// Returns a pattern of git's that finds this file and others with its extension. git's `*` also
/// crosses folders.
fn pattern(path: &ProjectPath, breadth: Breadth) -> String {
    let literal = |text: &str| foreign(text).replace('[', "[[]").replace('*', "[*]").replace('?', "[?]");
    // As it is written: git tells cases apart.
    let Some((_, extension)) = path.file_name().rsplit_once('.') else { return literal(path.as_str()) };
    match (path.as_str().split_once('/'), breadth) {
        (Some((folder, _)), Breadth::Folder) => format!("{}/*.{}", literal(folder), literal(extension)),
        (None, Breadth::Folder) => format!(":(glob)*.{}", literal(extension)),
        (_, Breadth::Project) => format!("*.{}", literal(extension)),
    }
}
