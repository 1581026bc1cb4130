//! Recognizes a file by its first bytes.

use crate::model::asset::FileFormat;

/// The bytes at the start of a file that are enough to recognize it.
pub(super) const HEAD: usize = 512;

/// The first line of a Git LFS pointer (docs/spec.md).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// The binary model format's first bytes: `<roblox!` and a signature that text conversions break.
pub(super) const RBXM: &[u8] = b"<roblox!\x89\xff\r\n\x1a\n";
/// The name of the MP3 format.
const MP3: &str = "an MP3 sound";
/// PNG's signature.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Returns whether the file is a Git LFS pointer.
pub(super) fn is_lfs_pointer(head: &[u8]) -> bool {
    head.starts_with(LFS_POINTER)
}

/// Returns whether the first bytes fit the format. A format without a signature (TGA, MP3) fits
/// when nothing else is recognized.
pub(super) fn fits(format: FileFormat, head: &[u8]) -> bool {
    match format {
        FileFormat::Fbx => head.starts_with(b"Kaydara FBX Binary  \0") || is_ascii_fbx(head),
        FileFormat::Gltf => text(head).starts_with(b"{"),
        FileFormat::Glb => head.starts_with(b"glTF"),
        FileFormat::Rbxm => head.starts_with(RBXM),
        FileFormat::Rbxmx => text(head).starts_with(b"<") && !head.starts_with(b"<roblox!"),
        FileFormat::Png => head.starts_with(PNG),
        FileFormat::Jpeg => head.starts_with(b"\xff\xd8"),
        FileFormat::Bmp => head.starts_with(b"BM"),
        FileFormat::Tga => recognize(head).is_none(),
        // Zeros or half a frame may come first.
        FileFormat::Mp3 => matches!(recognize(head), None | Some(MP3)),
        FileFormat::Ogg => head.starts_with(b"OggS"),
        FileFormat::Wav => is_wav(head),
        FileFormat::Flac => head.starts_with(b"fLaC") || head.starts_with(b"ID3"),
        FileFormat::Mp4 | FileFormat::Mov => is_movie(head),
        FileFormat::MeshData => is_mesh(head),
    }
}

/// Returns the name of the format, with an article, if people mix it up with an asset.
pub(super) fn recognize(head: &[u8]) -> Option<&'static str> {
    let by_start: [(&[u8], &str); 30] = [
        (PNG, "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"II*\0", "a TIFF picture"),
        (b"MM\0*", "a TIFF picture"),
        (b"8BPS", "a Photoshop document"),
        (b"gimp xcf", "a GIMP picture"),
        (b"DDS ", "a DDS texture"),
        (b"\xabKTX", "a KTX texture"),
        (b"qoif", "a QOI picture"),
        (b"fLaC", "a FLAC sound"),
        (b"OggS", "an Ogg sound"),
        (b"ID3", MP3),
        (b"MThd", "a MIDI file"),
        (b"\x1aE\xdf\xa3", "a WebM or Matroska video"),
        (b"<roblox!", "a binary Roblox model (.rbxm)"),
        (b"Kaydara FBX", "an FBX model"),
        (b"glTF", "a binary glTF model (.glb)"),
        (b"BLENDER", "a Blender document"),
        (b"solid ", "an STL model"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"%PDF-", "a PDF document"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
        (LFS_POINTER, "a Git LFS pointer"),
        (b"<<<<<<< ", "a file with git's conflict markers"),
    ];
    if let Some((_, name)) = by_start.iter().find(|(start, _)| head.starts_with(start)) {
        return Some(name);
    }
    // `BM` alone is too short to recognize a bitmap; its two reserved fields are zero.
    if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        return Some("a BMP picture");
    }
    if is_wav(head) {
        return Some("a WAV sound");
    }
    if is_riff(head, b"WEBP") {
        return Some("a WebP picture");
    }
    if is_riff(head, b"AVI ") {
        return Some("an AVI video");
    }
    if head.starts_with(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC")) {
        return Some("an AIFF sound");
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12).unwrap_or_default() {
            b"qt  " => "a QuickTime movie (.mov)",
            b"M4A " | b"M4B " => "an MPEG-4 sound (.m4a)",
            b"heic" | b"heix" | b"mif1" | b"msf1" => "a HEIC picture",
            b"avif" | b"avis" => "an AVIF picture",
            _ => "an MP4 video",
        });
    }
    if is_mesh(head) {
        return Some("Roblox mesh data");
    }
    if is_ascii_fbx(head) {
        return Some("an FBX model");
    }
    if is_mpeg_layer_3(head) {
        return Some(MP3);
    }
    if is_utf16(head) {
        return Some("text in UTF-16");
    }
    recognize_text(text(head))
}

/// Returns the extension that a file with this content should have, where that is certain and
/// Roblox accepts it.
pub(super) fn extension_of(head: &[u8]) -> Option<&'static str> {
    let by_start: [(&[u8], &str); 8] = [
        (PNG, "png"),
        (b"\xff\xd8\xff", "jpg"),
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"ID3", "mp3"),
        (RBXM, "rbxm"),
        (b"Kaydara FBX", "fbx"),
        (b"glTF", "glb"),
    ];
    let found = by_start.into_iter().find(|(start, _)| head.starts_with(start)).map(|(_, extension)| extension);
    found.or_else(|| is_wav(head).then_some("wav"))
}

