//! Matches files with assets, by what the tool's records prove.
//!
//! A file gets an asset if the tool's hash proves it, or if the tool knows files by name alone. If
//! two files claim one asset, neither gets it.

use std::collections::{BTreeMap, BTreeSet};

use super::extension::{self, DRAWN};
use super::finding::{FindingKind, Findings};
use super::source::{FileSet, Input, Row, Source, Tool, Treatment};
use crate::model::foreign_hash::FileHashes;
use crate::model::ids::{AssetId, ContentHash, Creator};

/// A file of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TheirFile {
    /// The path, relative to the project's folder.
    pub path: String,
    /// Its hashes; `None` if it can't be read.
    pub hashes: Option<FileHashes>,
}

/// How certain it is that an asset belongs to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The tool's hash matches the file.
    Hash,
    /// The tool names the file; it may have changed since.
    Name,
    /// The tool names the file, and it has changed since.
    Outdated,
}

/// A file's asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The index of the input.
    pub input: usize,
    pub asset_id: AssetId,
    /// Its owner, if the tool states it.
    pub creator: Option<Creator>,
    /// How certain the match is.
    pub proof: Proof,
    /// The hash of the file's content.
    pub content: ContentHash,
}

/// The result of matching all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    /// The assets to manage, by path.
    pub assets: BTreeMap<String, Claim>,
    /// Paths whose asset is used but not managed, with their input.
    pub existing: BTreeMap<String, (AssetId, usize)>,
    /// Files that are not to be uploaded.
    pub left_out: BTreeSet<String>,
    /// Every file to manage, by path, with its input; also those without an asset.
    pub files: BTreeMap<String, usize>,
    /// Findings for a person.
    pub findings: Findings,
}

/// Returns whether an input has the file at `path`. An SVG counts if the tool renders it.
pub(crate) fn is_theirs(files: &FileSet, path: &str) -> bool {
    let FileSet::Glob { glob, groups, exact_case, exclude } = files else { return false };
    let Some(extension) = extension::of(path) else { return false };
    let fits = |known: &&str| if *exact_case { *known == extension } else { known.eq_ignore_ascii_case(extension) };
    let known = groups.iter().flat_map(|group| group.extensions).any(fits) || extension == DRAWN;
    known && glob.is_match(path) && !exclude.iter().any(|exclude| exclude.is_match(path))
}

/// Matches the tool's records with the files. `files` holds the files of each input, in order.
pub(crate) fn claims(source: &Source, files: &[Vec<TheirFile>]) -> Claims {
    let mut claims = Claims::default();
    claims.findings.extend(source.findings.iter().cloned());
    let all = source.inputs.iter().flat_map(|input| &input.rows);
    let unsure = if source.tool == Tool::Tarmac { BTreeSet::new() } else { under_two_hashes(all.clone()) };
    let packed = if source.tool == Tool::Tarmac { several_inputs(all) } else { BTreeSet::new() };
    for (place, (input, files)) in source.inputs.iter().zip(files).enumerate() {
        Matching { source, input, place, unsure: &unsure, packed: &packed, claims: &mut claims }.run(files);
    }
    claims.drop_contested();
    claims
}

/// Returns the assets that the records name under two hashes.
fn under_two_hashes<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<AssetId> {
    let mut hashes: BTreeMap<AssetId, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        hashes.entry(row.asset_id).or_default().extend(row.hash.as_deref());
    }
    hashes.into_iter().filter(|(_, hashes)| hashes.len() > 1).map(|(id, _)| id).collect()
}

/// Returns the assets that several of Tarmac's inputs have: packed sheets.
fn several_inputs<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeSet<AssetId> {
    let mut paths: BTreeMap<AssetId, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        paths.entry(row.asset_id).or_default().extend(row.path.as_deref());
    }
    paths.into_iter().filter(|(_, paths)| paths.len() > 1).map(|(id, _)| id).collect()
}

struct Matching<'a> {
    source: &'a Source,
    input: &'a Input,
    place: usize,
    unsure: &'a BTreeSet<AssetId>,
    packed: &'a BTreeSet<AssetId>,
    claims: &'a mut Claims,
}

