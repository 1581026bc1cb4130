//! A small typed reader over a parsed TOML document. It goes on after a fault, so that all of them
//! are found in one look.
//!
//! Must never stop at the first fault, and never let a key pass that nobody asked for. Read next:
//! `asset`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{ErrorSink, ManifestError, id_fault, shown};
use super::suggest::{either, nearest};
use crate::model::ids::IdError;

/// A value with its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Names of credentials in other tools' files. A key that contains one of these words gets its own
/// explanation.
pub(super) const CREDENTIAL_WORDS: [&str; 8] =
    ["apikey", "token", "secret", "password", "cookie", "roblosecurity", "credential", "authorization"];
/// Keys that elsewhere say where requests go.
const REMOTE_KEYS: [&str; 6] = ["apiurl", "baseurl", "url", "endpoint", "host", "proxy"];
/// Words of other tools and habits, and the key that is meant.
const SYNONYMS: [(&str, &str); 24] = [
    ("file", "path"),
    ("files", "path"),
    ("filename", "path"),
    ("filepath", "path"),
    ("src", "path"),
    ("source", "path"),
    ("pattern", "path"),
    ("glob", "path"),
    ("name", "display_name"),
    ("title", "display_name"),
    ("desc", "description"),
    ("text", "description"),
    ("kind", "type"),
    ("assettype", "type"),
    ("price", "expected_price"),
    ("cost", "expected_price"),
    ("thumbnail", "icon"),
    ("image", "icon"),
    ("ignore", "exclude"),
    ("user", "user_id"),
    ("group", "group_id"),
    ("owner", "creator"),
    ("user", "creator"),
    ("group", "creator"),
];
/// The words that mean `path`, which an entry can't do without.
pub(super) const FOR_PATH: [&str; 8] = ["file", "files", "filename", "filepath", "src", "source", "pattern", "glob"];
/// The right tables for keys in a wrong one.
const HOMES: [(&str, &str); 31] = [
    ("user_id", "[creator]"),
    ("group_id", "[creator]"),
    ("drift", "[policy]"),
    ("removed", "[policy]"),
    ("replaced", "[policy]"),
    ("archive_after", "[policy]"),
    ("ambiguous_create", "[policy]"),
    ("moderated_name", "[policy]"),
    ("path", "[assets.NAME], [globs.NAME] or [[outputs]]"),
    ("type", "[assets.NAME] or [globs.NAME]"),
    ("display_name", "[assets.NAME] or [globs.NAME]"),
    ("privacy", "[assets.NAME] or [globs.NAME]"),
    ("description", "[assets.NAME], [globs.NAME] or [defaults]"),
    ("expected_price", "[assets.NAME], [globs.NAME] or [defaults]"),
    ("prevent_replace", "[assets.NAME], [globs.NAME] or [defaults]"),
    ("grants", "[assets.NAME], [globs.NAME] or [defaults]"),
    ("social_links", "[assets.NAME], [globs.NAME] or [defaults]"),
    ("icon", "[assets.NAME]"),
    ("previews", "[assets.NAME]"),
    ("exclude", "[globs.NAME] or [[outputs]]"),
    ("style", "[[outputs]]"),
    ("base", "[[outputs]]"),
    ("value", "[[outputs]]"),
    ("types", "[[outputs]]"),
    ("missing", "[[outputs]]"),
    ("strip_extensions", "[[outputs]]"),
    ("include", "[[outputs]]"),
    ("webhook_env", "[notify]"),
    ("title", "a social link"),
    ("uri", "a social link"),
    ("alt_text", "a preview"),
];

/// A key's letters alone, so that `API-Key` and `api_key` are one.
pub(super) fn bare_letters(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct KeyValue<'t> {
    pub(super) name: &'t str,
    pub(super) key: Range<usize>,
    pub(super) value: &'t Value<'t>,
}

