//! WAV: reads the playing time and sample rate from its chunks.
//!
//! Sources: "Multimedia Programming Interface and Data Specifications 1.0" and "Multimedia Data
//! Standards Update" (Microsoft: RIFF WAVE, its formats and `fact`), ITU-R BS.2088 (`RF64` and
//! `BW64`, whose lengths are in `ds64`). `RIFX` is the same in the other byte order.

use super::source::FileSource;
use super::{Unfit, cut_off, damaged, limits};
use crate::model::file::ContentFacts;

/// Lengths from here on mean unknown: the program wrote into a pipe.
const UNKNOWN: u32 = 0x7fff_ff00;

/// The `fmt ` chunk.
#[derive(Debug, Clone, Copy)]
struct WavFormat {
    kind: u16,
    channels: u16,
    rate: u32,
    bytes_a_second: u32,
    /// The bytes in a block, for all channels.
    block: u16,
    bits: u16,
    /// The samples in a block, for formats that pack them.
    samples: Option<u16>,
}

/// The chunks before the sound.
#[derive(Debug, Default)]
struct Wav {
    big_endian: bool,
    format: Option<WavFormat>,
    /// The number of samples by the `fact` chunk.
    fact: Option<u32>,
    /// Lengths of 64 bits: of the file, and of the sound.
    wide: Option<(u64, u64)>,
    /// The length of the file by the first header.
    whole: u32,
}

pub(super) fn wav(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let (wav, length) = Wav::read(source)?;
    let Some(format) = wav.format else { return Err(damaged("the WAV doesn't tell its format")) };
    let wide = wav.wide.map(|(_, sound)| sound).filter(|_| length == u32::MAX);
    let unknown = wide.is_none() && (length == 0 || length >= UNKNOWN);
    let bytes = if unknown { source.left() } else { wide.unwrap_or(length.into()) };
    if bytes > source.left() {
        return Err(cut_off());
    }
    if bytes == 0 {
        return Err(damaged("the WAV holds no sound"));
    }
    let duration = match format.samples(bytes) {
        Some(samples) => {
            // `fact` may end within the last block; any other value is wrong.
            let last_block = samples.saturating_sub(format.samples(format.block.into()).unwrap_or(0))..samples;
            let fact = wav.fact.map(u64::from).filter(|fact| *fact > last_block.start && *fact < last_block.end);
            limits::playing_time(fact.unwrap_or(samples), format.rate)
        }
        None => match wav.fact {
            Some(fact) if fact > 0 => limits::playing_time(fact.into(), format.rate),
            _ => limits::playing_time(bytes, format.bytes_a_second),
        },
    };
    limits::audio(duration, Some(format.rate))
}

/// Returns whether the length in the header fits the file. Programs that don't know it yet write 0,
/// the length of a file without sound, or the largest number.
pub(super) fn is_whole(source: &mut FileSource<'_>) -> Result<bool, Unfit> {
    /// The bytes behind the length in a file without sound.
    const EMPTY: u64 = 36;
    let (wav, sound) = Wav::read(source)?;
    let whole = match wav.wide {
        Some((whole, _)) if wav.whole == u32::MAX => whole,
        _ => wav.whole.into(),
    };
    let length = source.length();
    let end = whole.saturating_add(8);
    Ok(sound > 0 && whole > EMPTY && (end == length || end.saturating_add(whole % 2) == length))
}

