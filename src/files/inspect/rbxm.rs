//! Binary Roblox models: finds whether the single root is an animation, from the chunks' headers
//! and two kinds of chunks.
//!
//! No tree is ever built. Only the parents are decoded of the instances, and only the two relevant
//! classes. Decompression is capped, for one chunk and for all together. Beyond the caps the answer
//! is unknown, where it matters. Source: dom.rojo.space/binary (the rbx-dom project's description
//! of the format).

use std::io::Read as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::source::FileSource;
use super::{Unfit, cut_off, damaged};
use crate::model::file::{ContentFacts, ModelRoot};

/// The largest chunk, in bytes, that every core may decompress at once: 4 MiB are the parents of
/// half a million instances.
const SMALL_CHUNK: usize = 4 << 20;
/// The largest chunk, in bytes: the parents of four million instances, far more than Studio opens.
const MAX_CHUNK: usize = 32 << 20;
/// The most bytes to decompress of one file, so that many small chunks can't keep a core busy.
const MAX_TOTAL: usize = 128 << 20;
/// The most instances of animation classes whose referents are kept, 4 MiB, since every core may
/// keep as many. A real file has one, or a few.
const MAX_ANIMATIONS: usize = 1 << 20;
/// Held during the inspection of a model with a large chunk: one at a time, so that the cores
/// together need no more memory than one.
static LARGE: Mutex<()> = Mutex::new(());
/// The first bytes of a zstd frame (RFC 8878); Roblox compresses with LZ4 or zstd.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The classes of animations (create.roblox.com: AnimationClip's two subclasses).
pub(super) const ANIMATION_CLASSES: [&str; 2] = ["KeyframeSequence", "CurveAnimation"];

/// A chunk's header, and the position of its data.
struct Chunk {
    name: [u8; 4],
    at: u64,
    stored: u32,
    compressed: bool,
    length: u32,
}

pub(super) fn rbxm(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(super::magic::RBXM.len() as u64)?;
    if u16::from_le_bytes(source.bytes()?) != 0 {
        return Err(damaged("the Roblox model has an unknown version"));
    }
    // The numbers of classes and instances, and 8 reserved bytes.
    source.skip(16)?;
    let mut chunks = Chunks { budget: MAX_TOTAL, stored: Vec::new(), data: Vec::new(), large: None };
    let mut animations: Vec<i32> = Vec::new();
    // Whether a class was too large to read or to keep, and the single root: unknown, or none.
    let mut unread_class = false;
    let mut root = Some(None);
    loop {
        if source.left() == 0 {
            return Err(cut_off());
        }
        let chunk = Chunk::read(source)?;
        match &chunk.name {
            b"INST" => match chunks.decode(source, &chunk)? {
                Some(data) => {
                    let instances = animation_instances(data)?;
                    if animations.len() + instances.len() > MAX_ANIMATIONS {
                        unread_class = true;
                    } else {
                        animations.extend(instances);
                    }
                }
                None => unread_class = true,
            },
            b"PRNT" => {
                root = match chunks.decode(source, &chunk)? {
                    Some(data) => Some(single_root(data)?),
                    None => None,
                };
            }
            b"END\0" => {
                let root = match root {
                    Some(Some(root)) if animations.contains(&root) => ModelRoot::Animation,
                    // A model without a single root is no animation, nor is one without an
                    // animation's class.
                    Some(None) => ModelRoot::Other,
                    Some(Some(_)) if !unread_class => ModelRoot::Other,
                    None if !unread_class && animations.is_empty() => ModelRoot::Other,
                    Some(Some(_)) | None => ModelRoot::Unknown,
                };
                return Ok(ContentFacts::Instances { root });
            }
            _ => {}
        }
        source.seek(chunk.at + u64::from(chunk.stored))?;
    }
}

impl Chunk {
    fn read(source: &mut FileSource<'_>) -> Result<Self, Unfit> {
        let name = source.bytes()?;
        let compressed = u32::from_le_bytes(source.bytes()?);
        let length = u32::from_le_bytes(source.bytes()?);
        let _reserved: [u8; 4] = source.bytes()?;
        let stored = if compressed == 0 { length } else { compressed };
        if u64::from(stored) > source.left() {
            return Err(cut_off());
        }
        Ok(Self { name, at: source.position(), stored, compressed: compressed != 0, length })
    }
}

/// Decodes chunks into one buffer.
struct Chunks {
    budget: usize,
    stored: Vec<u8>,
    data: Vec<u8>,
    large: Option<MutexGuard<'static, ()>>,
}

