//! From a manifest and the files that were found to the desired state.
//!
//! Must never turn a missing or unusable file into a removal: such an asset stays, with its
//! problem. Read next: `model::desired`.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use super::address_index::{Absent, AddressBook, check_pins};
use super::asset::{AssetKeys, NamedType};
use super::diagnostic::{Diagnostic, ErrorSink, ManifestError, shown};
use super::document::ManifestDocument;
use super::entry::{GlobEntry, format_hint, format_message, privacy_hint, privacy_message, type_of_extension};
use super::outputs::IncludedPattern;
use super::paths::normalized;
use super::references::{check_targets, has_references, icon_edge};
use super::{Manifest, pattern};
use crate::model::address::Address;
use crate::model::along::absent_from;
use crate::model::ascending::Ascending;
use crate::model::asset::{AssetType, Privacy};
use crate::model::desired::{Desired, DesiredAsset, FoundFile, FoundFiles, Stray, Unfound};
use crate::model::file::{ContentFacts, FileFacts, FileProblem, FileProblemKind, ModelRoot};
use crate::model::ids::AssetId;
use crate::model::path::ProjectPath;

/// A manifest combined with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The desired state.
    pub desired: Desired,
    /// Whether each glob found a file, or may have.
    used: Vec<bool>,
}

/// The origin of an address, for messages about clashes.
enum AddressOrigin<'m> {
    Entry(Range<usize>),
    Glob(&'m GlobEntry, &'m ProjectPath),
}

/// The assets while they are gathered.
struct Gathering<'m> {
    document: &'m ManifestDocument,
    findings: &'m FoundFiles,
    known: &'m BTreeSet<Address>,
    assets: Ascending<Address, (DesiredAsset, AddressOrigin<'m>)>,
    /// Whether each glob found a file.
    used: Vec<bool>,
    report: ErrorSink,
}

/// See [`Manifest::resolve`].
pub(super) fn resolve(
    manifest: &Manifest,
    findings: &FoundFiles,
    known: &BTreeSet<Address>,
    unread: &BTreeSet<usize>,
) -> Result<Resolved, Vec<Diagnostic>> {
    let document = &manifest.document;
    let used = (0..document.globs.len()).map(|glob| unread.contains(&glob)).collect();
    let assets = Ascending::with_room(findings.len());
    let mut gathering = Gathering { document, findings, known, assets, used, report: ErrorSink::default() };
    gathering.take_entries();
    gathering.take_files();
    let stray = gathering.check_references().into_iter().collect();
    let Gathering { assets, used, report, .. } = gathering;
    if !report.is_empty() {
        return Err(report.into_diagnostics(&manifest.source));
    }
    let assets: BTreeMap<Address, DesiredAsset> = assets.into_map(|(asset, _)| asset);
    let existing = existing(manifest);
    let fileless = fileless(document, known, &assets);
    let desired = Desired { assets, existing, policy: document.policy, stray, fileless, ..Desired::default() };
    Ok(Resolved { desired, used })
}

/// See [`Manifest::notes`].
pub(super) fn notes(manifest: &Manifest, resolved: &Resolved) -> Vec<Diagnostic> {
    let Resolved { desired, used } = resolved;
    likely_mistakes(&manifest.document, desired, used).into_notes(&manifest.source)
}

/// Returns what `[existing]` says.
pub(super) fn existing(manifest: &Manifest) -> BTreeMap<Address, AssetId> {
    manifest.document.existing.iter().map(|(address, entry)| (address.clone(), entry.id)).collect()
}