impl Wav {
    /// Reads up to the sound, and returns its length by its chunk.
    fn read(source: &mut FileSource<'_>) -> Result<(Self, u32), Unfit> {
        let [name @ .., a, b, c, d]: [u8; 8] = source.bytes()?;
        let mut wav = Self { big_endian: &name == b"RIFX", ..Self::default() };
        wav.whole = wav.long([a, b, c, d]);
        source.skip(4)?;
        loop {
            if source.left() < 8 {
                return Err(damaged("the WAV holds no sound"));
            }
            let name: [u8; 4] = source.bytes()?;
            let length = wav.long(source.bytes()?);
            let start = source.position();
            match &name {
                b"data" => return Ok((wav, length)),
                b"fmt " if length >= 16 => wav.read_format(source, length)?,
                b"fact" if length >= 4 => wav.fact = Some(wav.long(source.bytes()?)),
                b"ds64" if length >= 16 => {
                    let whole = u64::from_le_bytes(source.bytes()?);
                    wav.wide = Some((whole, u64::from_le_bytes(source.bytes()?)));
                }
                _ => {}
            }
            source.seek(start)?;
            source.skip(length.into())?;
            if length % 2 == 1 {
                skip_padding(source)?;
            }
        }
    }

    fn read_format(&mut self, source: &mut FileSource<'_>, length: u32) -> Result<(), Unfit> {
        /// The real format is in a GUID, behind the sizes of valid bits and the speakers' places.
        const EXTENSIBLE: u16 = 0xfffe;
        let (kind, channels) = (self.short(source.bytes()?), self.short(source.bytes()?));
        let (rate, bytes_a_second) = (self.long(source.bytes()?), self.long(source.bytes()?));
        let (block, bits) = (self.short(source.bytes()?), self.short(source.bytes()?));
        let mut format = WavFormat { kind, channels, rate, bytes_a_second, block, bits, samples: None };
        if length >= 20 {
            source.skip(2)?;
            format.samples = Some(self.short(source.bytes()?));
        }
        if kind == EXTENSIBLE && length >= 26 {
            source.skip(4)?;
            format.kind = self.short(source.bytes()?);
            format.samples = None;
        }
        self.format = Some(format);
        Ok(())
    }

    fn short(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn long(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

impl WavFormat {
    /// Returns the number of samples of each channel in `bytes`; `None` where the format doesn't
    /// say.
    fn samples(&self, bytes: u64) -> Option<u64> {
        const PCM: u16 = 1;
        const MS_ADPCM: u16 = 2;
        const FLOAT: u16 = 3;
        const A_LAW: u16 = 6;
        const MU_LAW: u16 = 7;
        const IMA_ADPCM: u16 = 0x11;
        const GSM: u16 = 0x31;
        let (block, channels) = (u64::from(self.block), u64::from(self.channels).max(1));
        let blocks = |in_each: u64| {
            // The last block may be short.
            let rest = bytes.checked_rem(block)?.checked_mul(in_each)?.checked_div(block)?;
            Some(bytes.checked_div(block)?.saturating_mul(in_each).saturating_add(rest))
        };
        match self.kind {
            PCM | FLOAT | A_LAW | MU_LAW => match bytes.checked_div(block) {
                Some(samples) => Some(samples),
                None => bytes.checked_div(channels * u64::from(self.bits.div_ceil(8))),
            },
            // A block of each channel begins with a header that holds the first sample (IMA) or two
            // (Microsoft); then four bits for each.
            IMA_ADPCM => {
                let counted = block.saturating_sub(4 * channels) * 2 / channels + 1;
                blocks(self.samples.map_or(counted, u64::from).min(counted))
            }
            MS_ADPCM => {
                let counted = block.saturating_sub(7 * channels) * 2 / channels + 2;
                blocks(self.samples.map_or(counted, u64::from).min(counted))
            }
            GSM => blocks(self.samples.filter(|samples| *samples > 0).map_or(320, u64::from)),
            _ => None,
        }
    }
}

/// Skips the padding before a chunk, since chunks start at even positions. Some programs forget it,
/// and then a chunk's name is in its place.
fn skip_padding(source: &mut FileSource<'_>) -> Result<(), Unfit> {
    let next = source.peek(4)?;
    if source.left() > 0 && !matches!(next.as_slice(), b"data" | b"fmt " | b"fact" | b"LIST") {
        source.skip(1)?;
    }
    Ok(())
}
