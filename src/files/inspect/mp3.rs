//! MP3: finds the playing time by walking all frames.
//!
//! Headers with a length (Xing, VBRI) may lie and are often missing. A file of 20 MB has at most
//! about 200,000 frames to skip, which takes milliseconds and no memory. Other bytes before,
//! between and behind the frames (tags, zeros, the rest of a frame of a recorded stream) are
//! skipped, as players do. Source: ISO/IEC 11172-3 and 13818-3; the VBR headers as LAME and
//! Fraunhofer write them.
//!
//! Read next: `mpeg`, the header of a frame.

use std::time::Duration;

use super::mpeg::{MpegFrame, TICKS};
use super::source::{FileSource, SlidingWindow};
use super::{Unfit, cut_off, damaged, limits, unfit};
use crate::model::file::ContentFacts;

/// How many frames must follow one that was found behind other bytes.
const FOLLOWERS: u32 = 2;
/// How many frames may be padding without a header: an encoder's delay (LAME: 1105 samples, of 1152
/// in a frame), and the last frame that it fills up.
const PADDING_FRAMES: u64 = 3;
/// The longest frame of the free format, in bytes: LAME writes at most 640 kbit/s at 32 kHz, plus
/// some room.
const FREE_FRAME: u32 = 4608;
/// How often the length of such frames is searched for in one file.
const FREE_SEARCHES: u32 = 1000;

/// The facts of a sound's frames.
struct Mp3Sound {
    first: MpegFrame,
    frames: u64,
    /// How long they play, in [`TICKS`] per second. `None` if their length is unknown.
    ticks: Option<u64>,
    header: VbrHeader,
    /// Whether the last frame, or the tag behind it, ends with the file.
    ends_with_file: bool,
}

/// The header in place of the first frame's sound.
#[derive(Debug, Clone, Copy, Default)]
struct VbrHeader {
    is_there: bool,
    frames: Option<u32>,
    /// Samples that players leave out, at both ends together.
    padding: Option<u32>,
}

pub(super) fn mp3(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let Mp3Sound { first, ticks, header, .. } = sound(source)?;
    let per_sample = TICKS / u64::from(first.rate);
    let Some(ticks) = ticks else { return limits::audio(None, Some(first.rate)) };
    let time = |ticks| limits::playing_time(ticks, u32::try_from(TICKS).unwrap_or(u32::MAX));
    match header.padding {
        Some(padding) => limits::audio(time(ticks.saturating_sub(u64::from(padding) * per_sample)), Some(first.rate)),
        None => {
            let padding = time(PADDING_FRAMES * u64::from(first.samples) * per_sample).unwrap_or(Duration::ZERO);
            limits::padded_audio(time(ticks), padding, first.rate)
        }
    }
}

/// Returns whether the last frame, or the tags behind it, end with the file, and the file has all
/// the frames that the header counts.
pub(super) fn is_whole(source: &mut FileSource<'_>) -> Result<bool, Unfit> {
    let Mp3Sound { frames, ticks, header, ends_with_file, .. } = sound(source)?;
    let complete = header.frames.is_none_or(|counted| frames >= u64::from(counted));
    Ok(ticks.is_some() && ends_with_file && complete)
}

