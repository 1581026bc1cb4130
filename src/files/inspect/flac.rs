//! FLAC: reads the playing time and sample rate from the stream information, or from the last frame
//! where that has no length.
//!
//! Source: RFC 9639.

use super::source::{FileSource, SlidingWindow};
use super::{Unfit, damaged, limits};
use crate::model::file::ContentFacts;

/// How much of the end is searched for the last frame, in bytes, at least and at most. Two frames
/// of 4608 samples of two channels and 24 bits have about 50 KB; two of the largest that the format
/// allows have a megabyte or more.
const TAIL: std::ops::RangeInclusive<u64> = 64 * 1024..=2 * 1024 * 1024;
/// How many headers at the end are compared. A header is recognized by its fields and its checksum,
/// so about one in 100,000 bytes of sound looks like one by chance.
const CANDIDATES: usize = 16;
/// More metadata blocks than any real file has.
const MAX_BLOCKS: u32 = 10_000;

/// The stream information (RFC 9639, 8.2), and the position of the frames.
#[derive(Debug, Clone, Copy)]
struct FlacStream {
    /// The longest block, in samples.
    block: u16,
    /// The longest frame in bytes; 0 if unknown.
    frame: u32,
    rate: u32,
    /// 0 if unknown.
    samples: u64,
    /// The position of the first frame.
    frames: u64,
}

/// The facts of a frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FlacFrame {
    /// The number of its first sample, and of the one behind its last.
    first: u64,
    after: u64,
}

/// The last frame.
struct Last {
    after: u64,
    /// Whether it ends with the file, by its checksum.
    complete: bool,
}

pub(super) fn flac(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let stream = FlacStream::read(source)?;
    let samples = match stream.samples {
        0 => {
            let first = first_frame(source, &stream)?.map_or(0, |frame| frame.first);
            last_frame(source, &stream)?.map(|last| last.after.saturating_sub(first))
        }
        samples => Some(samples),
    };
    let duration = samples.and_then(|samples| limits::playing_time(samples, stream.rate));
    limits::audio(duration, (stream.rate != 0).then_some(stream.rate))
}

/// Returns whether the last frame is the last one by the stream information, and ends with the
/// file.
pub(super) fn is_whole(source: &mut FileSource<'_>) -> Result<bool, Unfit> {
    let stream = FlacStream::read(source)?;
    if stream.samples == 0 {
        return Ok(false);
    }
    let first = first_frame(source, &stream)?.map_or(0, |frame| frame.first);
    let last = last_frame(source, &stream)?;
    Ok(last.is_some_and(|last| last.complete && last.after.saturating_sub(first) == stream.samples))
}

impl FlacStream {
    fn read(source: &mut FileSource<'_>) -> Result<Self, Unfit> {
        skip_id3(source)?;
        if &source.bytes::<4>()? != b"fLaC" {
            return Err(damaged("the content isn't a FLAC sound"));
        }
        let [mut kind, _length @ ..]: [u8; 4] = source.bytes()?;
        if kind & 0x7f != 0 {
            return Err(damaged("the FLAC doesn't tell its format"));
        }
        let [_, _, b0, b1, _, _, _, f0, f1, f2]: [u8; 10] = source.bytes()?;
        // 20 bits of sample rate, 3 of channels, 5 of sample size, 36 of samples.
        let packed = u64::from_be_bytes(source.bytes()?);
        source.skip(16)?;
        for _ in 0..MAX_BLOCKS {
            if kind & 0x80 != 0 || source.left() < 4 {
                break;
            }
            let [next, a, b, c]: [u8; 4] = source.bytes()?;
            source.skip(u32::from_be_bytes([0, a, b, c]).into())?;
            kind = next;
        }
        Ok(Self {
            block: u16::from_be_bytes([b0, b1]),
            frame: u32::from_be_bytes([0, f0, f1, f2]),
            rate: u32::try_from(packed >> 44).unwrap_or(0),
            samples: packed & 0xf_ffff_ffff,
            frames: source.position(),
        })
    }
}