/// See [`Manifest::resolve_file`].
pub(super) fn resolve_file(
    manifest: &Manifest,
    path: &ProjectPath,
    globs: &[usize],
    content: Result<FileFacts, FileProblem>,
) -> Option<(Address, DesiredAsset)> {
    let document = &manifest.document;
    let name = normalized(path);
    let entry = document.assets.iter().find(|entry| normalized(entry.path.get_ref()) == name);
    let (address, keys) = match entry {
        Some(entry) => (entry.address.clone(), &entry.keys),
        None => (Address::of_path(path).ok()?, &document.globs.get(*globs.first()?)?.keys),
    };
    // An icon must be square.
    if document.assets.iter().filter_map(|entry| icon_edge(&entry.keys)).any(|(target, _)| *target == address) {
        return None;
    }
    let (findings, known) = (FoundFiles::new(), BTreeSet::new());
    let gathering = Gathering {
        document,
        findings: &findings,
        known: &known,
        assets: Ascending::with_room(0),
        used: Vec::new(),
        report: ErrorSink::default(),
    };
    let found = FoundFile { globs: globs.to_vec(), content };
    let asset = gathering.desire(&address, path, keys, Some(&found));
    Some((address, asset))
}

impl<'m> Gathering<'m> {
    fn take_entries(&mut self) {
        let mut entries: Vec<_> = self.document.assets.iter().collect();
        entries.sort_by_key(|entry| &entry.address);
        for entry in entries {
            let path = entry.path.get_ref();
            let asset = self.desire(&entry.address, path, &entry.keys, self.findings.get(path));
            self.take(entry.address.clone(), asset, AddressOrigin::Entry(entry.key.clone()));
        }
    }

    fn take_files(&mut self) {
        let explicit: BTreeSet<String> =
            self.document.assets.iter().map(|entry| normalized(entry.path.get_ref())).collect();
        // Pairs of globs of which a clash was told already.
        let mut told: BTreeSet<(usize, usize)> = BTreeSet::new();
        let findings: &'m FoundFiles = self.findings;
        let mut known = self.known.iter().peekable();
        for (path, finding) in findings {
            let mut globs = finding.globs.iter().filter_map(|at| Some((*at, self.document.globs.get(*at)?)));
            let Some((first, glob)) = globs.next() else { continue };
            let second = globs.next();
            for at in [Some(first), second.map(|(at, _)| at)].into_iter().flatten() {
                if let Some(used) = self.used.get_mut(at) {
                    *used = true;
                }
            }
            if !explicit.is_empty() && explicit.contains(&normalized(path)) {
                continue;
            }
            if let Some((at, other)) = second
                && told.insert((first, at))
            {
                self.report.add(two_globs(path, glob, other));
            }
            self.take_file(path, finding, glob, &mut known);
        }
    }

    /// Takes a file as an asset. `known` are the known addresses that come after the last one.
    fn take_file(
        &mut self,
        path: &'m ProjectPath,
        finding: &'m FoundFile,
        glob: &'m GlobEntry,
        known: &mut Peekable<btree_set::Iter<'m, Address>>,
    ) {
        let at_glob = |message: String| ManifestError::new(glob.pattern.span(), message);
        let address = match Address::of_path(path) {
            // One text for both: a project has many. An address that comes out of order has its own.
            Ok(address) => {
                while known.next_if(|before| **before < address).is_some() {}
                known.next_if(|next| **next == address).cloned().unwrap_or(address)
            }
            Err(error) => {
                let fault = at_glob(format!("the file {} can't be an asset: {error}", shown(path.as_str())));
                self.report.add(fault.hint("rename it, or leave it out with `exclude`"));
                return;
            }
        };
        let name = || shown(address.as_str());
        if let Some(existing) = self.document.existing.get(&address) {
            let message = format!("{} is under [existing], and a glob finds a file with this address", name());
            let fault = ManifestError::new(existing.key.clone(), message);
            let fault = fault.also(glob.pattern.span(), "this glob");
            // Who changes an ID that the game has in its code should know it.
            self.report.add(fault.hint(format!(
                "leave the file out with `exclude`, and the game keeps asset {}; without the entry the next sync uploads the \
                 file as a new asset",
                existing.id
            )));
            return;
        }
        if let Some((asset, origin)) = self.assets.get(&address) {
            self.report.add(match origin {
                AddressOrigin::Entry(key) => {
                    let (entry, file) = (shown(asset.path.as_str()), shown(path.as_str()));
                    let message =
                        format!("{} is the address of the asset with the file {entry} and of the file {file}", name());
                    let fault = ManifestError::new(key.clone(), message)
                        .also(glob.pattern.span(), "this glob finds the second");
                    fault.hint("rename one of them, or leave the file out with `exclude`")
                }
                AddressOrigin::Glob(first, other) => {
                    let spelled = |path: &ProjectPath| path.as_str().escape_default().to_string();
                    let message = format!("two files have the address {}", name());
                    let hint = format!("their names are the same in Unicode: {} and {}", spelled(other), spelled(path));
                    let fault = at_glob(message).hint(hint.chars().take(400).collect::<String>());
                    if std::ptr::eq(*first, glob) { fault } else { fault.also(first.pattern.span(), "the other one") }
                }
            });
            return;
        }
        let asset = self.desire(&address, path, &glob.keys, Some(finding));
        self.take(address, asset, AddressOrigin::Glob(glob, path));
    }

