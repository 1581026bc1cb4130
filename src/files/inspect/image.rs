//! Pictures: reads their size from their headers.
//!
//! Each of the four headers has a few fields; nothing is decoded. Sources: the PNG specification
//! (W3C), ITU-T T.81 for JPEG, the Windows bitmap headers (Microsoft, "Bitmap Storage"), the
//! Truevision TGA file format specification 2.0.

use super::source::FileSource;
use super::{Unfit, cut_off, damaged, limits, magic, unfit};
use crate::model::file::ContentFacts;

/// PNG: reads the header, then every chunk to the end, to detect a file that was cut off.
pub(super) fn png(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(magic::PNG.len() as u64)?;
    let mut size = None;
    loop {
        let length = u32::from_be_bytes(source.bytes()?);
        let name: [u8; 4] = source.bytes()?;
        match (&name, size) {
            // Apple's pngcrush writes this chunk first, and then pixels that no other decoder
            // understands.
            (b"CgBI", None) => {
                return Err(unfit(
                    "the PNG is in Apple's own variant (CgBI), which only iOS can read",
                    "export it again as a plain PNG",
                ));
            }
            (b"IHDR", None) if length == 13 => {
                let width = u32::from_be_bytes(source.bytes()?);
                let height = u32::from_be_bytes(source.bytes()?);
                size = Some((width, height));
                source.skip(u64::from(length) - 8 + 4)?;
            }
            (_, None) => return Err(damaged("the PNG has no header")),
            (b"IEND", Some((width, height))) => {
                source.skip(u64::from(length) + 4)?;
                return limits::image(width, height);
            }
            // The data and its checksum.
            (_, Some(_)) => source.skip(u64::from(length) + 4)?,
        }
    }
}

/// JPEG: reads the segments up to the frame header. Bytes between segments are skipped up to the
/// next marker, as libjpeg does (jdmarker.c, `next_marker`): cameras and editors leave some.
pub(super) fn jpeg(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(2)?;
    loop {
        let [mut marker] = source.bytes()?;
        if marker != 0xff {
            continue;
        }
        while marker == 0xff {
            [marker] = source.bytes()?;
        }
        match marker {
            // Without a length: a stuffed zero, TEM, the restart markers, and another start of
            // image.
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 | 0xda => return Err(damaged("the JPEG has no frame header")),
            _ => {}
        }
        let length = u16::from_be_bytes(source.bytes()?);
        let Some(content) = length.checked_sub(2) else { return Err(damaged("the JPEG's segments are garbled")) };
        // SOF0 to SOF15, except DHT, JPG and DAC.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let [_precision] = source.bytes()?;
            let height = u16::from_be_bytes(source.bytes()?);
            let width = u16::from_be_bytes(source.bytes()?);
            return limits::image(width.into(), height.into());
        }
        source.skip(content.into())?;
    }
}

/// BMP: reads the info header. Its length is 12 bytes for OS/2 1, 16 to 64 for OS/2 2, which may
/// end after any field, and 40, 108 or 124 for Windows.
pub(super) fn bmp(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    source.skip(10)?;
    let pixels = u32::from_le_bytes(source.bytes()?);
    let header = u32::from_le_bytes(source.bytes()?);
    let (width, height) = match header {
        12 => {
            let width = u16::from_le_bytes(source.bytes()?);
            (u32::from(width), u32::from(u16::from_le_bytes(source.bytes()?)))
        }
        16..=1024 => {
            let width = i32::from_le_bytes(source.bytes()?);
            let height = i32::from_le_bytes(source.bytes()?);
            // A negative height means that the rows run from top to bottom.
            (u32::try_from(width).unwrap_or(0), height.unsigned_abs())
        }
        _ => return Err(damaged("the BMP has no header")),
    };
    if u64::from(pixels) >= source.length() {
        return Err(cut_off());
    }
    limits::image(width, height)
}

/// TGA: it has no signature, so its header must make sense.
pub(super) fn tga(source: &mut FileSource<'_>) -> Result<ContentFacts, Unfit> {
    let [_id, palette, kind] = source.bytes()?;
    let [_palette @ .., palette_depth] = source.bytes::<5>()?;
    let _origin: [u8; 4] = source.bytes()?;
    let width = u16::from_le_bytes(source.bytes()?);
    let height = u16::from_le_bytes(source.bytes()?);
    let [depth, _alpha] = source.bytes()?;
    let sensible = match (kind, palette) {
        (1 | 9, 1) => depth == 8 && matches!(palette_depth, 15 | 16 | 24 | 32),
        (2 | 10, 0 | 1) => matches!(depth, 15 | 16 | 24 | 32),
        (3 | 11, 0 | 1) => matches!(depth, 8 | 16),
        _ => false,
    };
    if !sensible {
        return Err(damaged("the content isn't a TGA picture"));
    }
    // Without compression, the pixels' length is known.
    let bytes = u64::from(width) * u64::from(height) * u64::from(depth.div_ceil(8));
    if kind < 9 && bytes > source.left() {
        return Err(cut_off());
    }
    limits::image(width.into(), height.into())
}
