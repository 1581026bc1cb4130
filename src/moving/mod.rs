//! Moving in from another tool: turns its files into a manifest and the assets to manage. Pure:
//! texts and hashes in, values out.
//!
//! A reader for each tool turns its files into a neutral [`Source`]. [`claims()`] matches that with
//! the files of the project: a file gets an asset only if the tool's own record proves it.
//! [`ManifestDraft`] is the resulting manifest. No code here may guess: an unknown becomes a
//! [`finding::Finding`], with what a person can do about it.
//!
//! Read next: `source` for the neutral form, `asphalt` for the simplest reader, `glob` for how the
//! tools' patterns differ from Macadam's. `src/engine/commands/moving/mod.rs` reads the files, asks
//! Roblox and writes the lockfile.

mod asphalt;
mod asphalt_lockfile;
mod asphalt_old;
mod asset_sync;
mod claims;
mod draft;
mod extension;
mod finding;
mod glob;
mod list;
mod luau_table;
mod mantle;
mod read;
mod source;
mod tarmac;
mod tungsten;

pub(crate) use claims::{Claim, Claims, Proof, TheirFile, claims, is_theirs};
pub(crate) use draft::ManifestDraft;
pub(crate) use finding::{FindingKind, Findings};
pub(crate) use glob::escaped;
pub(crate) use read::{Fetch, ReadError, SourceOptions};
pub(crate) use source::{FileSet, Source, Tool};

/// Reads a project of another tool. `main` is the text of its main file; `fetch` returns the text
/// of another file in its folder.
///
/// # Errors
/// When a file doesn't have the tool's format, or has a version that can't be read.
pub(crate) fn read(tool: Tool, main: &str, options: &SourceOptions, fetch: &Fetch<'_>) -> Result<Source, ReadError> {
    match tool {
        Tool::Asphalt => asphalt::read(main, fetch),
        Tool::Tarmac => tarmac::read(main, fetch),
        Tool::Mantle => mantle::read(main, options),
        Tool::AssetSync => asset_sync::read(main, fetch),
        Tool::Tungsten => tungsten::read(main, fetch),
        Tool::List => list::read(main),
    }
}