    /// Adds an asset, whose address no other one has.
    fn take(&mut self, address: Address, asset: DesiredAsset, origin: AddressOrigin<'m>) {
        let _ = self.assets.add(address, (asset, origin));
    }

    fn desire(
        &self,
        address: &Address,
        path: &ProjectPath,
        keys: &AssetKeys,
        found: Option<&FoundFile>,
    ) -> DesiredAsset {
        let content = match found {
            Some(finding) => finding.content.clone(),
            None => Err(FileProblem::new(
                FileProblemKind::Missing,
                format!("no file {}", shown(path.as_str())),
                Some("the path is relative to the manifest's folder, and upper and lower case differ"),
            )),
        };
        let inferred = match &content {
            Ok(facts) => facts.inferred_type(),
            Err(_) => type_of_extension(path),
        };
        let asset_type = keys.asset_type.named().or(inferred);
        DesiredAsset {
            path: address.shared(path.clone()),
            asset_type,
            creator: keys.creator.unwrap_or(self.document.creator),
            content: content.and_then(|facts| fitting(facts, asset_type, keys)),
            metadata: Arc::clone(keys.metadata()),
            privacy: keys.privacy.as_ref().map_or(Privacy::Default, |privacy| *privacy.get_ref()),
            expected_price: keys.expected_price.into(),
            prevent_replace: keys.prevent_replace.unwrap_or(false),
            pin: self.document.pins.get(address).map(|entry| entry.pin).into(),
            grants: keys.grants.clone().unwrap_or_default().into(),
        }
    }

    /// Icons, previews and pins, now that every address and type is known. Gives those that lead to
    /// what left.
    fn check_references(&mut self) -> BTreeSet<Stray> {
        let has_pins = !self.document.pins.is_empty();
        if !has_pins && !self.document.assets.iter().any(|entry| has_references(&entry.keys)) {
            return BTreeSet::new();
        }
        let assets = self.assets.iter().map(|(address, (asset, _))| (address, asset.asset_type)).collect();
        let entries = &self.document.assets;
        let paths = entries.iter().map(|entry| (normalized(entry.path.get_ref()), &entry.address)).collect();
        let address_index =
            AddressBook { assets, existing: &self.document.existing, paths, known: self.known, open: None };
        let mut absent = Absent::default();
        let keys = entries.iter().map(|entry| (&entry.address, &entry.keys));
        check_targets(keys, &address_index, &mut self.report, &mut absent);
        check_pins(&self.document.pins, &address_index, &mut self.report, &mut absent);
        self.report.append(absent.faults);
        for (target, place) in entries.iter().filter_map(|entry| icon_edge(&entry.keys)) {
            let Some((DesiredAsset { content: Ok(facts), .. }, _)) = self.assets.get(target) else { continue };
            if let ContentFacts::Image { width, height } = facts.content
                && width != height
            {
                let message =
                    format!("an icon must be square, {} has {width} by {height} pixels", shown(target.as_str()));
                self.report.add(ManifestError::new(place, message).hint("name a square Image"));
            }
        }
        absent.strays
    }
}

