//! MP4 and QuickTime: reads the playing time and size from the movie's header and its fragments,
//! and skips the media data.
//!
//! Both names stand for one container. ISO/IEC 14496-12 was made from QuickTime, every program
//! reads both by the same code, and many write a `.mov` with an MP4 brand or the other way round.
//! So the brand says nothing against a file, unless it is a picture's.
//!
//! Sources: ISO/IEC 14496-12 (ISO base media file format), Apple's "QuickTime File Format
//! Specification". Read next: `tracks`, for how a track's duration is counted.

use super::full_box::{number, version};
use super::source::FileSource;
use super::tracks::{Track, Tracks};
use super::{Unfit, cut_off, damaged, limits, unfit};
use crate::model::file::ContentFacts;

/// More boxes than any real movie has on the levels that are read, even with a fragment for each of
/// its pictures. It bounds a file made of nothing but box headers.
const MAX_BOXES: u32 = 1_000_000;

/// The box that contains the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    File,
    Movie,
    Track,
    Media,
    MediaInformation,
    SampleTable,
    Edits,
    Extends,
    Fragment,
    TrackFragment,
}

/// The facts found so far.
#[derive(Debug, Default)]
struct Movie {
    boxes: u32,
    has_header: bool,
    has_media: bool,
    /// Whether the header is compressed, as old QuickTime could.
    packed: bool,
    /// Ticks per second, and ticks.
    duration: Option<(u32, u64)>,
    /// The duration of all fragments together by the header, in the movie's ticks.
    fragments: Option<u64>,
    /// The same by the longest index: ticks per second, and ticks.
    index: Option<(u32, u64)>,
    fragmented: bool,
    tracks: Tracks,
}

pub(super) fn movie(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let mut movie = Movie::default();
    let end = source.length();
    movie.boxes(source, end, Within::File)?;
    if movie.packed {
        return Err(unfit("the video's header is compressed, as old QuickTime could", "export it again as MP4"));
    }
    if !movie.has_header {
        return Err(unfit("the video has no movie header: it is cut off, or was not finished", "export it again"));
    }
    let Some((width, height)) = movie.tracks.picture() else {
        return Err(unfit(
            "the file holds no video track",
            "an audio file needs an audio format: .mp3, .ogg, .wav or .flac",
        ));
    };
    let scale = movie.duration.map_or(0, |(scale, _)| scale);
    let claimed = || {
        let header = movie.duration.filter(|(_, ticks)| *ticks > 0);
        let of_fragments = movie.fragments.filter(|ticks| *ticks > 0).map(|ticks| (scale, ticks)).or(movie.index);
        let (scale, ticks) = if movie.fragmented { of_fragments.or(header) } else { header }?;
        limits::playing_time(ticks, scale)
    };
    limits::video(movie.tracks.duration(scale).or_else(claimed), width, height)
}

/// Returns whether the boxes end with the file, and the media is among them. If the last box has no
/// length, it is unknown. In a movie with fragments only the index behind them says that no more
/// follow.
pub(super) fn is_whole(source: &mut FileSource<'_>) -> Result<bool, Unfit> {
    let (mut media, mut in_fragments, mut last) = (false, false, *b"    ");
    for _ in 0..MAX_BOXES {
        if source.left() == 0 {
            return Ok(media && (!in_fragments || &last == b"mfra"));
        }
        let Some(header) = BoxHeader::read(source)? else { return Ok(false) };
        let Some(after) = header.after.filter(|_| !header.to_the_end) else { return Ok(false) };
        media |= &header.name == b"mdat";
        in_fragments |= &header.name == b"moof";
        last = header.name;
        if after > source.length() {
            return Ok(false);
        }
        source.seek(after)?;
    }
    Ok(false)
}

/// A box's header.
struct BoxHeader {
    name: [u8; 4],
    /// The position of the next box; `None` where the length is impossible.
    after: Option<u64>,
    /// Whether it has no length: it ends with its parent.
    to_the_end: bool,
}

impl BoxHeader {
    /// Reads a header; `None` when only a few bytes follow.
    fn read(source: &mut FileSource<'_>) -> Result<Option<Self>, Unfit> {
        if source.left() < 8 {
            return Ok(None);
        }
        let start = source.position();
        let short = u32::from_be_bytes(source.bytes()?);
        let name = source.bytes()?;
        let length = match short {
            1 if source.left() < 8 => return Ok(None),
            1 => u64::from_be_bytes(source.bytes()?),
            short => u64::from(short),
        };
        let header = source.position() - start;
        let after = start.checked_add(length).filter(|_| length >= header);
        Ok(Some(Self { name, after, to_the_end: short == 0 }))
    }
}

impl Movie {
    /// Reads the boxes up to `end`. The known box types bound the recursion.
    fn boxes(&mut self, source: &mut FileSource<'_>, end: u64, within: Within) -> Result<(), Unfit> {
        while source.position() < end {
            self.boxes += 1;
            if self.boxes > MAX_BOXES {
                return Err(damaged("the video has too many boxes"));
            }
            // QuickTime may end a list with four zero bytes, or with a box without a length.
            if end - source.position() < 8 {
                break;
            }
            let Some(BoxHeader { name, after, to_the_end }) = BoxHeader::read(source)? else { break };
            let after = match (within, to_the_end) {
                (Within::File, true) => Some(end),
                (_, true) => break,
                (_, false) => after,
            };
            match after {
                Some(after) if after <= end => {
                    self.one(source, &name, after, within)?;
                    source.seek(after)?;
                }
                // Programs stop reading once they have header and media; editors and cameras leave
                // padding there.
                _ if within == Within::File && self.is_padding(&name) => break,
                Some(_) if within == Within::File => return Err(cut_off()),
                _ => return Err(damaged("the video's boxes are garbled")),
            }
        }
        source.seek(end)?;
        Ok(())
    }

