//! WAV, FLAC and Ogg: playing time and sample rate from their headers. MP3, which has none, is in `mp3`.
//!
//! Sources: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF WAVE), RFC 9639 (FLAC), RFC 3533 (Ogg), the Vorbis I
//! specification, RFC 7845 (Opus in Ogg).

use super::source::Source;
use super::{Unfit, cut_off, damaged, limits, unfit};
use crate::model::file::ContentFacts;

/// WAV: the `fmt ` and `data` chunks.
pub(super) fn wav(source: &mut Source<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(12)?;
    let mut format = None;
    loop {
        if source.left() < 8 {
            return Err(damaged("the WAV holds no sound"));
        }
        let name: [u8; 4] = source.bytes()?;
        let length = u32::from_le_bytes(source.bytes()?);
        match (&name, format) {
            (b"fmt ", _) if length >= 16 => {
                let _kind_and_channels: [u8; 4] = source.bytes()?;
                let rate = u32::from_le_bytes(source.bytes()?);
                let bytes_a_second = u32::from_le_bytes(source.bytes()?);
                format = Some((rate, bytes_a_second));
                source.skip(u64::from(length) - 12)?;
            }
            (b"data", Some((rate, bytes_a_second))) => {
                // A program that wrote into a pipe didn't know the length.
                let unknown = length == 0 || length >= 0x7fff_ff00;
                if !unknown && u64::from(length) > source.left() {
                    return Err(cut_off());
                }
                let bytes = if unknown { source.left() } else { length.into() };
                return limits::audio(limits::playing_time(bytes, bytes_a_second), Some(rate));
            }
            (b"data", None) => return Err(damaged("the WAV doesn't tell its format")),
            _ => source.skip(length.into())?,
        }
        // Chunks start at even positions.
        if length % 2 == 1 && source.left() > 0 {
            source.skip(1)?;
        }
    }
}

/// Jumps over an ID3v2 tag, which belongs to MP3 but is found before other sounds too (id3.org, "ID3 tag version 2.4.0", 3.1).
pub(super) fn skip_id3(source: &mut Source<'_>) -> Result<(), Unfit> {
    while source.peek(3)? == b"ID3" {
        let header: [u8; 10] = source.bytes()?;
        let [.., flags, a, b, c, d] = header;
        let length = [a, b, c, d].iter().fold(0_u64, |length, byte| length << 7 | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        source.skip(length + footer)?;
    }
    Ok(())
}

/// FLAC: the stream information, which comes first.
pub(super) fn flac(source: &mut Source<'_>) -> Result<ContentFacts, Unfit> {
    skip_id3(source)?;
    if &source.bytes::<4>()? != b"fLaC" {
        return Err(damaged("the content is no FLAC sound"));
    }
    let [kind, _length @ ..]: [u8; 4] = source.bytes()?;
    if kind & 0x7f != 0 {
        return Err(damaged("the FLAC doesn't tell its format"));
    }
    source.skip(10)?;
    // 20 bits of sample rate, 3 of channels, 5 of sample size, 36 of samples.
    let packed = u64::from_be_bytes(source.bytes()?);
    source.skip(16)?;
    let rate = u32::try_from(packed >> 44).unwrap_or(0);
    let samples = packed & 0xf_ffff_ffff;
    let duration = if samples == 0 { None } else { limits::playing_time(samples, rate) };
    limits::audio(duration, (rate != 0).then_some(rate))
}

/// The most streams that an Ogg file is searched for a sound.
const OGG_STREAMS: usize = 16;
/// An Ogg page is at most 65,307 bytes: two of them at the end hold a whole one.
const OGG_TAIL: u64 = 2 * 65_307;

/// What the first packet of an Ogg stream says.
enum OggStream {
    Sound { rate: u32, skipped: u64, clock: u32 },
    Video,
    Other,
}

/// Ogg: the first packet of each stream, and the position that the last page tells.
pub(super) fn ogg(source: &mut Source<'_>) -> Result<ContentFacts, Unfit> {
    for _ in 0..OGG_STREAMS {
        let head: [u8; 27] = source.bytes()?;
        let [b'O', b'g', b'g', b'S', 0, flags, _, _, _, _, _, _, _, _, s0, s1, s2, s3, .., segments] = head else {
            return Err(damaged("the Ogg's pages are garbled"));
        };
        // Not the first page of a stream: there are no more streams.
        if flags & 0x02 == 0 {
            break;
        }
        let mut lengths = Vec::new();
        source.fill(&mut lengths, segments.into())?;
        let length: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        let next = source.position() + length;
        match ogg_stream(&source.peek(usize::try_from(length.min(64)).unwrap_or(64))?) {
            OggStream::Video => {
                return Err(unfit("the content is an Ogg video, but the name says a sound", "extract its sound"));
            }
            OggStream::Sound { rate, skipped, clock } => {
                let end = last_granule(source, [s0, s1, s2, s3])?;
                let duration = end.and_then(|end| limits::playing_time(end.saturating_sub(skipped), clock));
                return limits::audio(duration, (rate != 0).then_some(rate));
            }
            OggStream::Other => {}
        }
        if next > source.length() {
            return Err(cut_off());
        }
        source.seek(next)?;
    }
    Err(damaged("the Ogg holds no sound"))
}

fn ogg_stream(packet: &[u8]) -> OggStream {
    let number =
        |at: usize| packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes).unwrap_or(0);
    if packet.starts_with(b"\x01vorbis") {
        return OggStream::Sound { rate: number(12), skipped: 0, clock: number(12) };
    }
    if packet.starts_with(b"OpusHead") {
        // Opus always counts and plays at 48 kHz; the number in its header is only what was encoded.
        let skipped = packet.get(10..12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes);
        return OggStream::Sound { rate: 48_000, skipped: skipped.into(), clock: 48_000 };
    }
    if packet.starts_with(b"Speex   ") {
        return OggStream::Sound { rate: number(36), skipped: 0, clock: number(36) };
    }
    if packet.starts_with(b"\x7fFLAC") {
        // The mapping's 9 bytes, `fLaC`, a block header of 4, and 10 bytes of the stream information come before the rate's 20 bits.
        let rate =
            packet.get(27..30).map_or(0, |bytes| bytes.iter().fold(0, |rate, byte| rate << 8 | u32::from(*byte)) >> 4);
        return OggStream::Sound { rate, skipped: 0, clock: rate };
    }
    if packet.starts_with(b"\x80theora") || packet.starts_with(b"BBCD\0") || packet.starts_with(b"OVP80") {
        return OggStream::Video;
    }
    OggStream::Other
}

/// The position in samples at the end of the stream, from the last page that has one.
fn last_granule(source: &mut Source<'_>, serial: [u8; 4]) -> Result<Option<u64>, Unfit> {
    let length = OGG_TAIL.min(source.length());
    source.seek(source.length() - length)?;
    let mut tail = Vec::new();
    source.fill(&mut tail, usize::try_from(length).unwrap_or_default())?;
    let granule = tail.windows(18).rev().find_map(|page| match page {
        [b'O', b'g', b'g', b'S', 0, _, granule @ .., s0, s1, s2, s3] if [*s0, *s1, *s2, *s3] == serial => {
            let granule = i64::from_le_bytes(granule.try_into().ok()?);
            // -1: no packet ends on this page.
            u64::try_from(granule).ok()
        }
        _ => None,
    });
    Ok(granule)
}
