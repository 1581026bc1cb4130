//! The filters of a checkout: what makes of a file something else that git keeps.
//!
//! A filter is a program that the repository's configuration or the user's names. Git runs it to
//! compare a file, and a repository may come from a stranger: they are switched off, never run. Read
//! next: [`super::at_commit`].

use std::collections::BTreeSet;

use super::ask::{CheckoutFile, FILES, attribute_values, contents, why};

/// The name of the files that say how git keeps others.
pub(super) const ATTRIBUTES: &str = ".gitattributes";

/// The attributes by which git keeps a file otherwise than it is, apart from ends of lines.
const CONVERSIONS: [&str; 3] = ["filter", "ident", "working-tree-encoding"];

/// The name of Git LFS's filter.
const LFS: &str = "lfs";

/// The filters that git's configuration names.
pub(super) struct Filters {
    switched_off: Vec<String>,
    /// The filter of the name `lfs` is Git LFS.
    is_lfs: bool,
    /// The configuration of this clone names another one than that of Git LFS.
    has_own: bool,
    /// Git LFS makes something else of a file before it keeps it.
    has_lfs_extension: bool,
}

impl Filters {
    /// # Errors
    /// Returns why they are unknown: lower case, no full stop.
    pub(super) fn of(place: &CheckoutFile) -> Result<Self, String> {
        let all = settings(place, &[])?;
        let (extensions, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|setting| setting.is_extension);
        let own = if all.is_empty() { Vec::new() } else { settings(place, &["--local", "--includes"])? };
        let is_program = |key: &str| matches!(key, "clean" | "process");
        let of_lfs = all.iter().filter(|setting| setting.filter == LFS && is_program(&setting.key));
        let is_git_lfs = |command: &str| command.contains("git-lfs") || command.contains("git lfs");
        let is_lfs = of_lfs.into_iter().all(|setting| is_git_lfs(&setting.value));
        let names: BTreeSet<&str> = all.iter().map(|setting| setting.filter.as_str()).collect();
        // An option ends its name there.
        if let Some(name) = names.iter().find(|name| name.contains('=')) {
            return Err(format!("the filter {name:?} of git's configuration can't be switched off"));
        }
        let off = |name: &&str| ["clean=", "process=", "required=false"].map(|value| format!("filter.{name}.{value}"));
        let switched_off = names.iter().flat_map(off).collect();
        let is_other =
            |setting: &Setting| is_program(&setting.key) && !setting.is_extension && !(setting.filter == LFS && is_lfs);
        let has_lfs_extension = !extensions.is_empty();
        Ok(Self { switched_off, is_lfs, has_own: own.iter().any(is_other), has_lfs_extension })
    }

    /// Returns the settings with which git runs no filter.
    pub(super) fn switched_off(&self) -> &[String] {
        &self.switched_off
    }

    /// Returns whether a pointer of Git LFS may name another content than that of the file.
    pub(super) const fn has_lfs_extension(&self) -> bool {
        self.has_lfs_extension
    }

    /// Returns whether git may have kept a file of the checkout as something else than its bytes, the
    /// same with other ends of lines, or a pointer of Git LFS. `attributes` are the objects of the files
    /// of attributes at an earlier commit, and `paths` the files of which one may have been kept so.
    ///
    /// # Errors
    /// Returns why it is unknown: lower case, no full stop.
    pub(super) fn may_have_changed_files<'a>(
        &self,
        place: &CheckoutFile,
        attributes: impl Iterator<Item = &'a str>,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<bool, String> {
        if self.has_own {
            return Ok(true);
        }
        let objects: String = attributes.flat_map(|object| [object, "\n"]).collect();
        let answer = place.ask_for(&["cat-file", "--batch"], objects.as_bytes(), FILES)?;
        if !answer.status.success() {
            return Err(why(&answer));
        }
        // One that is not here may say anything.
        let is_open = |text: &Option<Vec<u8>>| {
            text.as_ref()
                .is_none_or(|text| String::from_utf8_lossy(text).split('\n').any(|line| self.sets_conversion(line)))
        };
        if contents(&answer.raw).iter().any(is_open) {
            return Ok(true);
        }
        let names: String = paths.flat_map(|path| [path, "\0"]).collect();
        let query = [&["check-attr", "--stdin", "-z"], &CONVERSIONS[..]].concat();
        let answer = place.ask_for(&query, names.as_bytes(), FILES)?;
        if !answer.status.success() {
            return Err(why(&answer));
        }
        Ok(attribute_values(&answer).any(|(name, value)| self.is_conversion(&name, &value)))
    }

    /// Whether a line of a file of attributes sets one of the [`CONVERSIONS`], for whatever files.
    fn sets_conversion(&self, line: &str) -> bool {
        // Git's blanks; others are a part of a name or of a value.
        let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let is_comment = words.next().is_none_or(|first| first.starts_with('#'));
        !is_comment
            && words.any(|word| match word.split_once('=') {
                Some((name, value)) => self.is_conversion(name, value),
                None => self.is_conversion(word, "set"),
            })
    }

    fn is_conversion(&self, attribute: &str, value: &str) -> bool {
        match (attribute, value) {
            (_, "unspecified" | "unset") => false,
            ("filter", LFS) => !self.is_lfs,
            // Git takes this for no filter.
            ("filter", "set") => false,
            ("ident", value) => value == "set",
            ("working-tree-encoding", value) => !value.eq_ignore_ascii_case("utf-8"),
            (name, _) => name == "filter",
        }
    }
}

/// A setting of a filter, or of an extension of Git LFS.
struct Setting {
    filter: String,
    is_extension: bool,
    /// In lower case.
    key: String,
    value: String,
}

/// Returns the settings of filters in git's configuration, or in a part of it.
fn settings(place: &CheckoutFile, part: &[&str]) -> Result<Vec<Setting>, String> {
    let query = [&["config"], part, &["-z", "--get-regexp", r"^(filter|lfs\.extension)\."]].concat();
    let answer = place.ask_for(&query, b"", FILES)?;
    match answer.status.code() {
        Some(0) => answer.raw.split(|byte| *byte == 0).filter_map(setting).collect(),
        Some(1) => Ok(Vec::new()),
        Some(_) | None => Err(why(&answer)),
    }
}

/// Reads a setting such as `filter.lfs.clean`, a line break and its value; without the latter two,
/// it is only there.
///
/// # Errors
/// When the filter can't be named: a name with replacements would be another filter's.
fn setting(text: &[u8]) -> Option<Result<Setting, String>> {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (name, value) = text.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else {
        let name = String::from_utf8_lossy(name);
        return Some(Err(format!(
            "{name:?} of git's configuration is not UTF-8, so this filter can't be switched off"
        )));
    };
    let (named, is_extension) = match name.strip_prefix("lfs.extension.") {
        Some(named) => (named, true),
        None => (name.strip_prefix("filter.")?, false),
    };
    let (filter, key) = named.rsplit_once('.')?;
    let value = String::from_utf8_lossy(value).into_owned();
    Some(Ok(Setting { filter: filter.to_owned(), is_extension, key: key.to_owned(), value }))
}
