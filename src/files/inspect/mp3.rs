//! MP3: the playing time by walking all frame headers.
//!
//! Headers that tell a length (Xing, VBRI) may lie and are often missing; at 20 MB there are at most some 200,000 frames to jump over, which takes
//! milliseconds and no memory. Source: ISO/IEC 11172-3 and 13818-3; the VBR headers as LAME and Fraunhofer write them.

use super::sound::skip_id3;
use super::source::Source;
use super::{Unfit, damaged, limits};
use crate::model::file::ContentFacts;

/// How far the first frame is looked for: some programs pad behind the tag.
const SEARCH: u64 = 128 * 1024;

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    rate: u32,
    samples: u32,
    /// In bytes, the header included; `None` in the free format, which doesn't tell.
    length: Option<u32>,
    /// Where a VBR header would stand behind the frame's header.
    side: u64,
}

impl Frame {
    fn parse(header: [u8; 4]) -> Option<Self> {
        const BIT_RATES_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const BIT_RATES_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let [sync, second, third, fourth] = header;
        // 11 bits of sync, layer III.
        if sync != 0xff || second & 0b1110_0110 != 0b1110_0010 {
            return None;
        }
        let rate: u32 = match third >> 2 & 3 {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return None,
        };
        let (first, rate) = match second >> 3 & 3 {
            0 => (false, rate / 4),
            2 => (false, rate / 2),
            3 => (true, rate),
            _ => return None,
        };
        let bit_rates = if first { BIT_RATES_1 } else { BIT_RATES_2 };
        let bit_rate = bit_rates.get(usize::from(third >> 4))? * 1000;
        let padding = u32::from(third >> 1 & 1);
        let samples = if first { 1152 } else { 576 };
        let mono = fourth >> 6 == 3;
        let side = match (first, mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let length = (bit_rate > 0).then(|| samples / 8 * bit_rate / rate + padding);
        Some(Self { rate, samples, length, side })
    }
}

/// The frames of a sound.
struct Frames {
    first: Frame,
    samples: u64,
    /// Behind the last frame that was understood; `None` in the free format.
    end: Option<u64>,
}

pub(super) fn mp3(source: &mut Source<'_>) -> Result<ContentFacts, Unfit> {
    let Frames { first, samples, end } = frames(source)?;
    let Some(end) = end else {
        return limits::audio(None, Some(first.rate));
    };
    // Tags at the end are small; where more than a tenth was not understood, the sum says nothing.
    let understood = source.length().saturating_sub(end) <= source.length() / 10;
    let duration = if understood { limits::playing_time(samples, first.rate) } else { None };
    limits::audio(duration, Some(first.rate))
}

/// Whether the last frame ends with the file, or with the tag behind it.
pub(super) fn is_whole(source: &mut Source<'_>) -> Result<bool, Unfit> {
    /// ID3v1 is 128 bytes (id3.org, "ID3v1").
    const TAG: u64 = 128;
    let Some(end) = frames(source)?.end else { return Ok(false) };
    if end + TAG == source.length() {
        source.seek(end)?;
        return Ok(source.peek(3)? == b"TAG");
    }
    Ok(end == source.length())
}

fn frames(source: &mut Source<'_>) -> Result<Frames, Unfit> {
    skip_id3(source)?;
    let Some(first) = first_frame(source)? else {
        return Err(damaged("the content holds no MP3 frames"));
    };
    let Some(first_length) = first.length else {
        return Ok(Frames { first, samples: 0, end: None });
    };
    let start = source.position();
    // The first frame may hold a VBR header in place of sound.
    source.skip((4 + first.side).min(source.left()))?;
    let mark = source.peek(4)?;
    source.seek(start)?;
    source.skip(4 + 32_u64.min(source.left().saturating_sub(4)))?;
    let fraunhofer = source.peek(4)? == b"VBRI";
    let mut samples = if mark == b"Xing" || mark == b"Info" || fraunhofer { 0 } else { u64::from(first.samples) };
    let mut position = start + u64::from(first_length);
    while position + 4 <= source.length() {
        source.seek(position)?;
        let Some(Frame { rate, samples: more, length: Some(length), .. }) = Frame::parse(source.bytes()?) else {
            break;
        };
        if rate != first.rate {
            break;
        }
        samples += u64::from(more);
        position += u64::from(length);
    }
    Ok(Frames { first, samples, end: Some(position) })
}

/// Goes to the first header that another one like it follows.
fn first_frame(source: &mut Source<'_>) -> Result<Option<Frame>, Unfit> {
    let start = source.position();
    let end = start + SEARCH.min(source.left());
    for position in start..end.saturating_sub(3) {
        source.seek(position)?;
        let Some(frame) = Frame::parse(source.bytes()?) else { continue };
        let next = frame.length.map(|length| position + u64::from(length));
        let followed = match next {
            // The free format: taken as it is.
            None => position == start,
            // A single frame, the last one cut a little.
            Some(next) if next + 4 > source.length() => position == start,
            Some(next) => {
                source.seek(next)?;
                let following = source.bytes()?;
                let tag = following.starts_with(b"TAG") || following.starts_with(b"APE");
                tag || Frame::parse(following).is_some_and(|following| following.rate == frame.rate)
            }
        };
        if followed {
            source.seek(position)?;
            return Ok(Some(frame));
        }
    }
    Ok(None)
}
