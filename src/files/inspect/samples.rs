//! The smallest valid files of each format; tests break them in one way at a time.

use crate::model::asset::FileFormat;

/// PNG (W3C), with a palette: one byte per pixel. The data is stored, not compressed.
pub(in crate::files) fn png(width: u32, height: u32, palette: &[[u8; 4]], pixels: &[u8]) -> Vec<u8> {
    let mut rows = Vec::new();
    for row in pixels.chunks(width as usize) {
        rows.push(0);
        rows.extend_from_slice(row);
    }
    let mut zlib = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = rows.chunks(0xffff).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        zlib.push(u8::from(index + 1 == blocks.len()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend_from_slice(block);
    }
    zlib.extend(adler32(&rows).to_be_bytes());
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        let body = [name, data].concat();
        out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&body);
        out.extend(crc32(&body).to_be_bytes());
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[&size[..], &[8, 3, 0, 0, 0]].concat());
    chunk(b"PLTE", &palette.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect::<Vec<u8>>());
    chunk(b"tRNS", &palette.iter().map(|[.., alpha]| *alpha).collect::<Vec<u8>>());
    chunk(b"IDAT", &zlib);
    chunk(b"IEND", &[]);
    out
}

pub(super) fn blank_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, &[[0; 4]], &vec![0; (width * height) as usize])
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

pub(super) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xff\xc0\0\x0b\x08".to_vec();
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend(b"\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\0\xff\xd9");
    out
}

pub(super) fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut out = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend(b"\x01\0\x18\0");
    out.resize(64, 0);
    out
}

pub(super) fn tga(width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend([32, 8]);
    out.resize(out.len() + usize::from(width) * usize::from(height) * 4, 0);
    out
}

