//! Asset types, file formats, and the first bytes of files. Pure.
//!
//! The table of types and formats is GUIDE's (creator-docs: `cloud/guides/usage-assets.md`). The
//! readers look at headers only and are lenient: they accept any plausible format.

use serde::{Deserialize, Serialize};

/// The types that can be created (GUIDE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CreatableType {
    /// A model or package.
    Model,
    /// A keyframe or curve animation.
    Animation,
    /// An image.
    Image,
    /// A decal: a wrapper around an image.
    Decal,
    /// A sound.
    Audio,
    /// A video.
    Video,
    /// Roblox mesh data.
    Mesh,
}

impl CreatableType {
    const ALL: [CreatableType; 7] = [
        CreatableType::Model,
        CreatableType::Animation,
        CreatableType::Image,
        CreatableType::Decal,
        CreatableType::Audio,
        CreatableType::Video,
        CreatableType::Mesh,
    ];

    /// Returns the plain name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            CreatableType::Model => "Model",
            CreatableType::Animation => "Animation",
            CreatableType::Image => "Image",
            CreatableType::Decal => "Decal",
            CreatableType::Audio => "Audio",
            CreatableType::Video => "Video",
            CreatableType::Mesh => "Mesh",
        }
    }

    /// Returns the spelling of 2023, which GUIDE's example still has.
    pub(in crate::emulator) fn prefixed(self) -> String {
        format!("ASSET_TYPE_{}", self.name().to_ascii_uppercase())
    }

    pub(in crate::emulator) fn parse(text: &str, prefixed_too: bool) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text || (prefixed_too && kind.prefixed() == text))
    }

    /// Whether an upload can have this format.
    pub(in crate::emulator) fn takes(self, format: UploadFormat) -> bool {
        match self {
            CreatableType::Model => {
                matches!(
                    format,
                    UploadFormat::Fbx
                        | UploadFormat::Gltf
                        | UploadFormat::Glb
                        | UploadFormat::Rbxm
                        | UploadFormat::Rbxmx
                )
            }
            CreatableType::Animation => matches!(format, UploadFormat::Rbxm | UploadFormat::Rbxmx),
            CreatableType::Image | CreatableType::Decal => format.is_image(),
            CreatableType::Audio => {
                matches!(format, UploadFormat::Mp3 | UploadFormat::Ogg | UploadFormat::Wav | UploadFormat::Flac)
            }
            CreatableType::Video => matches!(format, UploadFormat::Mp4 | UploadFormat::Mov),
            CreatableType::Mesh => format == UploadFormat::Mesh,
        }
    }
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadFormat {
    /// Autodesk FBX, binary or text.
    Fbx,
    /// glTF as JSON.
    Gltf,
    /// glTF, binary.
    Glb,
    /// Roblox model, binary.
    Rbxm,
    /// Roblox model, XML.
    Rbxmx,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Windows bitmap.
    Bmp,
    /// Truevision TGA.
    Tga,
    /// MPEG audio.
    Mp3,
    /// Ogg.
    Ogg,
    /// RIFF WAVE.
    Wav,
    /// FLAC.
    Flac,
    /// MPEG-4.
    Mp4,
    /// QuickTime.
    Mov,
    /// Roblox mesh data.
    Mesh,
}

impl UploadFormat {
    /// Returns the format for a MIME type; `model/x-rbxm` is both `.rbxm` and `.rbxmx`.
    pub(in crate::emulator) fn of_mime(mime: &str) -> Option<Self> {
        Some(match mime {
            "model/fbx" => UploadFormat::Fbx,
            "model/gltf+json" => UploadFormat::Gltf,
            "model/gltf-binary" => UploadFormat::Glb,
            "model/x-rbxm" => UploadFormat::Rbxm,
            "image/png" => UploadFormat::Png,
            "image/jpeg" => UploadFormat::Jpeg,
            "image/bmp" => UploadFormat::Bmp,
            "image/tga" | "image/x-tga" => UploadFormat::Tga,
            "audio/mpeg" => UploadFormat::Mp3,
            "audio/ogg" => UploadFormat::Ogg,
            "audio/wav" => UploadFormat::Wav,
            "audio/flac" => UploadFormat::Flac,
            "video/mp4" => UploadFormat::Mp4,
            "video/mov" => UploadFormat::Mov,
            "model/x-file-mesh-data" => UploadFormat::Mesh,
            _ => return None,
        })
    }

