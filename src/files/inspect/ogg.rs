//! Ogg: finds the playing time from the positions in its pages.
//!
//! All page headers are read, and the packets are skipped. A file may hold several sounds in a row,
//! as a recorded radio stream does. Each begins with the first pages of all its streams. The first
//! position need not be 0.
//!
//! Sources: RFC 3533 (Ogg), the Vorbis I specification, RFC 7845 and 6716 (Opus), the Speex manual,
//! xiph.org's FLAC-in-Ogg mapping.

use std::time::Duration;

use super::source::{FileSource, SlidingWindow};
use super::{Unfit, cut_off, damaged, limits, unfit};
use crate::model::file::ContentFacts;

/// More streams than any real file has at one time.
const MAX_STREAMS: usize = 64;

/// The codec by the first packet of a stream.
enum Codec {
    Sound(OggSound),
    Video,
    Other,
}

/// A stream of sound.
struct OggSound {
    /// Samples per second; 0 if unknown.
    rate: u32,
    /// Positions per second.
    clock: u32,
    /// Samples at the start that are not played.
    skipped: u64,
    packets: Packets,
}

/// The number of samples in a packet.
#[derive(Debug, Clone, Copy)]
enum Packets {
    /// At most this many.
    UpTo(u64),
    /// As its first two bytes say.
    Opus,
}

/// A stream of sound, and its positions.
struct OggStream {
    serial: u32,
    sound: OggSound,
    /// The position before its first sample, and behind its last one.
    span: Option<(u64, u64)>,
}

/// A page's header.
struct OggPage {
    first: bool,
    continued: bool,
    /// `None` if no packet ends here.
    position: Option<u64>,
    serial: u32,
    /// The lengths of its packets' parts; a length below 255 ends a packet.
    lengths: Vec<u8>,
    /// The position of its packets.
    packets: u64,
    end: u64,
}

/// The sum of the pages so far.
#[derive(Default)]
struct OggSummary {
    streams: Vec<OggStream>,
    played: Duration,
    rate: Option<u32>,
    has_sound: bool,
}

pub(super) fn ogg(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let length = source.length();
    let mut window = SlidingWindow::new(source);
    let mut found = OggSummary::default();
    let mut position = 0;
    while let Some(page) = next_page(&mut window, position)? {
        position = page.end;
        if page.end > length {
            // The last page of a stream that was cut off. Without any sound before it, the file is
            // useless.
            if found.has_sound {
                break;
            }
            return Err(cut_off());
        }
        found.page(&mut window, &page)?;
    }
    if position == 0 {
        return Err(damaged("the Ogg's pages are garbled"));
    }
    found.end_of_sounds();
    if !found.has_sound {
        return Err(damaged("the Ogg holds no sound"));
    }
    limits::audio(Some(found.played).filter(|time| !time.is_zero()), found.rate)
}

impl OggSummary {
    fn page(&mut self, window: &mut SlidingWindow<'_, '_>, page: &OggPage) -> Result<(), Unfit> {
        if page.first {
            // The streams of one sound all begin before any continues. Some programs are late, but
            // never after the first samples.
            if self.streams.iter().any(|stream| stream.span.is_some()) {
                self.end_of_sounds();
            }
            match codec(window.at(page.packets, 80)?) {
                Codec::Video => {
                    return Err(unfit("the content is an Ogg video, but the name says a sound", "extract its sound"));
                }
                Codec::Sound(sound) if self.streams.len() < MAX_STREAMS => {
                    self.has_sound = true;
                    self.rate = self.rate.max((sound.rate != 0).then_some(sound.rate));
                    self.streams.push(OggStream { serial: page.serial, sound, span: None });
                }
                Codec::Sound(_) | Codec::Other => {}
            }
            return Ok(());
        }
        // A stream's headers are at position 0.
        let Some(position) = page.position.filter(|position| *position > 0) else { return Ok(()) };
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.serial == page.serial) else { return Ok(()) };
        let start = match stream.span {
            Some((start, _)) => start,
            None => position.saturating_sub(samples(window, page, stream.sound.packets)?),
        };
        stream.span = Some((start, position));
        Ok(())
    }

    /// Adds the sounds that play at the same time, as one.
    fn end_of_sounds(&mut self) {
        let time = |OggStream { sound, span, .. }: OggStream| {
            let (start, end) = span?;
            limits::playing_time(end.saturating_sub(start).saturating_sub(sound.skipped), sound.clock)
        };
        let longest = std::mem::take(&mut self.streams).into_iter().filter_map(time).max();
        self.played = self.played.saturating_add(longest.unwrap_or_default());
    }
}

