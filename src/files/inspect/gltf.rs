//! glTF: checks that no data lies outside the file, and that the data inside is complete. The text
//! form is JSON; the binary form (.glb) holds JSON in its first chunk.
//!
//! The JSON is read as a stream. Its strings can be as long as the file (a buffer as a `data:`
//! URI), so they are shortened before the parser sees them. Source: Khronos, "glTF 2.0
//! Specification".

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::source::FileSource;
use super::{Unfit, cut_off, damaged, unfit};
use crate::model::file::ContentFacts;

/// The bytes to keep of a string: enough to recognize a URI's kind and to name a file.
const KEPT: usize = 1024;
/// The deepest nesting. The parser's own limit is 128, but it has none for the values that it
/// ignores.
const MAX_DEPTH: usize = 120;

pub(super) fn gltf(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    if source.peek(3)? == b"\xef\xbb\xbf" {
        source.skip(3)?;
    }
    let length = source.left();
    match check_json(source, length)? {
        None => Ok(ContentFacts::Opaque),
        Some(_) => Err(no_data("the model's first buffer has no data in this file")),
    }
}

pub(super) fn glb(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(4)?;
    let version = u32::from_le_bytes(source.bytes()?);
    if version != 2 {
        return Err(other_version(&version.to_string()));
    }
    let length = u32::from_le_bytes(source.bytes()?);
    if u64::from(length) > source.length() {
        return Err(cut_off());
    }
    let json = u32::from_le_bytes(source.bytes()?);
    if &source.bytes::<4>()? != b"JSON" {
        return Err(damaged("the glTF's first chunk isn't JSON"));
    }
    if u64::from(json) > source.left() {
        return Err(cut_off());
    }
    let after = source.position() + u64::from(json);
    let wanted = check_json(source, json.into())?;
    source.seek(after)?;
    let Some(wanted) = wanted else { return Ok(ContentFacts::Opaque) };
    match binary_chunk(source)? {
        Some(length) if length >= wanted => Ok(ContentFacts::Opaque),
        Some(length) => Err(no_data(&format!(
            "the model's first buffer has {length} bytes in this file, of {wanted} that it needs"
        ))),
        None => Err(no_data("the model's first buffer has no data in this file: the binary chunk is missing")),
    }
}

/// Returns the length of the chunk that holds the first buffer, starting behind the JSON. Chunks of
/// other kinds are for extensions.
fn binary_chunk(source: &mut FileSource<'_>) -> Result<Option<u64>, Unfit> {
    while source.left() >= 8 {
        let length = u64::from(u32::from_le_bytes(source.bytes()?));
        let kind: [u8; 4] = source.bytes()?;
        source.skip(length)?;
        if &kind == b"BIN\0" {
            return Ok(Some(length));
        }
    }
    Ok(None)
}

fn no_data(message: &str) -> Unfit {
    unfit(message, "export it again as .glb, or as glTF with embedded buffers")
}

fn other_version(version: &str) -> Unfit {
    unfit(format!("the model is glTF version {version:?}, not 2.0"), "export it as glTF 2.0")
}

#[derive(Deserialize)]
struct GltfDocument {
    asset: Option<GltfAsset>,
    #[serde(default)]
    buffers: Resources,
    #[serde(default)]
    images: Resources,
}

#[derive(Deserialize)]
struct GltfAsset {
    version: String,
}

/// Returns the length of the first buffer if it has no URI: a binary chunk must hold it then.
fn check_json(source: &mut FileSource<'_>, length: u64) -> Result<Option<u64>, Unfit> {
    let mut shortened = Shortened::new(source.take(length));
    let parsed: Result<GltfDocument, serde_json::Error> = serde_json::from_reader(BufReader::new(&mut shortened));
    let document = match parsed {
        Ok(document) => document,
        Err(error) if error.is_io() => return Err(Unfit::Read(error.into())),
        Err(_) if shortened.too_deep => return Err(damaged("the glTF's JSON is nested too deep")),
        Err(error) if error.is_eof() => return Err(cut_off()),
        // The parser's position is one in the shortened text, which tells a person nothing.
        Err(error) if error.is_data() => return Err(damaged("the glTF's JSON has another structure than glTF")),
        Err(_) => return Err(damaged("the glTF's JSON is damaged")),
    };
    let GltfDocument { asset, buffers, images } = document;
    match asset {
        Some(asset) if asset.version.starts_with("2.") => {}
        Some(asset) => return Err(other_version(&asset.version)),
        // Version 1.0 doesn't need an `asset`, and has its lists by name.
        None if buffers.by_name || images.by_name => return Err(other_version("1.0")),
        None => return Err(damaged("the glTF's JSON is damaged: missing field `asset`")),
    }
    if buffers.by_name || images.by_name {
        return Err(damaged("the glTF's JSON is damaged: its buffers and images have to be lists"));
    }
    let missing = buffers.missing;
    let first = buffers.first;
    for (kind, outside) in [("buffer", buffers.outside), ("image", images.outside)] {
        if let Some(uri) = outside {
            return Err(unfit(
                format!("the model's {kind} lies in another file, {uri:?}, which would not be uploaded"),
                "export it as .glb, or as glTF with embedded buffers and images",
            ));
        }
    }
    if let Some(index) = missing {
        return Err(no_data(&format!("the model's buffer {index} has no data in this file")));
    }
    Ok(first)
}

