//! The bytes of files. Each number makes a different content, so that equal bytes exist only where
//! the scenario copies a file.

use std::fmt::Write as _;

use crate::png::chunk;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Roblox can't update it: each content is another asset.
    Picture,
    /// Updated in place.
    Model,
}

impl Kind {
    /// Returns the kind by the name of a file.
    pub fn of(path: &str) -> Self {
        if path.ends_with(".png") { Self::Picture } else { Self::Model }
    }

    /// Returns the folder that the manifest's glob covers.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Picture => "ui",
            Self::Model => "models",
        }
    }

    pub const fn extension(self) -> &'static str {
        match self {
            Self::Picture => "png",
            Self::Model => "rbxmx",
        }
    }

    /// Returns the content of this number, from some hundred bytes to some ten thousand.
    pub fn bytes(self, number: u64) -> Vec<u8> {
        let weight = [0, 1, 8, 40][usize::try_from(number % 4).unwrap()];
        match self {
            Self::Picture => picture(number, 1 + weight),
            Self::Model => model(number, 1 + 12 * weight),
        }
    }
}

/// Makes a grey picture with this many rows. Its first pixels encode the number.
fn picture(number: u64, rows: u16) -> Vec<u8> {
    const WIDTH: u16 = 640;
    let mut pixels = Vec::new();
    for _ in 0..rows {
        pixels.push(0);
        pixels.extend(number.to_be_bytes());
        pixels.resize(pixels.len().next_multiple_of(usize::from(WIDTH) + 1), 0x7f);
    }
    let length = u16::try_from(pixels.len()).unwrap();
    let mut data = vec![0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    let size = [u32::from(WIDTH).to_be_bytes(), u32::from(rows).to_be_bytes()].concat();
    chunk(&mut data, b"IHDR", &[size.as_slice(), &[8, 0, 0, 0, 0]].concat());
    // One stored deflate block.
    let mut zlib = vec![0x78, 0x01, 0x01];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(&pixels);
    let sum = |(a, b): (u32, u32), byte: &u8| ((a + u32::from(*byte)) % 65_521, (b + a + u32::from(*byte)) % 65_521);
    let (a, b) = pixels.iter().fold((1, 0), sum);
    zlib.extend(((b << 16) | a).to_be_bytes());
    chunk(&mut data, b"IDAT", &zlib);
    chunk(&mut data, b"IEND", &[]);
    data
}

/// Makes a model with this many parts. Their names contain the number.
fn model(number: u64, parts: u16) -> Vec<u8> {
    let mut text = "<roblox version=\"4\">\n".to_owned();
    for part in 0..parts {
        let name = format!("<Properties><string name=\"Name\">n{number} p{part}</string></Properties>");
        writeln!(text, "<Item class=\"Folder\" referent=\"R{part}\">{name}</Item>").unwrap();
    }
    text.push_str("</roblox>\n");
    text.into_bytes()
}
