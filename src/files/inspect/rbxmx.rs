//! XML Roblox models: finds whether the single root is an animation, with a pull parser.
//!
//! Only the tags reach the parser (`Tags`), so neither a mesh of megabytes nor a byte that isn't
//! UTF-8 matters. One tag at a time is in memory.
//!
//! Read next: `tags`.

use std::io::{self, BufRead, BufReader, Read};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, errors::Error};

use super::rbxm::ANIMATION_CLASSES;
use super::source::FileSource;
use super::tags::Tags;
use super::{Unfit, damaged, unfit};
use crate::model::file::{ContentFacts, ModelRoot};

/// The longest tag that is kept in memory, in bytes.
const MAX_TAG: usize = 1 << 16;
/// Deeper than Roblox instances nest; the parser remembers the names of all open elements.
const MAX_DEPTH: usize = 20_000;

/// A reader that ends once a tag took too many bytes.
struct Metered<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        let read = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        Ok(bytes.get(..bytes.len().min(self.left)).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

/// The roots so far.
#[derive(Debug, Default)]
struct Roots {
    count: usize,
    animation: bool,
}

/// The first line of a conflict that git left in a text.
const CONFLICT: &[u8] = b"<<<<<<< ";

pub(super) fn rbxmx(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    match read(source) {
        Err(Unfit::Problem(_)) if has_conflict(source)? => Err(unfit(
            "the file has git's conflict markers",
            "take one side, with `git checkout --ours` or `--theirs`, then `git add` it",
        )),
        result => result,
    }
}

/// Returns whether a line of the file begins a conflict of git's.
fn has_conflict(source: &mut FileSource<'_>) -> io::Result<bool> {
    source.seek(0)?;
    let mut start = Vec::new();
    loop {
        start.clear();
        source.by_ref().take(CONFLICT.len() as u64).read_until(b'\n', &mut start)?;
        match start.last() {
            None => return Ok(false),
            Some(_) if start == CONFLICT => return Ok(true),
            Some(b'\n') => {}
            Some(_) => drop(source.skip_until(b'\n')?),
        }
    }
}

fn read(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let tags = BufReader::new(Tags::new(source));
    let mut reader = Reader::from_reader(Metered { inner: tags, left: MAX_TAG });
    let mut buffer = Vec::new();
    let mut roots = Roots::default();
    let mut depth = 0_usize;
    let mut seen = false;
    loop {
        buffer.clear();
        reader.get_mut().left = MAX_TAG;
        let event = reader.read_event_into(&mut buffer);
        if reader.get_ref().left == 0 {
            return Err(damaged("the XML is damaged: a tag has no end"));
        }
        match event {
            Ok(Event::Start(element)) => {
                visit(&element, depth, &mut roots)?;
                seen = true;
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(damaged("the XML is nested too deep"));
                }
            }
            Ok(Event::Empty(element)) => {
                visit(&element, depth, &mut roots)?;
                seen = true;
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) if !seen => return Err(damaged("the content isn't XML")),
            Ok(Event::Eof) if depth > 0 || !reader.get_ref().inner.get_ref().is_complete() => {
                return Err(super::cut_off());
            }
            Ok(Event::Eof) if roots.count == 1 && roots.animation => {
                return Ok(ContentFacts::Instances { root: ModelRoot::Animation });
            }
            Ok(Event::Eof) => return Ok(ContentFacts::Instances { root: ModelRoot::Other }),
            Ok(_) => {}
            Err(Error::Io(error)) => return Err(Unfit::Read(io::Error::new(error.kind(), error))),
            Err(_) if !reader.get_ref().inner.get_ref().is_complete() => return Err(super::cut_off()),
            Err(error) => return Err(damaged(&format!("the XML is damaged: {error}"))),
        }
    }
}

fn visit(element: &BytesStart<'_>, depth: usize, roots: &mut Roots) -> Result<(), Unfit> {
    match (depth, element.name().as_ref()) {
        (0, "roblox") => {}
        (0, _) => return Err(unfit("the XML isn't a Roblox model", "export it from Studio as .rbxmx")),
        (1, "Item") => {
            let class = element.try_get_attribute("class").ok().flatten();
            roots.count += 1;
            roots.animation = class.is_some_and(|class| ANIMATION_CLASSES.contains(&&*class.value));
        }
        _ => {}
    }
    Ok(())
}
