//! What the lockfile is to say: which addresses it has, and its text.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::git::{self, ask::Versions};
use crate::engine::workspace::project::Project;
use crate::files;
use crate::model::address::Address;
use crate::model::checkout::{Checkout, InLockfile};
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::neighbours::WantedFile;
use crate::model::recorded::{Record, Recorded};
use crate::model::shown::foreign;
use crate::state::lockfile::{self, GitCopy, Ledger, LockfileEntry, LockfileError};

/// Parses the lockfile of `project`; an empty ledger if there is none.
///
/// # Errors
/// When it can't be used, or belongs to another remote.
pub(crate) fn parse(project: &Project, remote: &str, bytes: Option<&[u8]>) -> Result<Ledger, LockfileError> {
    let Some(bytes) = bytes else { return Ok(Ledger::new(remote.to_owned())) };
    let ledger = lockfile::parse(bytes, &project.lockfile)?;
    ledger.require_remote(remote, &project.lockfile)?;
    Ok(ledger)
}

/// Returns what a person can do about a lockfile that can't be used, by what git has of it.
pub(crate) fn hint(error: &LockfileError) -> Option<String> {
    error.hint(error.file().map_or(GitCopy::None, git_copy))
}

/// Returns the version of a file that git has beside the one on disk.
fn git_copy(file: &Path) -> GitCopy {
    let Ok(Versions { commit: _, index, head }) = git::ask::versions(file) else { return GitCopy::Unknown };
    // One that is too large to be read is another one than any that is taken.
    let here = lockfile::read(file).ok().flatten();
    match (head, index) {
        (Some(head), _) if here.as_ref() == Some(&head) => GitCopy::Same,
        (Some(_), _) => GitCopy::Head,
        (None, Some(index)) if here.as_ref() != Some(&index) => GitCopy::Staged,
        (None, _) => GitCopy::None,
    }
}

/// Returns whether `ledger` may not be written while the lockfile is missing, for a manifest that
/// wants this. Where nobody asked the manifest, its own files count.
pub(super) fn forbids(
    missing: &MissingLockfile,
    desired: Option<&Desired>,
    ledger: &Ledger,
    recorded: &Recorded,
) -> bool {
    match desired {
        Some(desired) => missing.forbids(desired.assets.values().map(DesiredAsset::wanted_file), recorded),
        None => {
            let files = ledger.entries.values();
            let files = files.map(|entry| WantedFile::known(&entry.identity, entry.history.contents().last()));
            missing.forbids(files, recorded)
        }
    }
}

/// What changes in the lockfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LockfileChanges {
    /// Whether anything changes.
    pub any: bool,
    /// The addresses of which only the times of their assets' way out change.
    pub times: Vec<Address>,
    /// The others, where they are known.
    pub others: Vec<Address>,
}

/// The number of addresses that a sentence about the lockfile names.
const NAMED: usize = 3;

impl LockfileChanges {
    /// Compares two lockfiles that differ.
    fn between(before: &Ledger, after: &Ledger) -> Self {
        let addresses: BTreeSet<&Address> = before.entries.keys().chain(after.entries.keys()).collect();
        Self::of(addresses.into_iter().map(|address| {
            let (before, after) = (before.entries.get(address), after.entries.get(address));
            (address, before, after)
        }))
    }

    /// Compares entries of two lockfiles that differ.
    pub(super) fn of<'a>(
        entries: impl IntoIterator<Item = (&'a Address, Option<&'a LockfileEntry>, Option<&'a LockfileEntry>)>,
    ) -> Self {
        let mut changes = Self { any: true, ..Self::default() };
        for (address, before, after) in entries {
            match (before, after) {
                (before, after) if before == after => {}
                (Some(before), Some(after)) => {
                    let with_its_times = LockfileEntry { retirements: after.retirements.clone(), ..before.clone() };
                    let changed = if with_its_times == *after { &mut changes.times } else { &mut changes.others };
                    changed.push(address.clone());
                }
                _ => changes.others.push(address.clone()),
            }
        }
        changes
    }

    /// Compares the file of `project` with what takes its place, as far as it can be read.
    pub(super) fn to(project: &Project, remote: &str, after: &Ledger) -> Self {
        let before = lockfile::read(&project.lockfile).and_then(|bytes| parse(project, remote, bytes.as_deref()));
        before.map_or_else(|_| Self { any: true, ..Self::default() }, |before| Self::between(&before, after))
    }