/// RIFF WAVE, 8 bits, one channel.
pub(in crate::files) fn wav(rate: u32, samples: &[u8]) -> Vec<u8> {
    let length = u32::try_from(samples.len()).unwrap();
    let padding = length % 2;
    let mut out = b"RIFF".to_vec();
    out.extend((36 + length + padding).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend(rate.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend(b"\x01\0\x08\0data");
    out.extend(length.to_le_bytes());
    out.extend_from_slice(samples);
    out.resize(out.len() + padding as usize, 0);
    out
}

pub(super) fn flac(rate: u32, samples: u64) -> Vec<u8> {
    let mut out = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
    out.extend((u64::from(rate) << 44 | 15 << 36 | samples).to_be_bytes());
    out.resize(out.len() + 16, 0);
    out
}

fn ogg_page(flags: u8, granule: i64, serial: u32, packet: &[u8]) -> Vec<u8> {
    let mut out = b"OggS\0".to_vec();
    out.push(flags);
    out.extend(granule.to_le_bytes());
    out.extend(serial.to_le_bytes());
    out.extend([0; 8]);
    out.extend([1, u8::try_from(packet.len()).unwrap()]);
    out.extend_from_slice(packet);
    out
}

pub(super) fn vorbis(rate: u32, granule: i64) -> Vec<u8> {
    let mut packet = b"\x01vorbis\0\0\0\0\x01".to_vec();
    packet.extend(rate.to_le_bytes());
    packet.resize(30, 0);
    [ogg_page(2, 0, 7, &packet), ogg_page(0, 1, 7, b"x"), ogg_page(4, granule, 7, b"y"), ogg_page(4, 5, 8, b"z")]
        .concat()
}

pub(super) fn opus(granule: i64) -> Vec<u8> {
    let packet = b"OpusHead\x01\x01\x38\x01\x44\xac\0\0\0\0\0";
    // A packet of 20 milliseconds.
    [ogg_page(2, 0, 7, packet), ogg_page(0, 960, 7, b"\x08"), ogg_page(4, granule, 7, b"\x08")].concat()
}

pub(super) fn theora() -> Vec<u8> {
    ogg_page(2, 0, 7, b"\x80theora\x03\x02\x01")
}

/// 128 kbit/s, 44.1 kHz, stereo, in frames of 417 bytes.
pub(super) fn mp3(frames: usize) -> Vec<u8> {
    let mut out = b"ID3\x04\0\0\0\0\0\x05\0\0\0\0\0".to_vec();
    for _ in 0..frames {
        let start = out.len();
        out.extend(b"\xff\xfb\x90\x00");
        out.resize(start + 417, 0);
    }
    out
}

fn bx(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes()[..], name, content].concat()
}

/// A movie of `milliseconds`, its header behind the media data.
pub(super) fn movie(brand: &[u8; 4], milliseconds: u32, width: u16, height: u16) -> Vec<u8> {
    let ftyp = bx(b"ftyp", &[brand, &[0; 4][..]].concat());
    let mvhd = bx(b"mvhd", &[&[0; 12][..], &1000_u32.to_be_bytes(), &milliseconds.to_be_bytes(), &[0; 80]].concat());
    let mut size = vec![0; 76];
    size.extend((u32::from(width) << 16).to_be_bytes());
    size.extend((u32::from(height) << 16).to_be_bytes());
    let video = bx(b"trak", &[bx(b"tkhd", &size), bx(b"mdia", &bx(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0"))].concat());
    let sound = bx(b"trak", &bx(b"mdia", &bx(b"hdlr", b"\0\0\0\0\0\0\0\0soun\0\0\0\0")));
    [ftyp, bx(b"mdat", &[0; 1000]), bx(b"moov", &[mvhd, sound, video].concat())].concat()
}

/// The compression of a binary model's chunks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packing {
    Plain,
    Lz4,
    Zstd,
}

pub(super) fn chunk(name: &[u8; 4], data: &[u8], packing: Packing) -> Vec<u8> {
    let packed = match packing {
        Packing::Plain => Vec::new(),
        Packing::Lz4 => lz4_flex::block::compress(data),
        Packing::Zstd => ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest),
    };
    let stored = if packed.is_empty() { data } else { &packed };
    let mut out = name.to_vec();
    out.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    out.extend([0; 4]);
    out.extend_from_slice(stored);
    out
}

fn referents(values: &[i32]) -> Vec<u8> {
    let coded: Vec<[u8; 4]> = std::iter::once(&0)
        .chain(values)
        .zip(values)
        .map(|(before, value)| value.wrapping_sub(*before))
        .map(|delta| ((delta << 1) ^ (delta >> 31)).to_be_bytes())
        .collect();
    (0..4).flat_map(|plane| coded.iter().map(move |bytes| bytes[plane])).collect()
}

/// A binary model of instances, each a class and the index of its parent.
pub(super) fn rbxm(instances: &[(&str, Option<usize>)], packing: Packing) -> Vec<u8> {
    let mut out = b"<roblox!\x89\xff\r\n\x1a\n\0\0".to_vec();
    let mut classes: Vec<&str> = instances.iter().map(|(class, _)| *class).collect();
    classes.sort_unstable();
    classes.dedup();
    out.extend(u32::try_from(classes.len()).unwrap().to_le_bytes());
    out.extend(u32::try_from(instances.len()).unwrap().to_le_bytes());
    out.extend([0; 8]);
    let referent = |index: usize| i32::try_from(index * 3 + 1).unwrap();
    for (id, class) in classes.iter().enumerate() {
        let of_class: Vec<i32> = instances
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| name == class)
            .map(|(index, _)| referent(index))
            .collect();
        let mut data = u32::try_from(id).unwrap().to_le_bytes().to_vec();
        data.extend(u32::try_from(class.len()).unwrap().to_le_bytes());
        data.extend(class.as_bytes());
        data.push(0);
        data.extend(u32::try_from(of_class.len()).unwrap().to_le_bytes());
        data.extend(referents(&of_class));
        out.extend(chunk(b"INST", &data, packing));
    }
    // Children before their parents, as Studio writes them.
    let order = || instances.iter().enumerate().rev();
    let children: Vec<i32> = order().map(|(index, _)| referent(index)).collect();
    let parents: Vec<i32> = order().map(|(_, (_, parent))| parent.map_or(-1, referent)).collect();
    let mut data = vec![0];
    data.extend(u32::try_from(instances.len()).unwrap().to_le_bytes());
    data.extend(referents(&children));
    data.extend(referents(&parents));
    out.extend(chunk(b"PRNT", &data, packing));
    out.extend(chunk(b"END\0", b"</roblox>", Packing::Plain));
    out
}

pub(super) fn rbxmx(items: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?>\n<!-- x -->\n<roblox version=\"4\"><Meta name=\"a\">true</Meta>{items}</roblox>\n")
        .into()
}

pub(super) fn glb(version: u32, json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap();
    let mut out = b"glTF".to_vec();
    out.extend(version.to_le_bytes());
    out.extend((length + 20).to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(b"JSON");
    out.extend(json.as_bytes());
    out
}

/// A valid file of each format, its name first.
pub(super) fn one_of_each() -> Vec<(&'static str, FileFormat, Vec<u8>)> {
    let gltf = r#"{"asset":{"version":"2.0"},"buffers":[{"uri":"data:;base64,AAAA","byteLength":3}],"images":[{"bufferView":0}]}"#;
    let animation = [("KeyframeSequence", None), ("Keyframe", Some(0)), ("Pose", Some(1))];
    vec![
        ("a.fbx", FileFormat::Fbx, b"Kaydara FBX Binary  \0\x1a\0".to_vec()),
        ("a.gltf", FileFormat::Gltf, gltf.into()),
        ("a.glb", FileFormat::Glb, glb(2, gltf)),
        ("a.rbxm", FileFormat::Rbxm, rbxm(&animation, Packing::Lz4)),
        ("z.rbxm", FileFormat::Rbxm, rbxm(&animation, Packing::Zstd)),
        ("a.rbxmx", FileFormat::Rbxmx, rbxmx(r#"<Item class="Model"><Item class="Part"/></Item>"#)),
        ("a.png", FileFormat::Png, blank_png(3, 2)),
        ("a.jpg", FileFormat::Jpeg, jpeg(3, 2)),
        ("a.bmp", FileFormat::Bmp, bmp(3, -2)),
        ("a.tga", FileFormat::Tga, tga(3, 2)),
        ("a.mp3", FileFormat::Mp3, mp3(50)),
        ("a.ogg", FileFormat::Ogg, vorbis(44_100, 44_100)),
        ("a.wav", FileFormat::Wav, wav(8000, &[128; 8001])),
        ("a.flac", FileFormat::Flac, flac(48_000, 96_000)),
        ("a.mp4", FileFormat::Mp4, movie(b"isom", 2500, 640, 480)),
        ("a.mov", FileFormat::Mov, movie(b"qt  ", 2500, 640, 480)),
        ("a.mesh", FileFormat::MeshData, b"version 2.00\n".to_vec()),
    ]
}