/// The facts of a file, unless the type or privacy that it is to have doesn't suit it: a problem of
/// this asset alone.
fn fitting(facts: FileFacts, asset_type: Option<AssetType>, keys: &AssetKeys) -> Result<FileFacts, FileProblem> {
    let problem = |message: String, hint: String| {
        Err(FileProblem { kind: FileProblemKind::Unsuitable, message, hint: Some(hint) })
    };
    let Some(asset_type) = asset_type else {
        return problem(
            "the model is too large to tell whether it is an Animation".to_owned(),
            "write `type = \"Model\"` or `type = \"Animation\"` beside its path in the manifest".to_owned(),
        );
    };
    if !facts.format.types().contains(&asset_type) {
        return problem(format_message(asset_type, facts.format), format_hint(facts.format));
    }
    let named = matches!(keys.asset_type, NamedType::Named(_));
    if named
        && asset_type == AssetType::Animation
        && facts.content == (ContentFacts::Instances { root: ModelRoot::Other })
    {
        return problem(
            "the file is not one animation".to_owned(),
            "save one KeyframeSequence or CurveAnimation alone in a file: not several, and not inside a folder or a rig; leave `type` out for a Model"
                .to_owned(),
        );
    }
    if keys.overrides_privacy() && !asset_type.allows_privacy_override() {
        return problem(privacy_message(asset_type), privacy_hint());
    }
    Ok(facts)
}

fn two_globs(path: &ProjectPath, one: &GlobEntry, two: &GlobEntry) -> ManifestError {
    let message = format!("the globs {} and {} both find {}", shown(&one.name), shown(&two.name), shown(path.as_str()));
    ManifestError::new(two.pattern.span(), message)
        .also(one.pattern.span(), "the first one")
        .hint("narrow one of them, or leave files out with `exclude`")
}

/// The known addresses that are no assets any more, and that a glob would find if their file was
/// there, or was no other entry's.
fn fileless(
    document: &ManifestDocument,
    known: &BTreeSet<Address>,
    assets: &BTreeMap<Address, DesiredAsset>,
) -> BTreeMap<Address, Unfound> {
    let left: Vec<&Address> = absent_from(known, assets).collect();
    if left.is_empty() {
        return BTreeMap::new();
    }
    let patterns = |globs: &[String]| pattern::set(globs.iter().map(String::as_str)).unwrap_or_default();
    let globs =
        document.globs.iter().map(|glob| (glob, patterns(&[glob.pattern.get_ref().clone()]), patterns(&glob.exclude)));
    let globs: Vec<_> = globs.collect();
    let finder = |address: &Address| {
        let fits = globs
            .iter()
            .find(|(_, found, left_out)| found.is_match(address.as_str()) && !left_out.is_match(address.as_str()));
        fits.map(|(glob, ..)| glob.name.clone())
    };
    let entries = assets.iter().filter(|(address, want)| address.as_str() != want.path.as_str());
    let takers: BTreeMap<&str, &Address> = entries.map(|(address, want)| (want.path.as_str(), address)).collect();
    let unfound = |address: &Address| {
        let taken_by = takers.get(address.as_str()).map(|taker| (*taker).clone());
        Some(Unfound { glob: finder(address)?, taken_by })
    };
    left.into_iter().filter_map(|address| Some((address.clone(), unfound(address)?))).collect()
}