    /// Adds what changes later.
    pub(crate) fn extend(&mut self, later: Self) {
        let Self { any, times, others } = later;
        self.any |= any;
        for (known, more) in [(&mut self.times, times), (&mut self.others, others)] {
            known.extend(more);
            known.sort();
            known.dedup();
        }
    }
}

/// What changes, as a part of a sentence; empty where that is not known.
impl fmt::Display for LockfileChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |addresses: &[Address]| {
            let names: Vec<&str> = addresses.iter().take(NAMED).map(Address::as_str).collect();
            let more = addresses.len().saturating_sub(NAMED);
            (!names.is_empty()).then(|| {
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("{}{more}", foreign(&names.join(", ")))
            })
        };
        let Self { any: _, times, others } = self;
        let times = named(times).map(|names| format!("since when earlier assets of {names} are unwanted"));
        let parts: Vec<String> = named(others).into_iter().chain(times).collect();
        f.write_str(&parts.join("; "))
    }
}

/// Returns what a sync without steps would still change in the lockfile. A `missing` one is not
/// always written.
///
/// # Errors
/// When the lockfile can't be read.
pub(crate) fn would_change(
    project: &Project,
    remote: &str,
    recorded: &Recorded,
    desired: &Desired,
    missing: Option<&MissingLockfile>,
) -> Result<LockfileChanges, LockfileError> {
    let mut all = begun_in(recorded, &git::checkout(&project.root));
    all.extend(desired.assets.keys().cloned());
    let ledger = lockfile::export(remote, recorded, &all);
    Ok(match lockfile::read(&project.lockfile)? {
        Some(current) if lockfile::fingerprint(&current) != lockfile::fingerprint(&text(&ledger)) => {
            LockfileChanges::between(&parse(project, remote, Some(&current))?, &ledger)
        }
        Some(_) => LockfileChanges::default(),
        None => {
            let is_forbidden = |missing| forbids(missing, Some(desired), &ledger, recorded);
            let any = !ledger.entries.is_empty() && !missing.is_some_and(is_forbidden);
            LockfileChanges { any, ..LockfileChanges::default() }
        }
    })
}

/// Adds addresses that the lost file `had` and globs select, although their files are absent now: a
/// clone with only the new file would upload them again.
pub(super) fn with_absent(
    project: &Project,
    in_manifest: &BTreeSet<Address>,
    had: &BTreeSet<Address>,
) -> BTreeSet<Address> {
    let mut all = in_manifest.clone();
    if !had.is_empty()
        && let Ok((manifest, _)) = read_manifest(project)
    {
        all.append(&mut files::wanted_by_globs(&manifest.selection(), had));
    }
    all
}

/// Returns those addresses that the lost file `had` for assets that left the manifest: they are kept,
/// or wait to be archived.
pub(super) fn removed_of(recorded: &Recorded, had: &BTreeSet<Address>) -> BTreeSet<Address> {
    let is_removed = |address: &&Address| recorded.assets.get(*address).is_some_and(|record| record.removed);
    had.iter().filter(is_removed).cloned().collect()
}

/// Returns the addresses whose upload began in `checkout` and that no lockfile has yet.
pub(super) fn begun_in(recorded: &Recorded, checkout: &Checkout) -> BTreeSet<Address> {
    let begun = recorded.assets.iter().filter(|(_, record)| has_begun_in(record, checkout));
    begun.map(|(address, _)| address.clone()).collect()
}

/// Returns whether an upload of the address began in `checkout`, and no lockfile has it yet.
pub(super) fn has_begun_in(record: &Record, checkout: &Checkout) -> bool {
    match &record.in_lockfile {
        InLockfile::NotYet { begun_in } => begun_in == checkout,
        InLockfile::No | InLockfile::Yes => false,
    }
}

pub(super) fn in_lockfile(recorded: &Recorded) -> BTreeSet<Address> {
    let in_it = recorded.assets.iter().filter(|(_, record)| record.in_lockfile == InLockfile::Yes);
    in_it.map(|(address, _)| address.clone()).collect()
}

pub(super) fn text(ledger: &Ledger) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = lockfile::write(&ledger.remote, &ledger.entries, &ledger.forgotten, &mut text);
    text
}
