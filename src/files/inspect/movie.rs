//! MP4 and QuickTime: playing time and size from the movie box; the media data is jumped over.
//!
//! Sources: ISO/IEC 14496-12 (ISO base media file format), Apple's "QuickTime File Format Specification".

use super::source::Source;
use super::{Unfit, cut_off, damaged, limits, unfit};
use crate::model::asset::FileFormat;
use crate::model::file::ContentFacts;

/// More boxes than any real movie has on the levels that are read; a bound for a file made of nothing but box headers.
const MAX_BOXES: u32 = 100_000;

/// What was found so far.
#[derive(Debug, Default)]
struct Movie {
    boxes: u32,
    has_header: bool,
    /// Ticks a second, and ticks.
    duration: Option<(u32, u64)>,
    /// Of a fragmented movie, whose header counts only what is not in fragments.
    fragments: Option<u64>,
    fragmented: bool,
    track: Track,
    /// The largest picture of all video tracks, in pixels.
    picture: Option<(u32, u32)>,
}

/// The track that is being read.
#[derive(Debug, Default)]
struct Track {
    size: (u32, u32),
    video: bool,
}

pub(super) fn movie(source: &mut Source<'_>, format: FileFormat) -> Result<ContentFacts, Unfit> {
    let mut movie = Movie::default();
    let end = source.length();
    movie.boxes(source, end, format, 0)?;
    if !movie.has_header {
        return Err(unfit("the video has no movie header: it is cut off, or was not finished", "export it again"));
    }
    let Some((width, height)) = movie.picture else {
        return Err(unfit(
            "the file holds no video track",
            "an audio file needs an audio format: .mp3, .ogg, .wav or .flac",
        ));
    };
    let duration = match (movie.duration, movie.fragments) {
        (Some((scale, _)), Some(ticks)) => limits::playing_time(ticks, scale),
        (Some((scale, ticks)), None) if ticks > 0 || !movie.fragmented => limits::playing_time(ticks, scale),
        _ => None,
    };
    limits::video(duration, width, height)
}

impl Movie {
    /// Reads the boxes up to `end`. `depth` is bounded by the boxes that are entered: a track, its media.
    fn boxes(&mut self, source: &mut Source<'_>, end: u64, format: FileFormat, depth: u8) -> Result<(), Unfit> {
        while source.position() < end {
            self.boxes += 1;
            if self.boxes > MAX_BOXES {
                return Err(damaged("the video has too many boxes"));
            }
            let start = source.position();
            // QuickTime may end a list with four zero bytes.
            if end - start < 8 {
                source.seek(end)?;
                break;
            }
            let short = u32::from_be_bytes(source.bytes()?);
            let name: [u8; 4] = source.bytes()?;
            let length = match short {
                0 if depth == 0 => end - start,
                1 => u64::from_be_bytes(source.bytes()?),
                short => u64::from(short),
            };
            let header = source.position() - start;
            if depth > 0 && length == 0 {
                source.seek(end)?;
                break;
            }
            let after = start.checked_add(length).filter(|_| length >= header);
            let Some(after) = after else { return Err(damaged("the video's boxes are garbled")) };
            if after > end {
                return Err(if depth == 0 { cut_off() } else { damaged("the video's boxes are garbled") });
            }
            self.one(source, &name, after, format, depth)?;
            source.seek(after)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        source: &mut Source<'_>,
        name: &[u8; 4],
        after: u64,
        format: FileFormat,
        depth: u8,
    ) -> Result<(), Unfit> {
        match (depth, name) {
            (0, b"ftyp") => check_brand(source.bytes()?, format)?,
            (0, b"moov") => {
                self.has_header = true;
                self.boxes(source, after, format, 1)?;
            }
            (1, b"mvhd") => {
                let wide = version(source)? == 1;
                source.skip(if wide { 16 } else { 8 })?;
                let scale = u32::from_be_bytes(source.bytes()?);
                let ticks = number(source, wide)?;
                // All ones: not known.
                let known = ticks != if wide { u64::MAX } else { u32::MAX.into() };
                self.duration = Some((scale, if known { ticks } else { 0 }));
            }
            (1, b"trak") => {
                self.track = Track::default();
                self.boxes(source, after, format, 2)?;
                let Track { size: (width, height), video } = self.track;
                if video {
                    let (widest, highest) = self.picture.unwrap_or_default();
                    self.picture = Some((widest.max(width), highest.max(height)));
                }
            }
            (1, b"mvex") => {
                self.fragmented = true;
                self.boxes(source, after, format, 2)?;
            }
            (2, b"mehd") => {
                let wide = version(source)? == 1;
                self.fragments = Some(number(source, wide)?);
            }
            (2, b"tkhd") => {
                let wide = version(source)? == 1;
                // Times, track, duration; then layer, group, volume and a matrix.
                source.skip(if wide { 32 } else { 20 } + 16 + 36)?;
                // 16.16 fixed point.
                let width = u32::from_be_bytes(source.bytes()?) >> 16;
                let height = u32::from_be_bytes(source.bytes()?) >> 16;
                self.track.size = (width, height);
            }
            (2, b"mdia") => self.boxes(source, after, format, 3)?,
            (3, b"hdlr") => {
                source.skip(8)?;
                self.track.video |= &source.bytes::<4>()? == b"vide";
            }
            _ => {}
        }
        Ok(())
    }
}

/// The version of a full box, its flags jumped over.
fn version(source: &mut Source<'_>) -> Result<u8, Unfit> {
    let [version, _flags @ ..]: [u8; 4] = source.bytes()?;
    Ok(version)
}

fn number(source: &mut Source<'_>, wide: bool) -> Result<u64, Unfit> {
    Ok(if wide { u64::from_be_bytes(source.bytes()?) } else { u32::from_be_bytes(source.bytes()?).into() })
}

/// The major brand tells MP4 and QuickTime apart, and pictures and sounds in the same container.
fn check_brand(brand: [u8; 4], format: FileFormat) -> Result<(), Unfit> {
    let quicktime = &brand == b"qt  ";
    match (format, &brand) {
        (_, b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis") => {
            Err(unfit("the content is a picture, but the name says a video", "export it as .png or .jpg"))
        }
        (FileFormat::Mp4, _) if quicktime => Err(unfit(
            "the content is a QuickTime movie (.mov), but the name ends in .mp4",
            "rename it to .mov, or export it as MP4",
        )),
        (FileFormat::Mov, _) if !quicktime => Err(unfit(
            "the content is an MP4 video, but the name ends in .mov",
            "rename it to .mp4, or export it as QuickTime",
        )),
        _ => Ok(()),
    }
}
