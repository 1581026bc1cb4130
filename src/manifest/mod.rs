//! From the text of a manifest to the desired state. Pure: bytes and findings in, values and
//! diagnostics out.
//!
//! Every error is found in one look, each with its place and what would be right. What needs no
//! file is told by [`parse`], the rest by [`Manifest::resolve`]. Must never do I/O, never stop at
//! the first error, and never let the manifest say where a credential goes.
//!
//! Read next: `document` for the tables, `read` for how they are read, `resolve` for what comes of
//! them and the files; `edit` for the one thing that is written into a manifest, pins.

mod address_index;
mod asset;
mod diagnostic;
mod document;
mod edit;
mod entry;
mod lines;
mod links;
mod named_files;
mod notification;
mod outputs;
mod owner;
mod paths;
mod pattern;
mod pins;
mod policy;
mod read;
mod references;
mod render;
mod resolve;
mod schema;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use diagnostic::{Diagnostic, Matter};
pub use edit::remove_pin;
pub(crate) use edit::{EditError, pinned, set_pin};
pub(crate) use lines::EntryLines;
pub(crate) use pattern::{AddressPattern, OutputFilter};
pub use render::render;
pub(crate) use resolve::Resolved;
pub(crate) use schema::schema;
pub(crate) use syntax::MAX_BYTES;

use std::collections::{BTreeMap, BTreeSet};

use asset::AssetKeys;
use diagnostic::{ErrorSink, ManifestSource};
use document::ManifestDocument;

use crate::model::address::Address;
use crate::model::checkout::Checkout;
use crate::model::desired::{Desired, DesiredAsset, FileSelection, FoundFiles, GlobPattern};
use crate::model::file::{FileFacts, FileProblem};
use crate::model::ids::{AssetId, Creator};
use crate::model::metadata::Metadata;
use crate::model::output::Output;
use crate::model::path::ProjectPath;
use crate::model::policy::Policy;

/// A manifest that is right in itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    source: ManifestSource,
    document: ManifestDocument,
}

/// Reads a manifest. `file` is what diagnostics call it.
///
/// # Errors
/// Everything that is wrong with it, by place; at most 100 and a last one that counts the rest.
/// After a syntax error whose extent can't be known only syntax errors are told. References to
/// addresses that are not in the manifest are told beside other errors, and are else left to
/// [`Manifest::resolve`], which learns what is known from before.
pub fn parse(bytes: &[u8], file: &str) -> Result<Manifest, Vec<Diagnostic>> {
    let source = syntax::decode(bytes, file)?;
    let mut report = ErrorSink::default();
    let mut document = None;
    let table = syntax::parse(&source, &mut report);
    if !report.is_empty()
        && let Some(fault) = syntax::foreign_file(&source, &report)
    {
        return Err(source.only(fault));
    }
    if let Some(table) = table {
        let (mut meaning, mut absent) = (ErrorSink::default(), ErrorSink::default());
        document = document::read_document(&table, file, &mut meaning, &mut absent);
        if !report.is_empty() || !meaning.is_empty() {
            meaning.append(absent);
        }
        report.add_elsewhere(meaning, &source);
    }
    match document {
        Some(document) if report.is_empty() => Ok(Manifest { source, document }),
        _ => Err(report.into_diagnostics(&source)),
    }
}

/// Returns the first mistake in the syntax of another tool's TOML, in the words and with the place of
/// one in a manifest; `None` if it has none. It has no hint, which would repeat what stands there: the
/// file may be none of the tool's, and hold a secret.
pub(crate) fn syntax_mistake(text: &str, file: &str) -> Option<Diagnostic> {
    let (source, mut report) = (ManifestSource::new(file, text.to_owned()), ErrorSink::default());
    syntax::parse(&source, &mut report);
    let first = report.into_diagnostics(&source).into_iter().next()?;
    Some(Diagnostic { hint: None, quoted: false, also: Vec::new(), ..first })
}

impl Manifest {
    /// The text that was parsed.
    pub fn text(&self) -> &str {
        self.source.text()
    }

