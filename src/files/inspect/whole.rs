//! Checks whether a file is complete, as far as its format shows.
//!
//! Stricter than the inspection, which passes anything that other programs may still manage. Here
//! only a proof counts: a mark at the end, or a length that fits. A format without one (JPEG
//! without its end mark, text FBX, mesh data, sounds from a pipe) is never complete. Reads only
//! headers and tails, through the same small buffer.
//!
//! Read next: `crate::files::completeness`, the caller.

use super::source::{FileSource, ReadSeek};
use super::{Unfit, flac, inspect, movie, mp3, wav};
use crate::model::asset::FileFormat;
use crate::model::path::ProjectPath;

/// The end of a binary FBX (Blender, io_scene_fbx/encode_bin.py, the end of the footer).
const FBX_END: &[u8] =
    &[0xf8, 0x5a, 0x8c, 0x6a, 0xde, 0xf5, 0xd9, 0x7e, 0xec, 0xe9, 0x0c, 0xe3, 0x75, 0x8f, 0x29, 0x0b];
/// The end of a TGA of version 2 (Truevision, TGA 2.0, "TGA file footer").
const TGA_END: &[u8] = b"TRUEVISION-XFILE.\0";
/// The longest Ogg page in bytes (RFC 3533).
const OGG_PAGE: u64 = 65_307;

/// Returns whether a file of `length` bytes in `format` is complete.
pub(in crate::files) fn is_whole(
    path: &ProjectPath,
    format: FileFormat,
    reader: &mut dyn ReadSeek,
    length: u64,
) -> Result<bool, Unfit> {
    // A refused file is not complete, or not urgent.
    inspect(path, format, reader, length)?;
    let source = &mut FileSource::new(reader, length)?;
    match format {
        // The inspection read these to their end mark, or to the end of their content.
        FileFormat::Png | FileFormat::Rbxm | FileFormat::Gltf => Ok(true),
        FileFormat::Rbxmx => Ok(tail(source, 256)?.trim_ascii_end().ends_with(b"</roblox>")),
        FileFormat::Jpeg => Ok(tail(source, 2)? == b"\xff\xd9"),
        FileFormat::Fbx => Ok(tail(source, 16)? == FBX_END),
        FileFormat::Bmp => {
            // The pixels' position is the last field that the header has in every version. Writers
            // fill in a length of 0 later.
            let [_, _, sizes @ ..]: [u8; 14] = source.bytes()?;
            let number =
                |at: usize| sizes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
            let (whole, pixels) = (number(0), number(8));
            Ok(whole > pixels && u64::from(whole) <= length)
        }
        FileFormat::Tga => {
            // The inspection counted the pixels of plain pictures; packed ones don't say.
            let [_, _, kind] = source.bytes()?;
            Ok(kind < 9 || tail(source, 18)? == TGA_END)
        }
        FileFormat::Glb => {
            let [.., a, b, c, d]: [u8; 12] = source.bytes()?;
            Ok(u64::from(u32::from_le_bytes([a, b, c, d])) == length)
        }
        FileFormat::Mp3 => mp3::is_whole(source),
        FileFormat::Ogg => ogg(source),
        FileFormat::Wav => wav::is_whole(source),
        FileFormat::Flac => flac::is_whole(source),
        FileFormat::Mp4 | FileFormat::Mov => movie::is_whole(source),
        FileFormat::MeshData => Ok(false),
    }
}

/// Returns the last bytes, up to `most`.
fn tail(source: &mut FileSource<'_>, most: u64) -> Result<Vec<u8>, Unfit> {
    let length = most.min(source.length());
    source.seek(source.length() - length)?;
    let mut bytes = Vec::new();
    source.fill(&mut bytes, usize::try_from(length).unwrap_or_default())?;
    Ok(bytes)
}

/// Ogg: checks that the last page is marked as the last one, and ends with the file.
fn ogg(source: &mut FileSource<'_>) -> Result<bool, Unfit> {
    let tail = tail(source, OGG_PAGE)?;
    let Some(start) = tail.windows(5).rposition(|bytes| bytes == b"OggS\0") else { return Ok(false) };
    let page = tail.get(start..).unwrap_or_default();
    let (Some(flags), Some(segments)) = (page.get(5), page.get(26)) else { return Ok(false) };
    let header = 27 + usize::from(*segments);
    let Some(lengths) = page.get(27..header) else { return Ok(false) };
    let content: usize = lengths.iter().map(|length| usize::from(*length)).sum();
    Ok(flags & 0x04 != 0 && page.len() == header + content)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::files::inspect::samples::one_of_each;
    use crate::files::tests_support::path;

    /// One finished file of each format, where the shortest that passes inspection might not be
    /// finished.
    fn finished() -> Vec<(&'static str, FileFormat, Vec<u8>)> {
        let mut files = one_of_each();
        for (_, format, bytes) in &mut files {
            match format {
                FileFormat::Fbx => bytes.extend(FBX_END),
                FileFormat::Bmp => {
                    let length = u32::try_from(bytes.len()).unwrap();
                    bytes[2..6].copy_from_slice(&length.to_le_bytes());
                }
                _ => {}
            }
        }
        files
    }

    fn check(name: &str, format: FileFormat, bytes: &[u8], expected: bool) {
        let whole = is_whole(&path(name), format, &mut Cursor::new(bytes), bytes.len() as u64).unwrap_or(false);
        assert_eq!(whole, expected, "{name}, {} bytes", bytes.len());
    }

    #[test]
    fn a_file_is_complete_only_where_its_format_proves_it() {
        for (name, format, bytes) in finished() {
            check(name, format, &bytes, !matches!(format, FileFormat::Flac | FileFormat::MeshData));
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_not_complete() {
        for (name, format, bytes) in finished() {
            // Only a line's end is missing behind the closing tag. Frames of MP3 are complete by
            // themselves, and the Ogg has more behind its last page.
            let most = if format == FileFormat::Rbxmx { bytes.len() - 1 } else { bytes.len() };
            let at_an_end = |cut: &usize| match format {
                FileFormat::Mp3 => (cut + 417 - 15).is_multiple_of(417),
                FileFormat::Ogg => *cut == 116,
                _ => false,
            };
            let step = (most / 97).max(1);
            for cut in (1..most).step_by(step).chain([most - 1]).filter(|cut| !at_an_end(cut)) {
                check(name, format, &bytes[..cut], false);
            }
        }
    }

    #[test]
    fn a_file_written_before_its_length_is_known_is_not_complete() {
        let file = |wanted: &str| finished().into_iter().find(|(name, ..)| *name == wanted).unwrap();
        let (name, format, mut sound) = file("a.wav");
        sound.truncate(44);
        for (riff, data) in [(36_u32, 0_u32), (0, 0), (u32::MAX, u32::MAX)] {
            sound[4..8].copy_from_slice(&riff.to_le_bytes());
            sound[40..44].copy_from_slice(&data.to_le_bytes());
            check(name, format, &sound, false);
        }
        let (name, format, mut model) = file("a.glb");
        model[8..12].fill(0);
        check(name, format, &model, false);
        let (name, format, mut video) = file("a.mp4");
        video.extend(b"\0\0\0\x08moof");
        check(name, format, &video, false);
    }
}