/// The facts of a list of buffers or images.
#[derive(Debug, Default)]
struct Resources {
    /// The first URI that is not a `data:` URI.
    outside: Option<String>,
    /// The length in bytes of the first entry, if it has no URI.
    first: Option<u64>,
    /// The index of another entry without data of its own.
    missing: Option<usize>,
    /// It is not a list: glTF 1.0 has named ones.
    by_name: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    uri: Option<String>,
    byte_length: Option<u64>,
    buffer_view: Option<IgnoredAny>,
    /// An extension may say where the data is, or that none is needed (EXT_meshopt_compression,
    /// "fallback buffers").
    extensions: Option<IgnoredAny>,
}

impl Resources {
    fn add(&mut self, index: usize, resource: Resource) {
        let Resource { uri, byte_length, buffer_view, extensions } = resource;
        let is_inside = |uri: &str| uri.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
        match uri {
            Some(uri) if is_inside(&uri) => {}
            Some(uri) => self.outside = self.outside.take().or_else(|| Some(uri.chars().take(80).collect())),
            None if buffer_view.is_some() || extensions.is_some() || byte_length == Some(0) => {}
            None if index == 0 => self.first = Some(byte_length.unwrap_or(0)),
            None => self.missing = self.missing.or(Some(index)),
        }
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Resources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of buffers or images")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Resources, A::Error> {
                let mut resources = Resources::default();
                let mut index = 0;
                while let Some(resource) = list.next_element()? {
                    resources.add(index, resource);
                    index += 1;
                }
                Ok(resources)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resources, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Resources { by_name: true, ..Resources::default() })
            }
        }

        deserializer.deserialize_any(List)
    }
}

/// A reader of JSON that shortens long strings, and ends where the nesting is too deep.
struct Shortened<R> {
    inner: R,
    /// Bytes of the string so far; `None` outside strings.
    string: Option<usize>,
    /// Bytes that still belong to an escape.
    escape: u8,
    cutting: bool,
    depth: usize,
    too_deep: bool,
}

impl<R: Read> Shortened<R> {
    fn new(inner: R) -> Self {
        Self { inner, string: None, escape: 0, cutting: false, depth: 0, too_deep: false }
    }

    /// Returns whether to keep the byte.
    fn keeps(&mut self, byte: u8) -> bool {
        let Some(length) = &mut self.string else {
            match byte {
                b'"' => self.string = Some(0),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.too_deep |= self.depth > MAX_DEPTH;
            return !self.too_deep;
        };
        *length += 1;
        // A cut falls before a plain character, never within an escape, a pair of them, or a
        // character of several bytes.
        let plain = self.escape == 0 && byte.is_ascii() && byte != b'\\' && byte != b'"';
        if *length > KEPT && plain {
            self.cutting = true;
        }
        match (self.escape, byte) {
            (0, b'"') => {
                (self.string, self.cutting) = (None, false);
                return true;
            }
            (0, b'\\') => self.escape = 1,
            (1, b'u') => self.escape = 4 + 1,
            (0, _) => {}
            (1, _) => self.escape = 0,
            // Within the four digits: 5 becomes 4 … and the last one ends it.
            (2, _) => self.escape = 0,
            (more, _) => self.escape = more - 1,
        }
        !self.cutting
    }
}

impl<R: Read> Read for Shortened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 || self.too_deep {
                return Ok(0);
            }
            let mut kept = 0;
            for index in 0..read {
                let Some(byte) = buffer.get(index).copied() else { break };
                if self.keeps(byte) {
                    buffer.get_mut(kept).into_iter().for_each(|slot| *slot = byte);
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shorten(text: &str) -> String {
        let mut out = String::new();
        Shortened::new(text.as_bytes()).read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn short_strings_pass_as_they_are() {
        for text in [r#"{"a":"b\"c\\","d":["\u0041\n","é"]}"#, "[]", r#""\\""#] {
            assert_eq!(shorten(text), text);
        }
    }

    #[test]
    fn long_strings_are_cut_between_characters() {
        for piece in ["x", "é", r"\u00e9", r"\ud83d\ude00", r#"\""#, r"\\", r"é\n", "aé"] {
            let text = format!(r#"{{"a":"{}","b":1}}"#, piece.repeat(4000));
            let cut = shorten(&text);
            let value: serde_json::Value = serde_json::from_str(&cut).unwrap();
            let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["b"], 1);
            assert!(whole["a"].as_str().unwrap().starts_with(value["a"].as_str().unwrap()), "{piece}");
        }
        assert_eq!(shorten(&format!("\"{}\"", "x".repeat(4000))).len(), KEPT + 2);
    }
}