    /// The files that it names, for the walk.
    pub fn selection(&self) -> FileSelection {
        // Files that Macadam writes are never assets, whatever a glob says.
        let outputs = || self.document.outputs.iter().map(|output| globset::escape(output.path.as_str()));
        let glob = |glob: &entry::GlobEntry| GlobPattern {
            name: glob.name.clone(),
            path: glob.pattern.get_ref().clone(),
            exclude: glob.exclude.iter().cloned().chain(outputs()).collect(),
        };
        FileSelection {
            explicit: self.document.assets.iter().map(|entry| entry.path.get_ref().clone()).collect(),
            globs: self.document.globs.iter().map(glob).collect(),
        }
    }

    /// The desired state, from what the walk for [`Manifest::selection`] found. A file that is
    /// missing or can't be used is a problem of its asset, not an error of the manifest. A pin,
    /// icon or preview that names an address which left the manifest is none either where that is
    /// `known`, to state or lockfile: it becomes a [`Stray`](crate::model::desired::Stray). Of the
    /// globs `unread` some place could not be read, so that they may have more files.
    ///
    /// # Errors
    /// Errors that only the files show: two globs on one path, two files or entries with one
    /// address, an icon that isn't a square Image, a pin or reference to an address that doesn't
    /// exist.
    pub fn resolve(
        &self,
        findings: &FoundFiles,
        known: &BTreeSet<Address>,
        unread: &BTreeSet<usize>,
    ) -> Result<Resolved, Vec<Diagnostic>> {
        resolve::resolve(self, findings, known, unread)
    }

    /// Returns likely mistakes that are not errors: a glob without files, an output pattern without
    /// addresses, names that differ in case alone.
    pub fn notes(&self, resolved: &Resolved) -> Vec<Diagnostic> {
        resolve::notes(self, resolved)
    }

    /// Returns the address of the file at `path`, which the patterns `globs` match, and what is wanted
    /// of it with this content; `None` if another content may change more than that.
    pub(crate) fn resolve_file(
        &self,
        path: &ProjectPath,
        globs: &[usize],
        content: Result<FileFacts, FileProblem>,
    ) -> Option<(Address, DesiredAsset)> {
        resolve::resolve_file(self, path, globs, content)
    }

    /// Whether no asset is wanted otherwise because of another one: nothing is pinned, and no icon or
    /// preview is set.
    pub(crate) fn wants_each_alone(&self) -> bool {
        let ManifestDocument { assets, globs, pins, .. } = &self.document;
        let keys = assets.iter().map(|entry| &entry.keys).chain(globs.iter().map(|glob| &glob.keys));
        let shows =
            |metadata: &Metadata| metadata.references().next().is_some() || metadata.asset_ids().next().is_some();
        pins.is_empty() && !keys.map(AssetKeys::metadata).any(|metadata| shows(metadata))
    }

    /// Returns the desired state of these assets alone, which were resolved one by one, in `checkout`.
    pub(crate) fn desired_of(&self, assets: BTreeMap<Address, DesiredAsset>, checkout: Checkout) -> Desired {
        Desired { assets, existing: self.existing(), policy: self.document.policy, checkout, ..Desired::default() }
    }

    /// The addresses under `[assets]`.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Address> {
        self.document.assets.iter().map(|entry| &entry.address)
    }

    /// `[existing]`.
    pub(crate) fn existing(&self) -> BTreeMap<Address, AssetId> {
        resolve::existing(self)
    }

    /// The addresses under `[pins]`.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = &Address> {
        self.document.pins.keys()
    }

    /// The addresses that pins, icons and previews name and that only a file of a glob can have.
    pub(crate) fn named_files(&self) -> BTreeSet<&Address> {
        named_files::of(&self.document)
    }

    /// The lines of its entries.
    pub(crate) fn lines(&self) -> EntryLines {
        EntryLines::of(&self.source, &self.document)
    }

    /// The owner of all assets that name no other.
    pub fn creator(&self) -> Creator {
        self.document.creator
    }

    /// `[policy]`, with its defaults.
    pub fn policy(&self) -> &Policy {
        &self.document.policy
    }

    /// `[[outputs]]`, in the manifest's order.
    pub fn outputs(&self) -> &[Output] {
        &self.document.outputs
    }

    /// The environment variable that holds the URL to notify.
    pub fn webhook_env(&self) -> Option<&str> {
        self.document.webhook_env.as_deref()
    }
}