/// Skips an ID3v2 tag. It belongs to MP3, but precedes other sounds too (id3.org, "ID3 tag version
/// 2.4.0", 3.1).
fn skip_id3(source: &mut FileSource<'_>) -> Result<(), Unfit> {
    while source.peek(3)? == b"ID3" {
        let header: [u8; 10] = source.bytes()?;
        let [.., flags, a, b, c, d] = header;
        let length = [a, b, c, d].iter().fold(0_u64, |length, byte| length << 7 | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        source.skip(length + footer)?;
    }
    Ok(())
}

fn first_frame(source: &mut FileSource<'_>, stream: &FlacStream) -> Result<Option<FlacFrame>, Unfit> {
    source.seek(stream.frames.min(source.length()))?;
    Ok(FlacFrame::parse(&source.peek(32)?, stream))
}

/// Returns the last frame: the last header with a correct checksum that the frame's own checksum or
/// the frame before confirms.
fn last_frame(source: &mut FileSource<'_>, stream: &FlacStream) -> Result<Option<Last>, Unfit> {
    let most = (u64::from(stream.frame) * 2).clamp(*TAIL.start(), *TAIL.end());
    let length = source.length();
    let start = length.saturating_sub(most).max(stream.frames.min(length));
    let mut window = SlidingWindow::new(source);
    let tail = window.at(start, usize::try_from(length - start).unwrap_or_default())?;
    let header = |at: usize| Some((at, FlacFrame::parse(tail.get(at..)?, stream)?));
    let found: Vec<(usize, FlacFrame)> = (0..tail.len()).rev().filter_map(header).take(CANDIDATES).collect();
    let confirmed = found.iter().enumerate().find_map(|(index, (at, frame))| {
        let complete = tail.get(*at..).is_some_and(|bytes| crc16(bytes) == 0);
        let is_first = start + *at as u64 == stream.frames;
        let follows = found.iter().skip(index + 1).any(|(_, before)| before.after == frame.first);
        (complete || is_first || follows).then_some(Last { after: frame.after, complete })
    });
    Ok(confirmed)
}

impl FlacFrame {
    /// Parses a frame's header (RFC 9639, 9.1).
    fn parse(head: &[u8], stream: &FlacStream) -> Option<Self> {
        let [0xff, sync, sizes, layout, rest @ ..] = head else { return None };
        let variable = match sync {
            0xf8 => false,
            0xf9 => true,
            _ => return None,
        };
        let (block, rate) = (sizes >> 4, sizes & 15);
        // Reserved values.
        if block == 0 || rate == 15 || layout >> 4 > 10 || layout >> 1 & 7 == 3 || layout & 1 != 0 {
            return None;
        }
        let (number, mut rest) = coded_number(rest)?;
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(taken.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
        };
        let samples = match block {
            1 => 192,
            2..=5 => 576 << (block - 2),
            6 => take(1)? + 1,
            7 => take(2)? + 1,
            _ => 256 << (block - 8),
        };
        let named = match rate {
            12 => take(1)? * 1000,
            13 => take(2)?,
            14 => take(2)? * 10,
            _ => stream.rate.into(),
        };
        let length = head.len() - rest.len();
        if crc8(head.get(..length)?) != *rest.first()? || named != u64::from(stream.rate) {
            return None;
        }
        let first = if variable { number } else { number.checked_mul(stream.block.into())? };
        Some(Self { first, after: first + samples })
    }
}

/// Parses a number of up to 36 bits, coded as UTF-8 codes characters, and returns it with the rest.
fn coded_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (start, rest) = bytes.split_first()?;
    let more = match start.leading_ones() {
        0 => 0,
        ones @ 2..=7 => ones as usize - 1,
        _ => return None,
    };
    let (following, rest) = rest.split_at_checked(more)?;
    let bits = if more == 0 { u64::from(*start) } else { u64::from(*start) & (0x3f >> more) };
    let number = following
        .iter()
        .try_fold(bits, |number, byte| (byte >> 6 == 0b10).then_some(number << 6 | u64::from(byte & 0x3f)))?;
    Some((number, rest))
}

/// Returns the checksum of a header: polynomial x^8 + x^2 + x + 1.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 }))
}

/// Returns the checksum of a frame: polynomial x^16 + x^15 + x^2 + 1. It is 0 over a frame that
/// ends with its own checksum.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let crc = crc ^ u16::from(*byte) << 8;
        (0..8).fold(crc, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x8005 })
    })
}