impl Matching<'_> {
    fn run(mut self, files: &[TheirFile]) {
        let (mut by_path, mut by_hash) = (BTreeMap::<&str, &Row>::new(), BTreeMap::<&str, &Row>::new());
        for row in &self.input.rows {
            match (&row.path, &row.hash) {
                (Some(path), _) => {
                    by_path.entry(path).or_insert(row);
                }
                // The first of several counts: readers put the likeliest first.
                (None, Some(hash)) => {
                    by_hash.entry(hash).or_insert(row);
                }
                (None, None) => {}
            }
        }
        // For a renamed file, the hash says more than the name.
        let moved: BTreeMap<&str, &Row> = self
            .input
            .rows
            .iter()
            .filter(|row| row.path.is_some())
            .filter_map(|row| Some((row.hash.as_deref()?, row)))
            .collect();
        let names = self.names_without_extension(files);
        let mut used = BTreeSet::new();
        for file in files {
            let named = by_path.get(file.path.as_str()).or_else(|| {
                let stem = stem(&file.path);
                (names.get(stem) == Some(&1)).then(|| by_path.get(stem)).flatten()
            });
            let Some(hashes) = &file.hashes else {
                self.claims.findings.add(FindingKind::CantComeAlong, format!("{}: it can't be read", file.path));
                used.extend(named.map(|row| row.asset_id));
                continue;
            };
            let foreign = hashes.foreign.as_str();
            let same = named.copied().filter(|row| row.hash.as_deref() == Some(foreign));
            let hashed = same.or_else(|| by_hash.get(foreign).copied()).or_else(|| moved.get(foreign).copied());
            let found = hashed.map(|row| (row, Proof::Hash)).or_else(|| {
                let row = named.copied()?;
                Some((row, if row.hash.is_none() { Proof::Name } else { Proof::Outdated }))
            });
            used.extend(found.map(|(row, _)| row.asset_id));
            used.extend(named.map(|row| row.asset_id));
            self.file(&file.path, hashes.content, found);
        }
        for row in self.input.rows.iter().filter(|row| !used.contains(&row.asset_id)) {
            let place = row.path.as_deref().map(|path| format!(" ({path})")).unwrap_or_default();
            self.claims.findings.add(FindingKind::FileGone, format!("asset {}{place}", row.asset_id));
        }
    }

    /// Counts the files for each path without extension, since a module doesn't record extensions.
    fn names_without_extension<'f>(&self, files: &'f [TheirFile]) -> BTreeMap<&'f str, usize> {
        let mut names = BTreeMap::new();
        if self.source.tool == Tool::Tungsten {
            for file in files {
                *names.entry(stem(&file.path)).or_default() += 1;
            }
        }
        names
    }

    fn file(&mut self, path: &str, content: ContentHash, found: Option<(&Row, Proof)>) {
        let input = self.place;
        if let Some(first) = self.claims.files.get(path).copied() {
            if first != input {
                self.claims.findings.add(FindingKind::TwoInputs, path);
            }
            return;
        }
        let findings = &mut self.claims.findings;
        let is_drawing = extension::of(path) == Some(DRAWN);
        let is_sheet = |row: &Row| row.is_slice || self.packed.contains(&row.asset_id);
        // A packed input uploads only sheets, even where the records don't say so.
        let is_packed = self.input.is_packed || found.is_some_and(|(row, _)| is_sheet(row));
        if is_packed && extension::is_image(path) {
            findings.add(FindingKind::PackedSheet, path);
            self.claims.left_out.insert(path.to_owned());
            return;
        }
        let Some((row, proof)) = found else {
            let kind = if is_drawing { FindingKind::Drawing } else { FindingKind::NotUploaded };
            findings.add(kind, path);
            if is_drawing {
                self.claims.left_out.insert(path.to_owned());
            } else {
                self.claims.files.insert(path.to_owned(), input);
            }
            return;
        };
        if is_drawing {
            findings.add(FindingKind::Unusable, path);
            findings.add(FindingKind::Treated, path);
            self.claims.existing.insert(path.to_owned(), (row.asset_id, input));
            return;
        }
        if self.unsure.contains(&row.asset_id) {
            findings.add(FindingKind::SharedId, path);
            self.claims.existing.insert(path.to_owned(), (row.asset_id, input));
            return;
        }
        match proof {
            Proof::Hash => {}
            Proof::Name => findings.add(FindingKind::Unchecked, path),
            Proof::Outdated => findings.add(FindingKind::Changed, format!("{path} (asset {})", row.asset_id)),
        }
        let treated = row.treated || (self.input.images != Treatment::AsItIs && extension::is_image(path));
        if treated && proof != Proof::Outdated {
            findings.add(FindingKind::Treated, path);
        }
        self.claims.files.insert(path.to_owned(), input);
        let claim = Claim { input, asset_id: row.asset_id, creator: row.creator, proof, content };
        self.claims.assets.insert(path.to_owned(), claim);
    }
}