/// A table that is being read: what was not taken yet, in the document's order.
#[derive(Debug)]
pub(super) struct TableReader<'t> {
    /// The table's name in messages.
    what: String,
    /// Its header.
    pub(super) place: Range<usize>,
    left: Vec<KeyValue<'t>>,
    known: Vec<&'static str>,
    /// The hint for an unknown key that is a table.
    table_hint: Option<&'static str>,
}

impl<'t> TableReader<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, what: impl Into<String>, place: Range<usize>) -> Self {
        let field = |(key, value): (&'t Spanned<_>, &'t Value<'t>)| {
            let name: &std::borrow::Cow<'t, str> = key.get_ref();
            KeyValue { name: name.as_ref(), key: key.span(), value }
        };
        let mut left: Vec<KeyValue<'t>> = table.iter().map(field).collect();
        left.sort_by_key(|field| field.key.start);
        Self { what: what.into(), place, left, known: Vec::new(), table_hint: None }
    }

    /// Sets the hint for an unknown key that is a table.
    pub(super) const fn set_table_hint(&mut self, hint: &'static str) {
        self.table_hint = Some(hint);
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Takes a key that this table may have.
    pub(super) fn take(&mut self, name: &'static str) -> Option<KeyValue<'t>> {
        self.known.push(name);
        self.take_unlisted(name)
    }

    /// Takes a key that is refused with a reason of its own, so that no suggestion names it.
    pub(super) fn take_unlisted(&mut self, name: &str) -> Option<KeyValue<'t>> {
        let at = self.left.iter().position(|field| field.name == name)?;
        Some(self.left.remove(at))
    }

    /// Takes each table that is left, has this key, and is no near miss of a key that is known here.
    pub(super) fn take_tables_with(&mut self, key: &str) -> Vec<KeyValue<'t>> {
        let known = std::mem::take(&mut self.known);
        let is_meant = |field: &mut KeyValue<'t>| {
            let has_key = matches!(field.value.get_ref(), DeValue::Table(table) if table.contains_key(key));
            has_key && nearest(field.name, known.iter().copied()).is_none()
        };
        let taken = self.left.extract_if(.., is_meant).collect();
        self.known = known;
        taken
    }

    /// Whether one of these keys is there and was not taken.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        self.left.iter().any(|field| names.contains(&field.name))
    }

    /// All that is left, for a table whose keys are the user's own words.
    pub(super) fn rest(self) -> Vec<KeyValue<'t>> {
        self.left
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self, report: &mut ErrorSink) {
        let Self { what, left, known, table_hint, .. } = self;
        for field in left {
            let fault = ManifestError::new(field.key.clone(), format!("unknown key {} in {what}", shown(field.name)));
            let hint = if report.is_crowded() { None } else { Some(unknown_key_hint(&field, table_hint, &known)) };
            report.add(hint.into_iter().fold(fault, ManifestError::hint));
        }
    }
}