fn likely_mistakes(document: &ManifestDocument, desired: &Desired, used: &[bool]) -> ErrorSink {
    let mut notes = ErrorSink::default();
    for (glob, _) in document.globs.iter().zip(used).filter(|(_, used)| !**used) {
        let text = glob.pattern.get_ref();
        if pattern::across_folders(text).is_some() {
            // Its own note, below, says what to write.
            continue;
        }
        let fault = ManifestError::new(glob.pattern.span(), format!("the glob {} finds no file", shown(&glob.name)));
        let is_plain = !text.contains(['*', '?', '[', '{']);
        notes.add(match pattern::with_named_folders(text) {
            // A folder, or one file.
            _ if is_plain && !text.contains('.') => {
                fault.hint(format!("for all pictures in a folder write \"{text}/**/*.png\""))
            }
            Some(named) => fault.hint(format!(
                "`[ab]` means one of these letters, and `{{a,b}}` one of these words; for a folder that is called so, write \
                 \"{named}\""
            )),
            None => {
                fault.hint("check its folder and extension; upper and lower case differ, and `*` doesn't cross `/`")
            }
        });
    }
    if document.webhook_env.is_some() {
        let fault = ManifestError::of_file("[notify] has no effect in this version: nobody is told about failures");
        notes.add(fault.hint("remove it; the exit code, the log and the metrics show failures"));
    }
    let granted = desired.assets.values().filter(|want| !want.grants.is_empty()).count();
    if granted > 0 {
        let assets = if granted == 1 { "1 asset".to_owned() } else { format!("{granted} assets") };
        let fault = ManifestError::of_file(format!("`grants` has no effect in this version ({assets})"));
        notes.add(fault.hint("remove it, and give others access at create.roblox.com"));
    }
    for glob in &document.globs {
        if let Some(meant) = pattern::across_folders(glob.pattern.get_ref()) {
            let message = format!(
                "the glob {} looks into one folder only, since `**` stands beside other characters",
                shown(&glob.name)
            );
            let fault = ManifestError::new(glob.pattern.span(), message);
            notes.add(fault.hint(format!("for all folders below, write \"{meant}\"")));
        }
    }
    let addresses = || desired.assets.keys().chain(desired.existing.keys());
    let includes = document.includes.iter().map(|include| include.pattern.get_ref().as_str());
    if let Some(set) = pattern::set(includes).ok().filter(|_| !document.includes.is_empty()) {
        let fitting: BTreeSet<usize> = addresses().flat_map(|address| set.matches(address.as_str())).collect();
        let mut unfit: BTreeMap<&str, (Range<usize>, Vec<String>)> = BTreeMap::new();
        for (_, include) in document.includes.iter().enumerate().filter(|(at, _)| !fitting.contains(at)) {
            let IncludedPattern { pattern, output } = include;
            let (_, outputs) = unfit.entry(pattern.get_ref()).or_insert_with(|| (pattern.span(), Vec::new()));
            outputs.push(shown(output.as_str()));
        }
        for (pattern, (place, mut outputs)) in unfit {
            outputs.dedup();
            let (pattern, outputs) = (shown(pattern), outputs.join(" and "));
            let message = format!("the pattern {pattern} in the `include` of {outputs} fits no address");
            notes.add(ManifestError::new(place, message).hint("`macadam status` lists the addresses"));
        }
    }
    let keys: BTreeMap<&Address, &Range<usize>> =
        document.assets.iter().map(|entry| (&entry.address, &entry.key)).collect();
    for twins in desired.twins() {
        let place = [twins.second, twins.first].into_iter().find_map(|address| keys.get(address));
        let message = twins.to_string();
        let fault = match place {
            Some(place) => ManifestError::new((*place).clone(), message),
            None => ManifestError::of_file(message),
        };
        notes.add(fault.hint("rename one of them"));
    }
    for (address, asset) in &desired.assets {
        // What is no file of this machine is a mistake of its own.
        let part = asset.content.as_ref().ok().and_then(|_| asset.path.not_on_windows());
        let Some(part) = part else { continue };
        let path = shown(asset.path.as_str());
        let message = format!("Windows can't have the name {}, so a clone there lacks {path}", shown(part));
        let fault = match keys.get(address) {
            Some(place) => ManifestError::new((*place).clone(), message),
            None => ManifestError::of_file(message),
        };
        notes.add(fault.hint("rename it: the asset keeps its ID"));
    }
    notes
}