fn sound(source: &mut FileSource<'_>) -> Result<Mp3Sound, Unfit> {
    let length = source.length();
    let mut walk = FrameWalk { window: SlidingWindow::new(source), length, free: None, free_searches: 0 };
    let (mut position, mut adjacent) = (0, true);
    let mut found: Option<Mp3Sound> = None;
    // A single frame of the free format, whose length is unknown.
    let mut single = None;
    loop {
        if let Some(tag) = walk.tag(position, adjacent)? {
            (position, adjacent) = (position + tag, true);
            continue;
        }
        let head = walk.window.at(position, 4)?;
        let Some(frame) = MpegFrame::parse(head) else {
            if head.len() < 4 {
                break;
            }
            (position, adjacent) = (walk.next_candidate(position)?, false);
            continue;
        };
        let is_next = adjacent && found.as_ref().is_some_and(|sound| sound.first.is_like(&frame));
        match walk.length_of(position, &frame)? {
            Some(bytes) if is_next || walk.is_confirmed(position, &frame, adjacent)? => {
                let header =
                    if found.is_none() { walk.vbr_header(position, &frame, bytes)? } else { VbrHeader::default() };
                let sound = found.get_or_insert(Mp3Sound {
                    first: frame,
                    frames: 0,
                    ticks: Some(0),
                    header,
                    ends_with_file: false,
                });
                if !header.is_there {
                    sound.frames += 1;
                    let more = u64::from(frame.samples) * (TICKS / u64::from(frame.rate));
                    sound.ticks = sound.ticks.map(|ticks| ticks + more);
                }
                (position, adjacent) = (position + u64::from(bytes), true);
            }
            length => {
                if length.is_none() && adjacent && found.is_none() {
                    single = single.or(Some(frame));
                }
                (position, adjacent) = (walk.next_candidate(position)?, false);
            }
        }
    }
    let alone = |first| Mp3Sound { first, frames: 0, ticks: None, header: VbrHeader::default(), ends_with_file: false };
    match found.or_else(|| single.map(alone)) {
        Some(sound) if sound.first.layer != 3 => Err(unfit(
            format!("the file holds MPEG audio of layer {}, but its name ends in .mp3", sound.first.layer),
            "export it as MP3",
        )),
        Some(sound) => Ok(Mp3Sound { ends_with_file: adjacent && position == length, ..sound }),
        None if walk.window.at(0, 3)? == b"ID3" => Err(damaged("the content holds no MP3 frames")),
        None => Err(damaged("the content is not that of a .mp3 file")),
    }
}

/// A walk over the frames of a file.
struct FrameWalk<'s, 'a> {
    window: SlidingWindow<'s, 'a>,
    length: u64,
    /// The length of frames of the free format without their padding, and their kind.
    free: Option<(MpegFrame, u32)>,
    free_searches: u32,
}

impl FrameWalk<'_, '_> {
    /// Returns the length of the tag at `position`, if there is one. Behind bytes that are neither
    /// tag nor frame only a mark that is long enough counts.
    fn tag(&mut self, position: u64, adjacent: bool) -> Result<Option<u64>, Unfit> {
        let left = self.length.saturating_sub(position);
        let head = self.window.at(position, 32)?;
        let length = match head {
            // id3.org, "ID3 tag version 2.4.0", 3.1: four times seven bits, and a footer as long as
            // the header.
            [b'I', b'D', b'3', major, minor, flags, a, b, c, d, ..] => {
                if *major == 0xff || *minor == 0xff || (a | b | c | d) & 0x80 != 0 {
                    return Ok(None);
                }
                let length = [a, b, c, d].iter().fold(0_u64, |length, byte| length << 7 | u64::from(**byte));
                let whole = 10 + length + if flags & 0x10 == 0 { 0 } else { 10 };
                if position == 0 && whole > left {
                    return Err(cut_off());
                }
                whole
            }
            // APEv2: the length counts the footer but not the header. A tag without a header leaves
            // the footer alone here.
            [
                b'A',
                b'P',
                b'E',
                b'T',
                b'A',
                b'G',
                b'E',
                b'X',
                _,
                _,
                _,
                _,
                a,
                b,
                c,
                d,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                flags,
                ..,
            ] => {
                let is_header = flags & 0x20 != 0;
                32 + if is_header { u64::from(u32::from_le_bytes([*a, *b, *c, *d])) } else { 0 }
            }
            [b'L', b'Y', b'R', b'I', b'C', b'S', b'B', b'E', b'G', b'I', b'N', ..] => return self.lyrics(position),
            [b'T', b'A', b'G', b'+', ..] if adjacent => 227,
            [b'T', b'A', b'G', ..] if adjacent => 128,
            _ => return Ok(None),
        };
        Ok((length <= left).then_some(length))
    }

    /// Lyrics3 (id3.org, "Lyrics3 made easy"): it ends before the ID3v1 tag at the end of the file.
    fn lyrics(&mut self, position: u64) -> Result<Option<u64>, Unfit> {
        let Some(end) = self.length.checked_sub(128).filter(|end| *end > position + 9) else { return Ok(None) };
        let mark = self.window.at(end - 9, 12)?;
        let ends = mark == b"LYRICS200TAG" || mark == b"LYRICSENDTAG";
        Ok(ends.then_some(end - position))
    }