impl Chunks {
    /// Returns the chunk's data; `None` beyond the caps.
    fn decode(&mut self, source: &mut FileSource<'_>, chunk: &Chunk) -> Result<Option<&[u8]>, Unfit> {
        let wrong = || damaged("the Roblox model's chunks can't be decompressed");
        let (Ok(length), Ok(stored)) = (usize::try_from(chunk.length), usize::try_from(chunk.stored)) else {
            return Ok(None);
        };
        if length > MAX_CHUNK || stored > MAX_CHUNK + MAX_CHUNK / 128 {
            return Ok(None);
        }
        let Some(budget) = self.budget.checked_sub(length) else { return Ok(None) };
        self.budget = budget;
        if length.max(stored) > SMALL_CHUNK && self.large.is_none() {
            self.large = Some(LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        }
        source.fill(&mut self.stored, stored)?;
        if !chunk.compressed {
            return Ok(Some(&self.stored));
        }
        self.data.clear();
        self.data.resize(length, 0);
        let read = if self.stored.starts_with(&ZSTD) {
            let window = narrow_window(&mut self.stored, length);
            let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(self.stored.as_slice(), window);
            let mut decoder = decoder.map_err(|_| wrong())?;
            decoder.read_exact(&mut self.data).map_err(|_| wrong())?;
            // More than its header says: the budget doesn't count it.
            length + decoder.read(&mut [0]).map_err(|_| wrong())?
        } else {
            lz4_flex::block::decompress_into(&self.stored, &mut self.data).map_err(|_| wrong())?
        };
        if read == length { Ok(Some(&self.data)) } else { Err(wrong()) }
    }
}

/// Limits the window size of a zstd frame whose content has `length` bytes, and returns the limit.
/// The decoder gives nothing before it decoded more than its window, whatever the length. Encoders
/// choose a window by their level, also where the content is far shorter. Nothing refers to bytes
/// before the content, so a window as long as the content is enough (RFC 8878, 3.1.1.1.2).
fn narrow_window(frame: &mut [u8], length: usize) -> u64 {
    // An exponent and no mantissa, from 1 KiB on.
    let exponent = length.next_power_of_two().trailing_zeros().saturating_sub(10);
    let limit = u8::try_from(exponent << 3).unwrap_or(u8::MAX);
    if let [_, _, _, _, descriptor, window, ..] = frame {
        let single_segment = *descriptor & 0x20 != 0;
        if !single_segment && *window > limit {
            *window = limit;
        }
    }
    1 << (10 + exponent)
}

/// Returns the referents of a class's instances if the class is an animation's, from an INST chunk.
fn animation_instances(data: &[u8]) -> Result<Vec<i32>, Unfit> {
    let wrong = || damaged("the Roblox model's classes are garbled");
    let mut fields = ChunkReader(data);
    let _class = fields.u32().ok_or_else(wrong)?;
    let name = fields.text().ok_or_else(wrong)?;
    if !ANIMATION_CLASSES.iter().any(|class| class.as_bytes() == name) {
        return Ok(Vec::new());
    }
    let _format = fields.take(1).ok_or_else(wrong)?;
    let count = fields.u32().ok_or_else(wrong)?;
    Ok(fields.referents(count).ok_or_else(wrong)?.collect())
}

/// Returns the referent of the only instance without a parent, from the PRNT chunk; `None` if there
/// are several or none.
fn single_root(data: &[u8]) -> Result<Option<i32>, Unfit> {
    let wrong = || damaged("the Roblox model's parents are garbled");
    let mut fields = ChunkReader(data);
    let _version = fields.take(1).ok_or_else(wrong)?;
    let count = fields.u32().ok_or_else(wrong)?;
    let children = fields.referents(count).ok_or_else(wrong)?;
    let parents = fields.referents(count).ok_or_else(wrong)?;
    let mut roots = children.zip(parents).filter(|(_, parent)| *parent == -1).map(|(child, _)| child);
    let first = roots.next();
    Ok(if roots.next().is_some() { None } else { first })
}

/// The fields of a chunk, little-endian.
struct ChunkReader<'a>(&'a [u8]);

impl<'a> ChunkReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// Reads an array of referents: the first bytes of all, then the second ones and so on. Each
    /// number is zigzag-coded and relative to the one before.
    fn referents(&mut self, count: u32) -> Option<impl Iterator<Item = i32> + use<'a>> {
        let count = usize::try_from(count).ok()?;
        let planes = self.take(count.checked_mul(4)?)?;
        let (high, low) = planes.split_at(count * 2);
        let ((first, second), (third, fourth)) = (high.split_at(count), low.split_at(count));
        let bytes = first.iter().zip(second).zip(third.iter().zip(fourth));
        Some(bytes.scan(0_i32, |sum, ((a, b), (c, d))| {
            let coded = u32::from_be_bytes([*a, *b, *c, *d]);
            *sum = sum.wrapping_add((coded >> 1).cast_signed() ^ -(coded & 1).cast_signed());
            Some(*sum)
        }))
    }
}