    /// Returns whether a box of this name that doesn't fit into the file is only padding:
    /// everything important came before it.
    fn is_padding(&self, name: &[u8; 4]) -> bool {
        self.has_header && self.has_media && !matches!(name, b"mdat" | b"moov" | b"moof")
    }

    fn one(&mut self, source: &mut FileSource<'_>, name: &[u8; 4], after: u64, within: Within) -> Result<(), Unfit> {
        let inner = match (within, name) {
            (Within::File, b"ftyp") => return check_brand(source.bytes()?),
            (Within::File, b"mdat") => {
                self.has_media = true;
                return Ok(());
            }
            (Within::File, b"sidx") => return self.index(source, after),
            (Within::File, b"moov") => {
                self.has_header = true;
                Within::Movie
            }
            (Within::File, b"moof") => {
                self.fragmented = true;
                Within::Fragment
            }
            (Within::Movie, b"cmov") => {
                self.packed = true;
                return Ok(());
            }
            (Within::Movie, b"mvhd") => {
                self.duration = Some(scale_and_ticks(source)?);
                return Ok(());
            }
            (Within::Movie, b"trak") => {
                self.tracks.begin();
                Within::Track
            }
            (Within::Movie, b"mvex") => {
                self.fragmented = true;
                Within::Extends
            }
            (Within::Extends, b"mehd") => {
                let wide = version(source)? == 1;
                self.fragments = Some(number(source, wide)?);
                return Ok(());
            }
            (Within::Extends, b"trex") => return self.tracks.defaults(source),
            (Within::Track, b"mdia") => Within::Media,
            (Within::Track, b"edts") => Within::Edits,
            (Within::Media, b"minf") => Within::MediaInformation,
            (Within::MediaInformation, b"stbl") => Within::SampleTable,
            (Within::Fragment, b"traf") => {
                self.tracks.leave_fragment();
                Within::TrackFragment
            }
            (Within::TrackFragment, b"tfhd") => return self.tracks.enter_fragment(source),
            (Within::TrackFragment, b"trun") => return self.tracks.run(source, after),
            _ => return self.tracks.last().map_or(Ok(()), |track| track_box(track, source, name, after, within)),
        };
        self.boxes(source, after, inner)
    }

    /// Reads the segments of an index, up to `after`. The longest of several indexes counts, since
    /// one may list others.
    fn index(&mut self, source: &mut FileSource<'_>, after: u64) -> Result<(), Unfit> {
        let wide = version(source)? == 1;
        let _reference: [u8; 4] = source.bytes()?;
        let scale = u32::from_be_bytes(source.bytes()?);
        source.skip(if wide { 16 } else { 8 } + 2)?;
        let mut ticks = 0_u64;
        for _ in 0..u16::from_be_bytes(source.bytes()?) {
            if source.position() >= after {
                break;
            }
            let [_, _, _, _, a, b, c, d, ..]: [u8; 12] = source.bytes()?;
            ticks += u64::from(u32::from_be_bytes([a, b, c, d]));
        }
        if self.index.is_none_or(|(_, longest)| ticks > longest) {
            self.index = Some((scale, ticks));
        }
        Ok(())
    }
}

/// Reads a box about the current track.
fn track_box(
    track: &mut Track,
    source: &mut FileSource<'_>,
    name: &[u8; 4],
    after: u64,
    within: Within,
) -> Result<(), Unfit> {
    match (within, name) {
        (Within::Track, b"tkhd") => {
            let wide = version(source)? == 1;
            source.skip(if wide { 16 } else { 8 })?;
            track.id = u32::from_be_bytes(source.bytes()?);
            // The duration; then layer, group, volume and a matrix.
            source.skip(4 + if wide { 8 } else { 4 } + 16 + 36)?;
            // 16.16 fixed point.
            let width = u32::from_be_bytes(source.bytes()?) >> 16;
            let height = u32::from_be_bytes(source.bytes()?) >> 16;
            track.size = (width, height);
        }
        (Within::Edits, b"elst") => track.edits(source, after)?,
        (Within::Media, b"mdhd") => (track.scale, track.media) = scale_and_ticks(source)?,
        (Within::Media, b"hdlr") => {
            source.skip(8)?;
            track.kind = source.bytes()?;
        }
        (Within::SampleTable, b"stts") => track.times(source, after)?,
        _ => {}
    }
    Ok(())
}

/// Reads ticks per second, and ticks, from `mvhd` or `mdhd`; 0 if unknown.
fn scale_and_ticks(source: &mut FileSource<'_>) -> Result<(u32, u64), Unfit> {
    let wide = version(source)? == 1;
    source.skip(if wide { 16 } else { 8 })?;
    let scale = u32::from_be_bytes(source.bytes()?);
    let ticks = number(source, wide)?;
    // All ones: unknown.
    let known = ticks != if wide { u64::MAX } else { u32::MAX.into() };
    Ok((scale, if known { ticks } else { 0 }))
}

/// Refuses the brands of pictures, which use the same container.
fn check_brand(brand: [u8; 4]) -> Result<(), Unfit> {
    match &brand {
        b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis" => {
            Err(unfit("the content is a picture, but the name says a video", "export it as .png or .jpg"))
        }
        _ => Ok(()),
    }
}
