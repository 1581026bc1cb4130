//! The limits of Roblox, apart from the size in bytes (`FileFormat::max_bytes`).
//!
//! The source is the Roblox Open Cloud usage guide for assets (creator-docs:
//! cloud/guides/usage-assets.md, "Supported asset types and limits"), unless another is named.

use std::time::Duration;

use super::{Unfit, unfit};
use crate::model::file::ContentFacts;

/// Images are "smaller than 8000x8000": in pixels, in each direction, exclusive.
const IMAGE_PIXELS: u32 = 8000;
/// Audio is "up to 7 minutes".
const AUDIO_DURATION: Duration = Duration::from_secs(7 * 60);
/// Audio has "up to 48 kHz": samples per second.
const AUDIO_RATE: u32 = 48_000;
/// Video is "up to 5 minutes" (also creator-docs: ui/video-frames.md).
const VIDEO_DURATION: Duration = Duration::from_secs(5 * 60);
/// Video is "up to 4096x2160": in pixels, inclusive, the longer side first. An upright video has
/// the same limit as one that lies: phones record both, and a decoder's work is the same.
const VIDEO_PIXELS: (u32, u32) = (4096, 2160);

pub(super) fn image(width: u32, height: u32) -> Result<ContentFacts, Unfit> {
    if width == 0 || height == 0 {
        return Err(unfit("the picture has no pixels", "export it again"));
    }
    if width >= IMAGE_PIXELS || height >= IMAGE_PIXELS {
        return Err(unfit(
            format!(
                "the picture has {width} by {height} pixels; Roblox takes less than {IMAGE_PIXELS} by {IMAGE_PIXELS}"
            ),
            "make it smaller",
        ));
    }
    Ok(ContentFacts::Image { width, height })
}

pub(super) fn audio(duration: Option<Duration>, sample_rate: Option<u32>) -> Result<ContentFacts, Unfit> {
    if let Some(rate) = sample_rate.filter(|rate| *rate > AUDIO_RATE) {
        return Err(unfit(
            format!("the sound has {rate} samples a second; Roblox takes up to {AUDIO_RATE}"),
            "resample it to 48 kHz",
        ));
    }
    if let Some(duration) = duration.filter(|duration| *duration > AUDIO_DURATION) {
        return Err(unfit(
            format!("the sound plays {}; Roblox takes up to 7 minutes", minutes(duration)),
            "cut it, or split it in two",
        ));
    }
    Ok(ContentFacts::Audio { duration, sample_rate })
}

/// The same for a sound that may end with this much of its encoder's padding, which no player
/// plays. The padding counts only where the rest is too long.
pub(super) fn padded_audio(
    duration: Option<Duration>,
    padding: Duration,
    sample_rate: u32,
) -> Result<ContentFacts, Unfit> {
    let within = |duration: &Duration| *duration > AUDIO_DURATION && duration.saturating_sub(padding) <= AUDIO_DURATION;
    let duration = duration.map(|duration| if within(&duration) { AUDIO_DURATION } else { duration });
    audio(duration, Some(sample_rate))
}

pub(super) fn video(duration: Option<Duration>, width: u32, height: u32) -> Result<ContentFacts, Unfit> {
    let (longer, shorter) = VIDEO_PIXELS;
    if width.max(height) > longer || width.min(height) > shorter {
        return Err(unfit(
            format!("the video has {width} by {height} pixels; Roblox takes up to {longer} by {shorter}"),
            "make it smaller",
        ));
    }
    if let Some(duration) = duration.filter(|duration| *duration > VIDEO_DURATION) {
        return Err(unfit(
            format!("the video plays {}; Roblox takes up to 5 minutes", minutes(duration)),
            "cut it, or split it in two",
        ));
    }
    Ok(ContentFacts::Video { duration, width, height })
}

/// Formats minutes and seconds, rounded up so that a duration over a limit also looks so.
fn minutes(duration: Duration) -> String {
    let seconds = duration.as_nanos().div_ceil(1_000_000_000);
    format!("{}:{:02} minutes", seconds / 60, seconds % 60)
}

/// Returns how long `samples` play at `rate` per second.
pub(super) fn playing_time(samples: u64, rate: u32) -> Option<Duration> {
    let nanoseconds = u128::from(samples).checked_mul(1_000_000_000)?.checked_div(u128::from(rate))?;
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_that_roblox_documents() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert!(image(7999, 7999).is_ok());
        assert!(image(8000, 1).is_err() && image(1, 8000).is_err() && image(0, 1).is_err());
        assert!(audio(seconds(420), Some(48_000)).is_ok() && audio(None, None).is_ok());
        assert!(audio(Some(Duration::from_millis(420_001)), None).is_err() && audio(None, Some(48_001)).is_err());
        assert!(video(seconds(300), 4096, 2160).is_ok());
        assert!(video(seconds(301), 1, 1).is_err() && video(None, 4097, 1).is_err() && video(None, 1, 4097).is_err());
        assert!(video(None, 2160, 4096).is_ok() && video(None, 2161, 2161).is_err());
    }

    #[test]
    fn an_encoders_padding_does_not_make_a_sound_too_long() {
        let plays =
            |milliseconds| padded_audio(Some(Duration::from_millis(milliseconds)), Duration::from_millis(78), 48_000);
        assert!(plays(420_078).is_ok() && plays(420_079).is_err());
    }

    #[test]
    fn a_duration_just_over_the_limit_is_shown_as_such() {
        assert_eq!(minutes(Duration::from_nanos(420_000_000_001)), "7:01 minutes");
        assert_eq!(playing_time(u64::MAX, 1), None);
        assert_eq!(playing_time(1, 0), None);
        assert_eq!(playing_time(44_100, 44_100), Some(Duration::from_secs(1)));
    }
}
