//! The tracks of an MP4 or QuickTime movie: sums up how long each plays, by its samples in the
//! header and in the fragments.
//!
//! Sources: ISO/IEC 14496-12, 8.6.1.2 (`stts`), 8.6.6 (`elst`), 8.8.3 (`trex`), 8.8.7 (`tfhd`),
//! 8.8.8 (`trun`).

use std::time::Duration;

use super::full_box::{number, version};
use super::source::FileSource;
use super::{Unfit, damaged, limits};

/// More tracks than any real movie has.
const MAX_TRACKS: usize = 1000;
/// How much longer than the pictures a sound may be without making the video longer. Encoders fill
/// up the last block of samples, and some add one (AAC: 1024 samples, 46 ms at 22,050 Hz).
const SOUND_PADDING: Duration = Duration::from_millis(100);

/// A track.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// In pixels.
    pub(super) size: (u32, u32),
    /// The kind of content, by its handler.
    pub(super) kind: [u8; 4],
    /// Ticks per second.
    pub(super) scale: u32,
    /// The duration by its media header, in ticks.
    pub(super) media: u64,
    /// The samples that the movie's header lists, in ticks.
    listed: u64,
    /// The shown duration, in the movie's ticks; 0 if no edit says it.
    shown: u64,
    /// The default duration of a sample in a fragment.
    sample: u32,
    /// The samples in fragments, in ticks.
    in_fragments: u64,
}

impl Track {
    /// Reads an edit list: the parts of the media that are shown, one after the other.
    pub(super) fn edits(&mut self, source: &mut FileSource<'_>, after: u64) -> Result<(), Unfit> {
        let wide = version(source)? == 1;
        for _ in 0..u32::from_be_bytes(source.bytes()?) {
            if source.position() >= after {
                break;
            }
            self.shown = self.shown.saturating_add(number(source, wide)?);
            source.skip(if wide { 12 } else { 8 })?;
        }
        Ok(())
    }

    /// Reads the times of the samples: runs of a count and a duration.
    pub(super) fn times(&mut self, source: &mut FileSource<'_>, after: u64) -> Result<(), Unfit> {
        source.skip(4)?;
        for _ in 0..u32::from_be_bytes(source.bytes()?) {
            if source.position() >= after {
                break;
            }
            let count = u64::from(u32::from_be_bytes(source.bytes()?));
            let ticks = u64::from(u32::from_be_bytes(source.bytes()?));
            self.listed = self.listed.saturating_add(count.saturating_mul(ticks));
        }
        Ok(())
    }

    /// Returns how long the track plays in a movie of `movie_scale` ticks per second.
    fn duration(&self, movie_scale: u32) -> Option<Duration> {
        let header = if self.listed > 0 { self.listed } else { self.media };
        if self.in_fragments > 0 {
            // A media header may or may not count the fragments.
            return limits::playing_time(self.listed.saturating_add(self.in_fragments), self.scale);
        }
        let shown = (self.shown > 0).then(|| limits::playing_time(self.shown, movie_scale)).flatten();
        shown.or_else(|| (header > 0).then(|| limits::playing_time(header, self.scale)).flatten())
    }
}

/// The tracks of a movie, and the current fragment's track.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    all: Vec<Track>,
    /// The index of the fragment's track, and the default duration of its samples.
    fragment: Option<(usize, u32)>,
}

impl Tracks {
    /// Begins a new track. One too many replaces the last one.
    pub(super) fn begin(&mut self) {
        self.all.truncate(MAX_TRACKS - 1);
        self.all.push(Track::default());
    }

    /// Returns the track that is being read.
    pub(super) fn last(&mut self) -> Option<&mut Track> {
        self.all.last_mut()
    }

    /// Returns the largest picture of all video tracks, in pixels.
    pub(super) fn picture(&self) -> Option<(u32, u32)> {
        let sizes = self.all.iter().filter(|track| &track.kind == b"vide").map(|track| track.size);
        sizes.reduce(|(widest, highest), (width, height)| (widest.max(width), highest.max(height)))
    }