    /// Returns the format for a file name's extension.
    pub(in crate::emulator) fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "fbx" => UploadFormat::Fbx,
            "gltf" => UploadFormat::Gltf,
            "glb" => UploadFormat::Glb,
            "rbxm" => UploadFormat::Rbxm,
            "rbxmx" => UploadFormat::Rbxmx,
            "png" => UploadFormat::Png,
            "jpg" | "jpeg" => UploadFormat::Jpeg,
            "bmp" => UploadFormat::Bmp,
            "tga" => UploadFormat::Tga,
            "mp3" => UploadFormat::Mp3,
            "ogg" => UploadFormat::Ogg,
            "wav" => UploadFormat::Wav,
            "flac" => UploadFormat::Flac,
            "mp4" => UploadFormat::Mp4,
            "mov" => UploadFormat::Mov,
            "mesh" => UploadFormat::Mesh,
            _ => return None,
        })
    }

    /// Returns the format that a file's first bytes suggest.
    pub(in crate::emulator) fn of_bytes(head: &[u8]) -> Option<Self> {
        let text = head.trim_ascii_start();
        let after = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
        Some(match head {
            _ if head.starts_with(b"<roblox!\x89\xff\r\n\x1a\n") => UploadFormat::Rbxm,
            _ if text.starts_with(b"<roblox") || text.starts_with(b"<?xml") => UploadFormat::Rbxmx,
            _ if head.starts_with(b"Kaydara FBX Binary") || text.starts_with(b"; FBX") => UploadFormat::Fbx,
            _ if head.starts_with(b"glTF") => UploadFormat::Glb,
            _ if text.starts_with(b"{") => UploadFormat::Gltf,
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => UploadFormat::Png,
            _ if head.starts_with(b"\xff\xd8\xff") => UploadFormat::Jpeg,
            _ if head.starts_with(b"BM") => UploadFormat::Bmp,
            _ if head.starts_with(b"OggS") => UploadFormat::Ogg,
            _ if head.starts_with(b"fLaC") => UploadFormat::Flac,
            _ if head.starts_with(b"RIFF") && after(8, b"WAVE") => UploadFormat::Wav,
            _ if after(4, b"ftypqt") => UploadFormat::Mov,
            _ if after(4, b"ftyp") => UploadFormat::Mp4,
            _ if [b"moov", b"mdat", b"wide", b"free"].iter().any(|atom| after(4, *atom)) => UploadFormat::Mov,
            _ if head.starts_with(b"version ") => UploadFormat::Mesh,
            _ if head.starts_with(b"ID3") => UploadFormat::Mp3,
            [0xff, second, ..] if second & 0xe0 == 0xe0 => UploadFormat::Mp3,
            _ if tga_size(head).is_some() => UploadFormat::Tga,
            _ => return None,
        })
    }

    pub(in crate::emulator) fn is_image(self) -> bool {
        matches!(self, UploadFormat::Png | UploadFormat::Jpeg | UploadFormat::Bmp | UploadFormat::Tga)
    }

    /// Whether the two formats are indistinguishable: `.mp4` and `.mov` are one family, and
    /// `model/x-rbxm` names two formats.
    pub(in crate::emulator) fn same_family(self, other: UploadFormat) -> bool {
        let family = |format| match format {
            UploadFormat::Rbxmx => UploadFormat::Rbxm,
            UploadFormat::Mov => UploadFormat::Mp4,
            other => other,
        };
        family(self) == family(other)
    }
}

/// An uploaded file, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The SHA-256 of the bytes in lower-case hex.
    pub hash: String,
    /// The number of bytes.
    pub bytes: u64,
    /// The format that the first bytes suggest.
    pub format: Option<UploadFormat>,
    /// Width and height in pixels, of an image.
    pub pixels: Option<(u32, u32)>,
}

/// Reads width and height from an image's header.
pub(in crate::emulator) fn image_size(head: &[u8]) -> Option<(u32, u32)> {
    let size = match UploadFormat::of_bytes(head)? {
        UploadFormat::Png if head.get(12..16) == Some(b"IHDR") => Some((be32(head, 16)?, be32(head, 20)?)),
        UploadFormat::Jpeg => jpeg_size(head),
        UploadFormat::Bmp => bmp_size(head),
        UploadFormat::Tga => tga_size(head),
        _ => None,
    };
    size.filter(|(width, height)| *width > 0 && *height > 0)
}

fn bmp_size(head: &[u8]) -> Option<(u32, u32)> {
    if le32(head, 14)? == 12 {
        return Some((u32::from(le16(head, 18)?), u32::from(le16(head, 20)?)));
    }
    let signed = |at| Some(i32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?).unsigned_abs());
    Some((signed(18)?, signed(22)?))
}

