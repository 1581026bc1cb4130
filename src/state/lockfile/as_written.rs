//! Reads an entry that looks exactly as [`write()`](super::write()) renders it, without TOML's tree
//! of it. Nearly every entry of every lockfile does.
//!
//! Must never read anything else than TOML would, nor something that TOML refuses: whatever differs
//! by a space, has an escape, or has keys that few entries have is left to [`parse`](mod@super::parse). A
//! property compares the two.

use std::collections::BTreeMap;

use super::LockfileEntry;
use super::forms::{EntryText, FieldsText, NumberForm, Numbered, RetirementText, RevisionText, Spelled, TextForm};
use super::write::LAST_LINE;
use crate::model::address::Address;
use crate::model::metadata::Field;

/// The most digits of a number that certainly fits TOML's.
const DIGITS: usize = 18;

/// Reads the entry in a part of a lockfile that begins with an entry's first line and ends before
/// the next table; `None` if it isn't exactly as `write` renders it.
pub(super) fn read(part: &str) -> Option<(Address, LockfileEntry)> {
    let mut text = Text(part);
    text.take("[assets.")?;
    let name = text.quoted()?;
    text.take("]\n")?;
    let entry = text.entry()?;
    text.take("\n")?;
    let Text(rest) = text;
    if !rest.is_empty() && rest.strip_suffix('\n') != Some(LAST_LINE) {
        return None;
    }
    let address = Address::new(name).ok()?;
    let entry = entry.read(address.as_str()).ok()?;
    Some((address, entry))
}

/// The rest of a part.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Goes past `text`, which is next.
    fn take(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Goes past `text` if it is next.
    fn skip(&mut self, text: &str) -> bool {
        self.take(text).is_some()
    }

    /// Reads a value that `begin` announces; `Some(None)` if it isn't next.
    fn after<T>(&mut self, begin: &str, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.skip(begin) { value(self).map(Some) } else { Some(None) }
    }

    /// A string in quotes that stands for itself.
    fn quoted(&mut self) -> Option<&'a str> {
        self.take("\"")?;
        let is_special = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f);
        let end = self.0.bytes().position(is_special)?;
        let (text, rest) = (self.0.get(..end)?, self.0.get(end..)?);
        self.0 = rest;
        self.take("\"")?;
        Some(text)
    }

    fn text<T: Spelled>(&mut self) -> Option<TextForm<T>> {
        T::read(self.quoted()?).ok().map(TextForm)
    }

    /// A number without a sign, and without a zero before it.
    fn digits(&mut self) -> Option<u64> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = (self.0.get(..length)?, self.0.get(length..)?);
        if length > DIGITS || (digits.starts_with('0') && length > 1) {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    fn number<T: Numbered>(&mut self) -> Option<NumberForm<T>> {
        T::read(self.digits()?).ok().map(NumberForm)
    }

    fn count(&mut self) -> Option<u32> {
        self.digits()?.try_into().ok()
    }

    /// The lines of an entry after its first one.
    fn entry(&mut self) -> Option<EntryText> {
        self.take("type = ")?;
        let asset_type = self.text()?;
        self.take("\ncreator = ")?;
        let creator = self.text()?;
        self.take("\n")?;
        let mut entry = EntryText::new(asset_type, creator);
        entry.privacy = self.after("privacy = ", |text| text.line(Self::text))?;
        entry.path = self.after("path = ", |text| text.line(Self::text))?;
        entry.removed = self.skip("removed = true\n");
        entry.asked = self.after("asked = ", |text| text.line(Self::fields))?.unwrap_or_default();
        entry.stored = self.after("stored = ", |text| text.line(Self::fields))?.unwrap_or_default();
        entry.revisions = self.after("revisions = [\n", |text| text.list(Self::revision))?.unwrap_or_default();
        entry.retirements = self.after("retirements = [\n", |text| text.list(Self::retirement))?.unwrap_or_default();
        Some(entry)
    }

    /// A value and the end of its line.
    fn line<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = value(self)?;
        self.take("\n")?;
        Some(value)
    }

    /// The digests of some fields, in the fields' order.
    fn fields(&mut self) -> Option<FieldsText> {
        let mut fields = BTreeMap::new();
        self.take("{ ")?;
        loop {
            let field: TextForm<Field> = match self.0.starts_with('"') {
                true => self.dotted_field()?,
                false => self.bare_field()?,
            };
            // TOML refuses one that comes twice.
            if fields.last_key_value().is_some_and(|(last, _)| *last >= field) {
                return None;
            }
            self.take(" = ")?;
            fields.insert(field, self.text()?);
            if self.skip(" }") {
                return Some(FieldsText(fields));
            }
            self.take(", ")?;
        }
    }

    fn dotted_field(&mut self) -> Option<TextForm<Field>> {
        Field::read(self.quoted()?).ok().map(TextForm)
    }

    fn bare_field(&mut self) -> Option<TextForm<Field>> {
        let length = self.0.bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
        let (name, rest) = (self.0.get(..length)?, self.0.get(length..)?);
        self.0 = rest;
        Field::read(name).ok().map(TextForm)
    }

    /// The lines of a list, of which there is at least one, and its end.
    fn list<T>(&mut self, line: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut lines = vec![line(self)?];
        while !self.skip("]\n") {
            lines.push(line(self)?);
        }
        Some(lines)
    }

    fn revision(&mut self) -> Option<RevisionText> {
        self.take("  { asset_id = ")?;
        let asset_id = self.number()?;
        let revision = RevisionText {
            asset_id,
            revision: self.after(", revision = ", Self::number)?,
            ordinal: self.after(", ordinal = ", Self::count)?,
            content_hash: self.after(", content_hash = ", Self::text)?,
            state: self.after(", state = ", Self::text)?,
            round: self.after(", round = ", Self::count)?,
            asset_type: self.after(", type = ", Self::text)?,
            creator: self.after(", creator = ", Self::text)?,
            shared: self.skip(", shared = true"),
            duplicate: self.skip(", duplicate = true"),
            disputed: self.skip(", disputed = true"),
            era: self.after(", era = ", Self::count)?.unwrap_or_default(),
        };
        self.take(" },\n")?;
        Some(revision)
    }
    fn retirement(&mut self) -> Option<RetirementText> {
        self.take("  { asset_id = ")?;
        let asset_id = self.number()?;
        self.take(", why = ")?;
        let why = self.text()?;
        self.take(", since = ")?;
        let since = self.text()?;
        let archived_at = self.after(", archived_at = ", Self::text)?;
        self.take(" },\n")?;
        Some(RetirementText { asset_id, why, since, archived_at })
    }
}