fn recognize_text(text: &[u8]) -> Option<&'static str> {
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    if text.starts_with(b"<") {
        return Some(match () {
            () if has(b"<roblox") => "an XML Roblox model (.rbxmx)",
            () if has(b"<svg") => "an SVG drawing",
            () if has(b"<!doctype html") || has(b"<html") => "a web page",
            () if has(b"<?xml") => "an XML document",
            () => return None,
        });
    }
    let is_gltf = text.starts_with(b"{") && (has(b"\"asset\"") || has(b"\"scenes\"") || has(b"\"buffers\""));
    is_gltf.then_some("a glTF model")
}

/// Removes a byte order mark and white space.
fn text(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

fn is_riff(head: &[u8], kind: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(kind)
}

/// Recognizes lengths of 32 bits in either byte order, or of 64.
fn is_wav(head: &[u8]) -> bool {
    let marks: [&[u8]; 4] = [b"RIFF", b"RIFX", b"RF64", b"BW64"];
    marks.iter().any(|mark| head.starts_with(mark)) && head.get(8..12) == Some(b"WAVE")
}

fn is_ascii_fbx(head: &[u8]) -> bool {
    let mut lines = text(head).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && (!line.starts_with(b";") || line.starts_with(b"; FBX")));
    // Old exporters write no comment before the first section.
    first.is_some_and(|line| line.starts_with(b"; FBX") || line.starts_with(b"FBXHeaderExtension"))
}

/// The effect of a text conversion on a file that begins with `signature`. PNG's and the binary
/// model's signatures have a byte that isn't ASCII and both kinds of line ends, so that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextConversion {
    /// Line ends became another kind: git's `text` attribute, or a transfer in text mode.
    LineEnds,
    /// Bytes that aren't UTF-8 were replaced: an editor saved it as text.
    Encoding,
}

/// Returns the conversion that turned `signature` into the first bytes.
pub(super) fn text_conversion(head: &[u8], signature: &[u8]) -> Option<TextConversion> {
    let text = String::from_utf8_lossy(signature);
    let latin: String = signature.iter().map(|byte| char::from(*byte)).collect();
    if [text.as_bytes(), latin.as_bytes()].iter().any(|saved| head.starts_with(saved)) {
        return Some(TextConversion::Encoding);
    }
    let without = replace(signature, b"\r\n", b"\n");
    // Some programs put a carriage return before every line feed, some only where there is none.
    let twice = replace(signature, b"\n", b"\r\n");
    let once = replace(&without, b"\n", b"\r\n");
    let changed = [without, twice, once].iter().any(|converted| head.starts_with(converted));
    (changed && !head.starts_with(signature)).then_some(TextConversion::LineEnds)
}

pub(super) fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(from) {
            Some(after) => {
                out.extend_from_slice(to);
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// Recognizes text in UTF-16 by its byte order mark.
fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

/// Recognizes an ISO base media or QuickTime file; older QuickTime files have no `ftyp`.
fn is_movie(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot"))
}

/// Recognizes an MPEG audio frame header: 11 set bits, a version, layer III, a valid bit rate and a
/// valid sample rate.
fn is_mpeg_layer_3(head: &[u8]) -> bool {
    match head {
        [0xff, second, third, ..] => {
            second & 0b1110_0110 == 0b1110_0010
                && second & 0b0001_1000 != 0b0000_1000
                && third & 0b1111_0000 != 0b1111_0000
                && third & 0b0000_1100 != 0b0000_1100
        }
        _ => false,
    }
}

/// Recognizes `version 1.00` to `version 7.00` and a line's end.
fn is_mesh(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"version ") else { return false };
    matches!(rest, [b'1'..=b'7', b'.', b'0'..=b'9', b'0'..=b'9', b'\n' | b'\r', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], name: &str) {
        assert_eq!(recognize(head), (!name.is_empty()).then_some(name), "{:?}", String::from_utf8_lossy(head));
    }

    #[test]
    fn files_are_recognized_by_their_first_bytes() {
        check(b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture");
        check(b"RIFF\0\0\0\0WEBPVP8 ", "a WebP picture");
        check(b"RIFF\0\0\0\0WAVEfmt ", "a WAV sound");
        check(b"\0\0\0\x20ftypisom\0\0", "an MP4 video");
        check(b"\0\0\0\x20ftypqt  \0\0", "a QuickTime movie (.mov)");
        check(b"\0\0\0\x20ftypheic\0\0", "a HEIC picture");
        check(b"\xff\xfb\x90\x64", "an MP3 sound");
        check(b"\xef\xbb\xbf  <roblox version=\"4\">", "an XML Roblox model (.rbxmx)");
        check(b"<roblox!\x89\xff\r\n\x1a\n", "a binary Roblox model (.rbxm)");
        check(b"<!DOCTYPE HTML><HTML>", "a web page");
        check(b"{\"asset\":{\"version\":\"2.0\"}}", "a glTF model");
        check(b"version 4.01\n\x18\0", "Roblox mesh data");
        check(b"version 9.00\n", "");
        check(b"BMW is a car", "");
        check(b"BM\x10\0\0\0\0\0\0\0\x36", "a BMP picture");
        check(b"\0\0\x02\0\0\0\0\0\0\0\0\0\x40\0\x40\0\x20\x08", "");
        check(b"", "");
    }

    #[test]
    fn a_pointer_is_not_taken_for_mesh_data() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        assert!(is_lfs_pointer(pointer) && !fits(FileFormat::MeshData, pointer));
    }
}