/// Returns the page at `position`, or the next one behind other bytes.
fn next_page(window: &mut SlidingWindow<'_, '_>, mut position: u64) -> Result<Option<OggPage>, Unfit> {
    const BLOCK: usize = 16 * 1024;
    loop {
        if let Some(page) = page(window.at(position, 27 + 255)?, position) {
            return Ok(Some(page));
        }
        let block = window.at(position + 1, BLOCK)?;
        if block.len() < 27 {
            return Ok(None);
        }
        let next = block.windows(4).position(|bytes| bytes == b"OggS");
        position += 1 + next.unwrap_or(block.len() - 3) as u64;
    }
}

fn page(head: &[u8], at: u64) -> Option<OggPage> {
    let (head, lengths) = head.split_at_checked(27)?;
    let [b'O', b'g', b'g', b'S', 0, flags, position @ .., s0, s1, s2, s3] = head.get(..18)? else { return None };
    let count = usize::from(*head.last()?);
    let lengths = lengths.get(..count)?;
    let packets = at + 27 + count as u64;
    Some(OggPage {
        first: flags & 0x02 != 0,
        continued: flags & 0x01 != 0,
        // -1 means no position; other negative ones come from samples that are cut off at the
        // start.
        position: u64::try_from(i64::from_le_bytes(position.try_into().ok()?)).ok(),
        serial: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
        lengths: lengths.to_vec(),
        packets,
        end: packets + lengths.iter().map(|length| u64::from(*length)).sum::<u64>(),
    })
}

/// Returns the most samples that the packets that end on this page can hold.
fn samples(window: &mut SlidingWindow<'_, '_>, page: &OggPage, packets: Packets) -> Result<u64, Unfit> {
    let mut samples = 0_u64;
    let (mut at, mut start) = (page.packets, (!page.continued).then_some(page.packets));
    for length in &page.lengths {
        at += u64::from(*length);
        if *length == 255 {
            continue;
        }
        samples = samples.saturating_add(match (packets, start) {
            (Packets::UpTo(most), _) => most,
            (Packets::Opus, Some(start)) => opus_samples(window.at(start, 2)?),
            (Packets::Opus, None) => 0,
        });
        start = Some(at);
    }
    Ok(samples)
}

/// Returns the number of samples in an Opus packet at 48 kHz (RFC 6716, 3.1 and 3.2).
fn opus_samples(packet: &[u8]) -> u64 {
    let Some(toc) = packet.first() else { return 0 };
    let frame = match toc >> 3 {
        mode @ 0..12 => [480, 960, 1920, 2880].get(usize::from(mode & 3)),
        mode @ 12..16 => [480, 960].get(usize::from(mode & 1)),
        mode => [120, 240, 480, 960].get(usize::from(mode & 3)),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u64::from(count & 0x3f)),
    };
    frame.copied().unwrap_or(0) * frames
}

fn codec(packet: &[u8]) -> Codec {
    let number =
        |at: usize| packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes).unwrap_or(0);
    if packet.starts_with(b"\x01vorbis") {
        // Long blocks overlap by half: the exponent of their length is 6 to 13.
        let exponent = packet.get(28).map_or(0, |sizes| sizes >> 4);
        let block = if (6..=13).contains(&exponent) { 1 << exponent } else { 1 << 13 };
        let packets = Packets::UpTo(block / 2);
        return Codec::Sound(OggSound { rate: number(12), clock: number(12), skipped: 0, packets });
    }
    if packet.starts_with(b"OpusHead") {
        // Opus always counts and plays at 48 kHz; the rate in its header is that of the original.
        let skipped = packet.get(10..12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes);
        return Codec::Sound(OggSound { rate: 48_000, clock: 48_000, skipped: skipped.into(), packets: Packets::Opus });
    }
    if packet.starts_with(b"Speex   ") {
        let packets = Packets::UpTo(u64::from(number(56)).saturating_mul(number(64).max(1).into()));
        return Codec::Sound(OggSound { rate: number(36), clock: number(36), skipped: 0, packets });
    }
    if packet.starts_with(b"\x7fFLAC") {
        // The mapping's 9 bytes, `fLaC`, a block header of 4 bytes, then the stream information:
        // the longest block behind 2 bytes, 20 bits of rate behind 10.
        let big_endian = |from, to| {
            let bytes: Option<&[u8]> = packet.get(from..to);
            bytes.map_or(0, |bytes| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)))
        };
        let (block, rate) = (big_endian(19, 21), big_endian(27, 30) >> 4);
        return Codec::Sound(OggSound { rate, clock: rate, skipped: 0, packets: Packets::UpTo(block.into()) });
    }
    let videos: [&[u8]; 6] = [b"\x80theora", b"\x80daala", b"BBCD\0", b"OVP80", b"\x01video\0", b"YUV4MPEG"];
    if videos.iter().any(|start| packet.starts_with(start)) { Codec::Video } else { Codec::Other }
}