    /// Returns how long pictures and sounds play, as far as the tracks say.
    pub(super) fn duration(&self, movie_scale: u32) -> Option<Duration> {
        let longest = |kind: &[u8; 4]| {
            let tracks = self.all.iter().filter(|track| &track.kind == kind);
            tracks.filter_map(|track| track.duration(movie_scale)).max()
        };
        match (longest(b"vide"), longest(b"soun")) {
            (Some(pictures), Some(sound)) if sound > pictures + SOUND_PADDING => Some(sound),
            (Some(pictures), _) => Some(pictures),
            (None, sound) => sound,
        }
    }

    /// Reads `trex`: the defaults for samples in fragments.
    pub(super) fn defaults(&mut self, source: &mut FileSource<'_>) -> Result<(), Unfit> {
        source.skip(4)?;
        let id = u32::from_be_bytes(source.bytes()?);
        let _description: [u8; 4] = source.bytes()?;
        let sample = u32::from_be_bytes(source.bytes()?);
        self.all.iter_mut().filter(|track| track.id == id).for_each(|track| track.sample = sample);
        Ok(())
    }

    /// Notes that no known track follows.
    pub(super) fn leave_fragment(&mut self) {
        self.fragment = None;
    }

    /// Reads `tfhd`: the track of the following samples.
    pub(super) fn enter_fragment(&mut self, source: &mut FileSource<'_>) -> Result<(), Unfit> {
        const HAS_BASE_OFFSET: u32 = 0x1;
        const HAS_DESCRIPTION: u32 = 0x2;
        const HAS_DURATION: u32 = 0x8;
        let flags = flags(source)?;
        let id = u32::from_be_bytes(source.bytes()?);
        source.skip(if flags & HAS_BASE_OFFSET == 0 { 0 } else { 8 })?;
        source.skip(if flags & HAS_DESCRIPTION == 0 { 0 } else { 4 })?;
        let sample = if flags & HAS_DURATION == 0 { None } else { Some(u32::from_be_bytes(source.bytes()?)) };
        let track = self.all.iter().enumerate().find(|(_, track)| track.id == id);
        self.fragment = track.map(|(index, track)| (index, sample.unwrap_or(track.sample)));
        Ok(())
    }

    /// Reads `trun`: samples of a fragment, up to `after`.
    pub(super) fn run(&mut self, source: &mut FileSource<'_>, after: u64) -> Result<(), Unfit> {
        const HAS_DATA_OFFSET: u32 = 0x1;
        const HAS_FIRST_FLAGS: u32 = 0x4;
        const HAS_DURATION: u32 = 0x100;
        const OTHER_FIELDS: u32 = 0xe00;
        let flags = flags(source)?;
        let count = u64::from(u32::from_be_bytes(source.bytes()?));
        let Some((index, sample)) = self.fragment else { return Ok(()) };
        let Some(track) = self.all.get_mut(index) else { return Ok(()) };
        let ticks = if flags & HAS_DURATION == 0 {
            count.saturating_mul(sample.into())
        } else {
            source.skip(if flags & HAS_DATA_OFFSET == 0 { 0 } else { 4 })?;
            source.skip(if flags & HAS_FIRST_FLAGS == 0 { 0 } else { 4 })?;
            let others = u64::from((flags & OTHER_FIELDS).count_ones()) * 4;
            if count.saturating_mul(4 + others) > after.saturating_sub(source.position()) {
                return Err(damaged("the video's fragments are garbled"));
            }
            let mut ticks = 0_u64;
            for _ in 0..count {
                ticks = ticks.saturating_add(u32::from_be_bytes(source.bytes()?).into());
                source.skip(others)?;
            }
            ticks
        };
        track.in_fragments = track.in_fragments.saturating_add(ticks);
        Ok(())
    }
}

/// Reads the flags of a full box, and skips its version.
fn flags(source: &mut FileSource<'_>) -> Result<u32, Unfit> {
    let [_version, a, b, c]: [u8; 4] = source.bytes()?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}