impl Claims {
    /// Drops assets that files with different bytes claim: no file gets them.
    fn drop_contested(&mut self) {
        let mut contents: BTreeMap<AssetId, BTreeSet<ContentHash>> = BTreeMap::new();
        for claim in self.assets.values() {
            contents.entry(claim.asset_id).or_default().insert(claim.content);
        }
        let contested = |claim: &Claim| contents.get(&claim.asset_id).is_some_and(|contents| contents.len() > 1);
        let paths: Vec<String> =
            self.assets.iter().filter(|(_, claim)| contested(claim)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.claim_existing(&path, FindingKind::SharedId, &path);
        }
    }

    /// Makes a file's asset used but not managed.
    pub(crate) fn claim_existing(&mut self, path: &str, kind: FindingKind, subject: &str) {
        if let Some(claim) = self.assets.remove(path) {
            self.files.remove(path);
            self.existing.insert(path.to_owned(), (claim.asset_id, claim.input));
            self.findings.add(kind, subject);
        }
    }
}

/// Returns a path without its extension.
fn stem(path: &str) -> &str {
    match extension::of(path) {
        Some(extension) => path.strip_suffix(extension).and_then(|rest| rest.strip_suffix('.')).unwrap_or(path),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::extension::ASPHALT;
    use crate::moving::glob::TheirGlob;

    fn id(number: u64) -> AssetId {
        AssetId::new(number).unwrap()
    }

    /// Creates a file whose content is a letter, which is also its foreign hash.
    fn file(path: &str, letter: char) -> TheirFile {
        let content = ContentHash::from_bytes([u8::try_from(letter).unwrap(); 32]);
        TheirFile { path: path.to_owned(), hashes: Some(FileHashes { content, foreign: letter.to_string() }) }
    }

    fn input(rows: Vec<Row>) -> Input {
        let glob = TheirGlob::crossing("a/**/*").unwrap();
        Input {
            name: "a".to_owned(),
            files: FileSet::Glob { glob, groups: ASPHALT, exact_case: true, exclude: Vec::new() },
            rows,
            existing: Vec::new(),
            outputs: Vec::new(),
            images: Treatment::AsItIs,
            is_packed: false,
        }
    }

    fn source(tool: Tool, rows: Vec<Row>) -> Source {
        Source { tool, creator: None, inputs: vec![input(rows)], findings: Vec::new(), missing_record: None }
    }

    /// Checks the claims of one input, as `path=asset proof`, and the findings as `kind subject`.
    fn check(source: &Source, files: &[TheirFile], expected: &[&str], findings: &[&str]) -> Claims {
        let claims = claims(source, &[files.to_vec()]);
        let actual: Vec<String> =
            claims.assets.iter().map(|(path, claim)| format!("{path}={} {:?}", claim.asset_id, claim.proof)).collect();
        assert_eq!(actual, expected);
        let actual: Vec<String> = claims
            .findings
            .iter()
            .flat_map(|(kind, subjects)| subjects.iter().map(move |subject| format!("{} {subject}", kind.name())))
            .collect();
        assert_eq!(actual, findings);
        claims
    }

    #[test]
    fn a_hash_finds_every_file_that_has_it() {
        let source = source(Tool::Asphalt, vec![Row::of_hash("x", id(5)), Row::of_hash("y", id(6))]);
        let files = [file("a/1.png", 'x'), file("a/2.png", 'x'), file("a/3.png", 'z')];
        check(&source, &files, &["a/1.png=5 Hash", "a/2.png=5 Hash"], &["not_uploaded a/3.png", "file_gone asset 6"]);
    }

    #[test]
    fn a_named_file_counts_as_unchanged_only_with_the_same_hash() {
        let rows = vec![
            Row::of_path("a/1.png", Some("x"), id(5)),
            Row::of_path("a/2.png", Some("y"), id(6)),
            Row::of_path("a/3.png", None, id(7)),
        ];
        let files = [file("a/1.png", 'x'), file("a/2.png", 'n'), file("a/3.png", 'm')];
        check(
            &source(Tool::Mantle, rows),
            &files,
            &["a/1.png=5 Hash", "a/2.png=6 Outdated", "a/3.png=7 Name"],
            &["changed a/2.png (asset 6)", "unchecked a/3.png"],
        );
    }

    #[test]
    fn a_renamed_file_keeps_its_asset() {
        let rows = vec![Row::of_path("a/old.png", Some("x"), id(5))];
        check(&source(Tool::Mantle, rows), &[file("a/new.png", 'x')], &["a/new.png=5 Hash"], &[]);
    }

    #[test]
    fn an_asset_under_two_hashes_is_given_to_no_file() {
        let source = source(Tool::Asphalt, vec![Row::of_hash("x", id(5)), Row::of_hash("y", id(5))]);
        let claims = check(&source, &[file("a/1.png", 'x')], &[], &["shared_id a/1.png"]);
        assert_eq!(claims.existing["a/1.png"], (id(5), 0));
    }

    #[test]
    fn an_asset_that_two_files_claim_by_name_is_given_to_neither() {
        let rows = vec![Row::of_path("a/1.png", None, id(5)), Row::of_path("a/2.png", None, id(5))];
        let files = [file("a/1.png", 'x'), file("a/2.png", 'y')];
        let findings = ["shared_id a/1.png", "shared_id a/2.png", "unchecked a/1.png", "unchecked a/2.png"];
        check(&source(Tool::Asphalt, rows), &files, &[], &findings);
    }

    #[test]
    fn sheets_are_left_out() {
        let rows = vec![Row::of_path("a/1.png", Some("x"), id(5)), Row::of_path("a/2.png", Some("y"), id(5))];
        let files = [file("a/1.png", 'x'), file("a/2.png", 'y')];
        let claims = check(&source(Tool::Tarmac, rows), &files, &[], &["packed_sheet a/1.png", "packed_sheet a/2.png"]);
        assert_eq!(claims.left_out.len(), 2);
        let slice = Row { is_slice: true, ..Row::of_path("a/1.png", Some("x"), id(5)) };
        check(&source(Tool::Tarmac, vec![slice]), &files[..1], &[], &["packed_sheet a/1.png"]);
    }

    #[test]
    fn svg_files_keep_their_assets_unmanaged() {
        let source = source(Tool::Asphalt, vec![Row::of_hash("x", id(5))]);
        let findings = ["drawing a/2.svg", "unusable a/1.svg", "treated a/1.svg"];
        let claims = check(&source, &[file("a/1.svg", 'x'), file("a/2.svg", 'y')], &[], &findings);
        assert_eq!(claims.existing["a/1.svg"], (id(5), 0));
    }

    #[test]
    fn a_bled_image_is_reported_and_a_sound_beside_it_is_not() {
        let mut source = source(Tool::Asphalt, vec![Row::of_hash("x", id(5)), Row::of_hash("y", id(6))]);
        source.inputs[0].images = Treatment::Bleeds;
        let files = [file("a/1.png", 'x'), file("a/2.ogg", 'y')];
        check(&source, &files, &["a/1.png=5 Hash", "a/2.ogg=6 Hash"], &["treated a/1.png"]);
    }

    #[test]
    fn a_module_names_files_without_their_extension() {
        let rows = vec![Row::of_path("a/1", None, id(5)), Row::of_path("a/2", None, id(6)), Row::of_hash("h", id(5))];
        let files = [file("a/1.png", 'x'), file("a/2.png", 'y'), file("a/2.jpg", 'z')];
        let findings = ["not_uploaded a/2.jpg", "not_uploaded a/2.png", "file_gone asset 6 (a/2)", "unchecked a/1.png"];
        check(&source(Tool::Tungsten, rows), &files, &["a/1.png=5 Name"], &findings);
    }

    #[test]
    fn the_first_of_two_inputs_gets_the_file() {
        let mut source = source(Tool::Asphalt, vec![Row::of_hash("x", id(5))]);
        source.inputs.push(input(vec![Row::of_hash("x", id(6))]));
        let files = vec![file("a/1.png", 'x')];
        let claims = claims(&source, &[files.clone(), files]);
        assert_eq!(claims.assets["a/1.png"].asset_id, id(5));
        assert_eq!(claims.findings.of(FindingKind::TwoInputs), ["a/1.png"]);
    }

    #[test]
    fn pattern_and_extension_decide_which_files_are_theirs() {
        let files = &input(Vec::new()).files;
        let theirs = ["a/1.png", "a/.x/1.ogg", "a/1.svg"];
        assert!(theirs.iter().all(|path| is_theirs(files, path)));
        assert!(!["b/1.png", "a/1.PNG", "a/1.txt", "a/1"].iter().any(|path| is_theirs(files, path)));
    }
}