/// A hint for an unknown key.
fn unknown_key_hint(field: &KeyValue<'_>, table_hint: Option<&str>, known: &[&'static str]) -> String {
    let letters = bare_letters(field.name);
    let meant = SYNONYMS.iter().find(|(word, key)| *word == letters && known.contains(key));
    if let Some((_, key)) = meant {
        let owner = if letters.starts_with('u') { "user_id" } else { "group_id" };
        return match *key {
            "creator" => format!("did you mean `creator`? Write creator = {{ {owner} = 1234567 }}"),
            key => format!("did you mean `{key}`?"),
        };
    }
    if let Some(near) = nearest(field.name, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    if CREDENTIAL_WORDS.iter().any(|word| letters.contains(word)) {
        return "a manifest holds no credentials: they come from --api-key-file or the environment; revoke one that was committed"
            .to_owned();
    }
    if REMOTE_KEYS.contains(&letters.as_str()) {
        return "the manifest can't choose the server; use the option --api-url".to_owned();
    }
    if let (DeValue::Table(_), Some(hint)) = (field.value.get_ref(), table_hint) {
        return hint.to_owned();
    }
    if let Some((_, home)) = HOMES.iter().find(|(key, _)| *key == field.name) {
        return format!("it belongs under {home}");
    }
    format!("the keys here are {}", either(known).replace(" or ", " and "))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'t> KeyValue<'t> {
    /// The place of the value.
    pub(super) fn place(&self) -> Range<usize> {
        self.value.span()
    }

    /// A fault about the value.
    pub(super) fn fault(&self, message: impl Into<String>) -> ManifestError {
        ManifestError::new(self.place(), message)
    }

    /// The value is of another kind than `wanted`.
    pub(super) fn wrong_kind(&self, wanted: &str) -> ManifestError {
        wrong_kind(self.name, self.value, wanted)
    }

    pub(super) fn table(&self, what: impl Into<String>, report: &mut ErrorSink) -> Option<TableReader<'t>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(TableReader::new(table, what, self.key.clone())),
            _ => {
                report.add(self.wrong_kind("a table"));
                None
            }
        }
    }

    pub(super) fn list(&self, report: &mut ErrorSink) -> Option<&'t DeArray<'t>> {
        match self.value.get_ref() {
            DeValue::Array(list) => Some(list),
            _ => {
                report.add(self.wrong_kind("a list"));
                None
            }
        }
    }

    pub(super) fn text(&self, report: &mut ErrorSink) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                report.add(self.wrong_kind("a string in quotes"));
                None
            }
        }
    }

    /// A list of texts, each with its place. A wrong one is reported and left out.
    pub(super) fn texts(&self, report: &mut ErrorSink) -> Option<Vec<Spanned<&'t str>>> {
        let list = self.list(report)?;
        let mut texts = Vec::with_capacity(list.len());
        for value in list.iter() {
            match value.get_ref() {
                DeValue::String(text) => texts.push(Spanned::new(value.span(), text.as_ref())),
                _ => report.add(wrong_kind(self.name, value, "a list of strings in quotes")),
            }
        }
        Some(texts)
    }

    pub(super) fn boolean(&self, report: &mut ErrorSink) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => {
                report.add(self.wrong_kind("true or false").hint("write it without quotes: true or false"));
                None
            }
        }
    }

    /// A whole number from 0 to the largest that Roblox's `int64` holds.
    pub(super) fn number(&self, report: &mut ErrorSink) -> Option<u64> {
        match self.value.get_ref() {
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
                let number = number.and_then(|number| u64::try_from(number).ok());
                if number.is_none() {
                    report.add(self.fault(format!(
                        "{} must be a whole number from 0 to {}, not {}",
                        shown(self.name),
                        i64::MAX,
                        shown(&digits.to_string())
                    )));
                }
                number
            }
            DeValue::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                report
                    .add(self.wrong_kind("a number").hint(format!("write it without quotes: {}", digits_shown(text))));
                None
            }
            _ => {
                report.add(self.wrong_kind("a number"));
                None
            }
        }
    }

    /// An ID: a positive number.
    pub(super) fn id<T>(&self, make: impl Fn(u64) -> Result<T, IdError>, report: &mut ErrorSink) -> Option<T> {
        let number = self.number(report)?;
        make(number).map_err(|error| report.add(id_fault(self.place(), &error))).ok()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, options: &[(&'static str, T)], report: &mut ErrorSink) -> Option<T> {
        let text = self.text(report)?;
        if let Some((_, value)) = options.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names = || options.iter().map(|(name, _)| *name);
        let fault = self.fault(format!("{} can't be {}", shown(self.name), shown(text)));
        report.add(match nearest(text, names()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("it can be {}", either(names()))),
        });
        None
    }
}

pub(super) fn digits_shown(text: &str) -> String {
    text.chars().take(20).collect()
}

/// The value of `name` is of another kind than `wanted`.
pub(super) fn wrong_kind(name: &str, value: &Value<'_>, wanted: &str) -> ManifestError {
    ManifestError::new(value.span(), format!("{} must be {wanted}, not {}", shown(name), kind(value.get_ref())))
}
