//! The only code that touches asset files: it finds, watches, inspects and hashes them, and opens
//! them for upload.
//!
//! Nothing here writes, knows the manifest's grammar, or asks the network. An unusable file becomes
//! a [`FileProblem`](crate::model::file::FileProblem) of that file alone. A place that can't be
//! read is reported, never left out, so that a vanished folder doesn't look like removed assets.
//! Memory is bounded whatever the files contain: contents stream through fixed buffers, and
//! `inspect` reads headers and builds no trees.
//!
//! Read next: [`walk()`] (which files), [`scan()`] (their facts, from the cache where nothing
//! changed), `inspect` (which files Roblox would refuse), [`open_upload`] (exactly the hashed
//! bytes, or an error). For the service: [`Watcher`] (what changes), [`Debouncer`] (when a changed
//! file may be scanned), [`FilesInProgress`] (which content counts until then).

mod behind_links;
mod completeness;
mod debounce;
mod fingerprints;
mod first_reads;
mod foreign;
mod found;
mod git_objects;
mod globs;
mod in_progress;
mod inspect;
mod lfs;
mod list;
mod one_folder;
mod open;
mod pattern;
mod read;
mod rescan;
mod scan;
mod share;
mod similar;
mod tree_digest;
mod tree_parts;
mod upload;
mod walk;
mod watch;

pub(crate) use behind_links::{keep_behind_links, wanted_by_globs};
pub(crate) use completeness::is_whole;
pub(crate) use debounce::{ChangeKind, Debouncer};
pub(crate) use fingerprints::fingerprint_of;
pub(crate) use first_reads::FirstReads;
pub(crate) use foreign::foreign_hashes;
pub(crate) use found::{MissingFolder, Walk, WalkProblem};
pub(crate) use git_objects::{GitObjects, ObjectFormat};
pub use in_progress::FilesInProgress;
pub(crate) use lfs::is_lfs_pointer;
pub(crate) use list::{Listed, list};
pub(crate) use one_folder::{FolderContents, one_folder};
pub(crate) use open::Obstacles;
pub(crate) use read::ScanProgress;
pub(crate) use rescan::{RescannedFile, rescan};
pub use scan::scan;
pub(crate) use scan::{Scanned, is_unchanged_since, scan_rest};
pub(crate) use tree_digest::{DiskDigest, ScanDigest, TreeDigest};
pub(crate) use tree_parts::TreeParts;
pub(crate) use upload::open_upload;
pub use walk::walk;
pub(crate) use walk::walk_reading;
pub(crate) use watch::{Degraded, Hint, HintSink, Hints, Rescan, WatchTargets, Watcher, hints};

#[cfg(test)]
mod quickstart;
#[cfg(test)]
mod tests_support;
