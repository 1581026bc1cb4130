//! XML Roblox models: whether the single root is an animation, by a pull parser.
//!
//! One event at a time and bounded: an event longer than a mebibyte (a union's mesh) or elements nested deeper than models are end the look, and
//! the model is taken for no animation.

use std::io::{self, BufRead, Read};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, errors::Error};

use super::rbxm::ANIMATION_CLASSES;
use super::source::Source;
use super::{Unfit, damaged, unfit};
use crate::model::file::ContentFacts;

/// The longest event that is kept in memory, in bytes.
const MAX_EVENT: usize = 1 << 20;
/// Deeper than Roblox instances nest.
const MAX_DEPTH: usize = 2000;

/// Passes bytes on until one event took too many.
struct Metered<'s, 'a> {
    source: &'s mut Source<'a>,
    left: usize,
}

impl Metered<'_, '_> {
    fn spent(&self) -> bool {
        self.left == 0
    }
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        let read = self.source.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

impl BufRead for Metered<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.source.fill_buf()?;
        Ok(bytes.get(..bytes.len().min(self.left)).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.source.consume(amount);
    }
}

/// What was seen of the roots so far.
#[derive(Debug, Default)]
struct Roots {
    count: usize,
    animation: bool,
}

pub(super) fn rbxmx(source: &mut Source<'_>) -> Result<ContentFacts, Unfit> {
    const NOT_TOLD: ContentFacts = ContentFacts::Instances { animation: false };
    let mut reader = Reader::from_reader(Metered { source, left: MAX_EVENT });
    let mut buffer = Vec::new();
    let mut roots = Roots::default();
    let mut depth = 0_usize;
    let mut seen = false;
    loop {
        buffer.clear();
        reader.get_mut().left = MAX_EVENT;
        let event = reader.read_event_into(&mut buffer);
        if reader.get_ref().spent() {
            return Ok(NOT_TOLD);
        }
        match event {
            Ok(Event::Start(element)) => {
                visit(&element, depth, &mut roots)?;
                seen = true;
                depth += 1;
                if depth > MAX_DEPTH {
                    return Ok(NOT_TOLD);
                }
            }
            Ok(Event::Empty(element)) => {
                visit(&element, depth, &mut roots)?;
                seen = true;
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) if !seen => return Err(damaged("the content is no XML")),
            Ok(Event::Eof) if depth > 0 => return Err(super::cut_off()),
            Ok(Event::Eof) => return Ok(ContentFacts::Instances { animation: roots.count == 1 && roots.animation }),
            Ok(_) => {}
            Err(Error::Io(error)) => return Err(Unfit::Read(io::Error::new(error.kind(), error))),
            Err(error) => return Err(damaged(&format!("the XML is damaged: {error}"))),
        }
    }
}

fn visit(element: &BytesStart<'_>, depth: usize, roots: &mut Roots) -> Result<(), Unfit> {
    match (depth, element.name().as_ref()) {
        (0, "roblox") => {}
        (0, _) => return Err(unfit("the XML is no Roblox model", "export it from Studio as .rbxmx")),
        (1, "Item") => {
            let class = element.try_get_attribute("class").ok().flatten();
            roots.count += 1;
            roots.animation = class.is_some_and(|class| ANIMATION_CLASSES.contains(&&*class.value));
        }
        _ => {}
    }
    Ok(())
}