/// Reads the size of a TGA. TGA has no magic number, so the fields must make sense.
fn tga_size(head: &[u8]) -> Option<(u32, u32)> {
    let plausible = matches!(head.get(1)?, 0 | 1)
        && matches!(head.get(2)?, 1 | 2 | 3 | 9 | 10 | 11)
        && matches!(head.get(16)?, 8 | 15 | 16 | 24 | 32)
        && head.get(17)? & 0xc0 == 0;
    let size = (u32::from(le16(head, 12)?), u32::from(le16(head, 14)?));
    (plausible && size.0 > 0 && size.1 > 0).then_some(size)
}

/// Walks the segments up to the first frame header.
fn jpeg_size(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *head.get(at + 1)?;
        if *head.get(at)? != 0xff {
            return None;
        }
        if marker == 0xff {
            at += 1;
            continue;
        }
        // SOF0 to SOF15, except DHT, JPG and DAC.
        if (0xc0..=0xcf).contains(&marker) && ![0xc4, 0xc8, 0xcc].contains(&marker) {
            return Some((u32::from(be16(head, at + 7)?), u32::from(be16(head, at + 5)?)));
        }
        let standalone = marker == 0x01 || (0xd0..=0xd8).contains(&marker);
        at += if standalone { 2 } else { 2 + usize::from(be16(head, at + 2)?) };
    }
}

fn be32(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn le32(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn be16(head: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?))
}

fn le16(head: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(head: &[u8], format: Option<UploadFormat>, pixels: Option<(u32, u32)>) {
        assert_eq!(
            (UploadFormat::of_bytes(head), image_size(head)),
            (format, pixels),
            "{:?}",
            head.escape_ascii().to_string()
        );
    }

    #[test]
    fn formats_and_sizes_are_read_from_the_first_bytes() {
        let png = crate::emulator::tests::files::png(300, 200);
        check(&png, Some(UploadFormat::Png), Some((300, 200)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc4\0\x02\xff\xff\xc0\0\x0b\x08\0\x10\0\x20\x01";
        check(jpeg, Some(UploadFormat::Jpeg), Some((32, 16)));
        let mut bmp = b"BM".to_vec();
        bmp.extend([0; 12]);
        bmp.extend([40, 0, 0, 0, 7, 0, 0, 0, 0xf7, 0xff, 0xff, 0xff]);
        check(&bmp, Some(UploadFormat::Bmp), Some((7, 9)));
        let tga = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 6, 0, 24, 0];
        check(&tga, Some(UploadFormat::Tga), Some((5, 6)));
        for (head, format) in [
            (&b"<roblox!\x89\xff\r\n\x1a\n\0\0"[..], UploadFormat::Rbxm),
            (b" <roblox version=\"4\">", UploadFormat::Rbxmx),
            (b"Kaydara FBX Binary  \0", UploadFormat::Fbx),
            (b"; FBX 7.4.0 project file", UploadFormat::Fbx),
            (b"glTF\x02\0\0\0", UploadFormat::Glb),
            (b"{\"asset\":{}}", UploadFormat::Gltf),
            (b"ID3\x04", UploadFormat::Mp3),
            (b"\xff\xfb\x90\0", UploadFormat::Mp3),
            (b"OggS\0", UploadFormat::Ogg),
            (b"RIFF\0\0\0\0WAVEfmt ", UploadFormat::Wav),
            (b"fLaC\0", UploadFormat::Flac),
            (b"\0\0\0\x18ftypisom", UploadFormat::Mp4),
            (b"\0\0\0\x14ftypqt  ", UploadFormat::Mov),
            (b"\0\0\0\x08wide", UploadFormat::Mov),
            (b"version 4.00\n", UploadFormat::Mesh),
        ] {
            check(head, Some(format), None);
        }
        check(b"", None, None);
        check(b"hello", None, None);
        check(b"\xff\xd8\xff\xd9", Some(UploadFormat::Jpeg), None);
        check(b"\x89PNG\r\n\x1a\n", Some(UploadFormat::Png), None);
        check(&crate::emulator::tests::files::png(0, 9), Some(UploadFormat::Png), None);
    }

    #[test]
    fn both_spellings_of_a_type_are_known_where_allowed() {
        assert_eq!(CreatableType::parse("Model", false), Some(CreatableType::Model));
        assert_eq!(CreatableType::parse("ASSET_TYPE_MODEL", false), None);
        assert_eq!(CreatableType::parse("ASSET_TYPE_MODEL", true), Some(CreatableType::Model));
        assert_eq!(CreatableType::parse("model", true), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(head in proptest::collection::vec(any::<u8>(), 0..64), start in 0usize..6) {
            let starts: [&[u8]; 6] = [b"", b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n", b"RIFF", b"\0\0\x02"];
            let bytes = [starts[start], &head].concat();
            image_size(&bytes);
        }
    }
}
