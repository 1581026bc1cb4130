//! Reduces XML to its tags.
//!
//! Text, comments, CDATA sections, processing instructions and document types are left out, however
//! long they are. Every byte that isn't ASCII becomes `_`, since a model's structure is in its
//! tags, whatever the encoding of its strings. Quotes keep a `>` in a value from ending its tag.

use std::io::{self, Read};

/// The context of the next byte in the XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XmlPosition {
    Text,
    /// Behind `<`.
    Opened,
    /// Within a tag, and within these quotes.
    Tag(Option<u8>),
    /// Behind `<!`.
    Bang,
    /// Behind `<!-`.
    Dash,
    /// Within a comment, behind this many dashes.
    Comment(u8),
    /// Within a CDATA section, behind this many brackets.
    CData(u8),
    /// Within a processing instruction, and whether behind `?`.
    Instruction(bool),
    /// Within a document type: open angles, and these quotes.
    DocumentType {
        open: u32,
        quote: Option<u8>,
    },
}

/// A reader of the tags of the XML in `inner`.
pub(super) struct Tags<R> {
    inner: R,
    place: XmlPosition,
    /// Bytes that are ready and not read yet.
    out: Vec<u8>,
    read: usize,
}

impl<R: Read> Tags<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, place: XmlPosition::Text, out: Vec::new(), read: 0 }
    }

    /// Returns whether the input so far ends outside of any tag, comment or section.
    pub(super) fn is_complete(&self) -> bool {
        self.place == XmlPosition::Text
    }

    fn push(&mut self, byte: u8) {
        let counted = |mark: u8, count: u8| if byte == mark { count.saturating_add(1).min(2) } else { 0 };
        self.place = match (self.place, byte) {
            (XmlPosition::Text, b'<') => XmlPosition::Opened,
            (XmlPosition::Text, _) => XmlPosition::Text,
            (XmlPosition::Opened, b'!') => XmlPosition::Bang,
            (XmlPosition::Opened, b'?') => XmlPosition::Instruction(false),
            (XmlPosition::Opened, _) => {
                self.out.push(b'<');
                self.tag(byte, None)
            }
            (XmlPosition::Tag(quote), _) => self.tag(byte, quote),
            (XmlPosition::Bang, b'-') => XmlPosition::Dash,
            (XmlPosition::Bang, b'[') => XmlPosition::CData(0),
            (XmlPosition::Dash, b'-') => XmlPosition::Comment(0),
            (XmlPosition::Bang | XmlPosition::Dash, b'>') => XmlPosition::Text,
            (XmlPosition::Bang | XmlPosition::Dash, _) => XmlPosition::DocumentType { open: 1, quote: None },
            (XmlPosition::Comment(2), b'>')
            | (XmlPosition::CData(2), b'>')
            | (XmlPosition::Instruction(true), b'>') => XmlPosition::Text,
            (XmlPosition::Comment(dashes), _) => XmlPosition::Comment(counted(b'-', dashes)),
            (XmlPosition::CData(brackets), _) => XmlPosition::CData(counted(b']', brackets)),
            (XmlPosition::Instruction(_), _) => XmlPosition::Instruction(byte == b'?'),
            (XmlPosition::DocumentType { open, quote: Some(quote) }, _) => {
                XmlPosition::DocumentType { open, quote: (byte != quote).then_some(quote) }
            }
            (XmlPosition::DocumentType { open, quote: None }, b'"' | b'\'') => {
                XmlPosition::DocumentType { open, quote: Some(byte) }
            }
            (XmlPosition::DocumentType { open, quote: None }, b'<') => {
                XmlPosition::DocumentType { open: open.saturating_add(1), quote: None }
            }
            (XmlPosition::DocumentType { open: 1, quote: None }, b'>') => XmlPosition::Text,
            (XmlPosition::DocumentType { open, quote: None }, b'>') => {
                XmlPosition::DocumentType { open: open - 1, quote: None }
            }
            (place @ XmlPosition::DocumentType { .. }, _) => place,
        };
    }

    /// Passes on a byte of a tag.
    fn tag(&mut self, byte: u8, quote: Option<u8>) -> XmlPosition {
        self.out.push(if byte.is_ascii() { byte } else { b'_' });
        match (quote, byte) {
            (None, b'>') => XmlPosition::Text,
            (None, b'"' | b'\'') => XmlPosition::Tag(Some(byte)),
            (Some(quote), _) if byte == quote => XmlPosition::Tag(None),
            (quote, _) => XmlPosition::Tag(quote),
        }
    }
}

impl<R: Read> Read for Tags<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut block = [0; 4096];
        while self.read == self.out.len() {
            self.out.clear();
            self.read = 0;
            let read = self.inner.read(&mut block)?;
            if read == 0 {
                return Ok(0);
            }
            block.iter().take(read).for_each(|byte| self.push(*byte));
        }
        let rest = self.out.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (to, from) = (buffer.get_mut(..count).unwrap_or_default(), rest.get(..count).unwrap_or_default());
        to.copy_from_slice(from);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &[u8], expected: &str, complete: bool) {
        let mut tags = Tags::new(xml);
        let mut out = String::new();
        tags.read_to_string(&mut out).unwrap();
        assert_eq!((out.as_str(), tags.is_complete()), (expected, complete), "{}", xml.escape_ascii());
    }

    #[test]
    fn only_tags_are_left() {
        check(b"<?xml version=\"1.0\" encoding='x>y'?>\n<a b=\"c\">text &amp; <d/></a>\n", "<a b=\"c\"><d/></a>", true);
        check(b"<a><!-- <b> -- > ---></a>", "<a></a>", true);
        check(b"<a><![CDATA[ <b> ]] > ]]]></a>", "<a></a>", true);
        check(b"<!DOCTYPE a [<!ENTITY b \"<c>]>\"> <!ELEMENT a (#PCDATA)>]><a/>", "<a/>", true);
        check(b"<a b='1>2' c=\">'>\"/>", "<a b='1>2' c=\">'>\"/>", true);
        check(b"<a>\xe9\0\xff</a>", "<a></a>", true);
        check(b"<\xc3\xa9 b=\"\xe9\"/>", "<__ b=\"_\"/>", true);
        check(b"plain", "", true);
    }

    #[test]
    fn an_unclosed_part_is_not_complete() {
        for xml in
            ["<a", "<a b=\">", "<a><!-- x --", "<a><![CDATA[x]]", "<?xml ", "<!DOCTYPE a [<!E>", "<", "<!", "<!-"]
        {
            let mut tags = Tags::new(xml.as_bytes());
            tags.read_to_end(&mut Vec::new()).unwrap();
            assert!(!tags.is_complete(), "{xml}");
        }
    }

    #[test]
    fn a_text_of_megabytes_takes_no_memory() {
        let mut tags = Tags::new(io::Read::chain(&b"<a>"[..], io::repeat(b'x').take(50 << 20)));
        let mut out = Vec::new();
        tags.read_to_end(&mut out).unwrap();
        assert_eq!(out, b"<a>");
        assert!(tags.out.capacity() < 100_000);
    }
}
