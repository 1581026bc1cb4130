//! Unusual pictures that programs can read, and broken ones that they can't.

use super::*;

#[test]
fn the_size_is_read_from_every_bmp_header() {
    // OS/2 1 has 16 bits for each side.
    let mut first = b"BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x20\0\x10\0\x01\0\x08\0".to_vec();
    first.resize(64, 0);
    check("a.bmp", &first, image(32, 16));
    for header in [16_u32, 20, 24, 40, 52, 56, 64, 108, 124] {
        let mut bytes = bmp(32, -16);
        bytes[14..18].copy_from_slice(&header.to_le_bytes());
        check("a.bmp", &bytes, image(32, 16));
    }
    for header in [0_u32, 11, 13, 15, 5000] {
        let mut bytes = bmp(32, 16);
        bytes[14..18].copy_from_slice(&header.to_le_bytes());
        check_problem("a.bmp", &bytes, "no header");
    }
}

/// A JPEG with `junk` behind its first segment.
fn jpeg_with(junk: &[u8]) -> Vec<u8> {
    let whole = jpeg(40, 30);
    let (start, rest) = whole.split_at(20);
    [start, junk, rest].concat()
}

#[test]
fn bytes_between_the_segments_of_a_jpeg_are_skipped() {
    for junk in [
        &b""[..],
        b"\0",
        b"junk",
        b"\xff",
        b"\xff\xff\xff",
        b"\0\xff\0x",
        b"\xff\x01",
        b"\xff\xd0\xff\xd7",
        b"\xff\xd8",
        &[0x20; 70_000],
    ] {
        check("a.jpg", &jpeg_with(junk), image(40, 30));
    }
    check("a.jpg", &[b"\xff\xd8\0\0", &jpeg(40, 30)[2..]].concat(), image(40, 30));
    check_problem("a.jpg", &[b"\xff\xd8\xff\xe0\0\x02", &[0x20; 5000][..]].concat(), "ends too early");
}

#[test]
fn a_thumbnail_within_a_jpeg_is_ignored() {
    let thumbnail = jpeg(160, 120);
    let length = u16::try_from(thumbnail.len() + 8).unwrap().to_be_bytes();
    let segment = [&b"\xff\xe1"[..], &length, b"Exif\0\0", &thumbnail].concat();
    check("a.jpg", &jpeg_with(&segment), image(40, 30));
    // Progressive, lossless, arithmetic.
    for frame in [0xc1, 0xc2, 0xc3, 0xc9, 0xca, 0xcf] {
        let mut bytes = jpeg(40, 30);
        let at = bytes.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
        bytes[at + 1] = frame;
        check("a.jpg", &bytes, image(40, 30));
    }
}

#[test]
fn a_png_may_have_more_chunks_and_trailing_bytes() {
    let whole = blank_png(3, 2);
    let animated = [&whole[..33], b"\0\0\0\x08acTL\0\0\0\x01\0\0\0\0\0\0\0\0", &whole[33..]].concat();
    check("a.png", &animated, image(3, 2));
    check("a.png", &[&whole[..], b"behind the end"].concat(), image(3, 2));
    let apple = [&whole[..8], b"\0\0\0\x04CgBI\x50\0\x20\x06\0\0\0\0", &whole[8..]].concat();
    check_problem("a.png", &apple, "CgBI");
}

#[test]
fn a_binary_file_that_was_converted_as_text_is_reported_as_such() {
    let model = rbxm(&[("Model", None)], Packing::Plain);
    for (name, whole) in [("a.png", blank_png(3, 2)), ("a.rbxm", model)] {
        let swap = |from: &[u8], to: &[u8]| magic::replace(&whole, from, to);
        for converted in [swap(b"\r\n", b"\n"), swap(b"\n", b"\r\n")] {
            check_problem(name, &converted, "line ends in this file were converted");
        }
        let only_where_there_is_none = magic::replace(&swap(b"\r\n", b"\n"), b"\n", b"\r\n");
        check_problem(name, &only_where_there_is_none, "line ends in this file were converted");
        let latin: String = whole.iter().map(|byte| char::from(*byte)).collect();
        check_problem(name, latin.as_bytes(), "was saved as text");
        check_problem(name, String::from_utf8_lossy(&whole).as_bytes(), "was saved as text");
        check_problem(name, b"something else", "not that of a");
    }
}