    /// Returns the next position at which a frame or a tag may begin.
    fn next_candidate(&mut self, position: u64) -> Result<u64, Unfit> {
        const BLOCK: usize = 16 * 1024;
        let mut position = position + 1;
        loop {
            let block = self.window.at(position, BLOCK)?;
            let mark = |byte: &u8| matches!(byte, 0xff | b'I' | b'A');
            if let Some(offset) = block.iter().position(mark) {
                return Ok(position + offset as u64);
            }
            if block.is_empty() {
                return Ok(position);
            }
            position += block.len() as u64;
        }
    }

    /// Returns the length of the frame in bytes, with its header.
    fn length_of(&mut self, position: u64, frame: &MpegFrame) -> Result<Option<u32>, Unfit> {
        if frame.length.is_some() {
            return Ok(frame.length);
        }
        if let Some((like, base)) = self.free
            && like.is_like(frame)
        {
            return Ok(Some(base + frame.padding));
        }
        self.free_searches += 1;
        if self.free_searches > FREE_SEARCHES {
            return Ok(None);
        }
        let bytes = self.window.at(position, 2 * FREE_FRAME as usize + 8)?;
        let header = |at: u32| bytes.get(at as usize..).and_then(MpegFrame::parse).filter(|next| frame.is_like(next));
        let base = (24..FREE_FRAME).find(|distance| {
            let base = distance.checked_sub(frame.padding);
            base.is_some()
                && header(*distance).is_some_and(|next| {
                    let second = distance + base.unwrap_or(0) + next.padding;
                    header(second).is_some() || second as usize + 4 > bytes.len()
                })
        });
        self.free = base.map(|distance| (*frame, distance - frame.padding)).or(self.free);
        Ok(base)
    }

    /// Returns whether enough frames like this one follow it, or only the end or a tag.
    fn is_confirmed(&mut self, position: u64, frame: &MpegFrame, adjacent: bool) -> Result<bool, Unfit> {
        let (mut at, mut last) = (position, *frame);
        for followers in 0..FOLLOWERS {
            let Some(length) = self.length_of(at, &last)? else { return Ok(false) };
            at += u64::from(length);
            let head = self.window.at(at, 8)?;
            let ends = head.len() < 4 || head.starts_with(b"TAG") || head.starts_with(b"ID3") || head == b"APETAGEX";
            if ends {
                return Ok(adjacent || followers > 0);
            }
            match MpegFrame::parse(head) {
                Some(next) if frame.is_like(&next) => last = next,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads the header that may replace the first frame's sound.
    fn vbr_header(&mut self, position: u64, frame: &MpegFrame, bytes: u32) -> Result<VbrHeader, Unfit> {
        let bytes = self.window.at(position, bytes as usize)?;
        let number = |at: usize| bytes.get(at..at + 4).and_then(|n| n.try_into().ok()).map(u32::from_be_bytes);
        if bytes.get(36..40) == Some(b"VBRI") {
            return Ok(VbrHeader { is_there: true, frames: number(36 + 14), padding: None });
        }
        // A checksum of two bytes may come before the side information.
        let mark = |at: &usize| matches!(bytes.get(*at..at + 4), Some(b"Xing" | b"Info"));
        let Some(start) = [4 + frame.side, 6 + frame.side].into_iter().find(mark) else {
            return Ok(VbrHeader::default());
        };
        let flags = number(start + 4).unwrap_or(0);
        let frames = if flags & 1 == 0 { None } else { number(start + 8) };
        // Frames, bytes, a table of contents, quality.
        let sizes = [(1, 4), (2, 4), (4, 100), (8, 4)];
        let fields: usize = sizes.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, size)| size).sum();
        let encoder = bytes.get(start + 8 + fields..).unwrap_or_default();
        // LAME's tag, which FFmpeg writes too: twelve bits of delay, twelve of padding.
        let known = [&b"LAME"[..], b"Lavf", b"Lavc"].iter().any(|name| encoder.starts_with(name));
        let padding = match encoder.get(21..24) {
            Some([a, b, c]) if known => {
                let both = u32::from_be_bytes([0, *a, *b, *c]);
                Some((both >> 12) + (both & 0xfff))
            }
            _ => None,
        };
        Ok(VbrHeader { is_there: true, frames, padding })
    }
}
