//! Videos in fragments, with edits, with padding behind them, and under the other name.

use super::*;

fn bx(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, &content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A track: its handler, ticks per second, its media's ticks, the samples that the header lists,
/// and the shown duration in milliseconds.
struct Sketch {
    id: u32,
    kind: &'static [u8; 4],
    scale: u32,
    media: u32,
    listed: &'static [(u32, u32)],
    shown: &'static [u32],
}

const PICTURES: Sketch = Sketch { id: 1, kind: b"vide", scale: 600, media: 0, listed: &[], shown: &[] };
const SOUND: Sketch = Sketch { id: 2, kind: b"soun", scale: 44_100, media: 0, listed: &[], shown: &[] };

fn track(sketch: &Sketch) -> Vec<u8> {
    let Sketch { id, kind, scale, media, listed, shown } = *sketch;
    let size = words(&[640 << 16, 480 << 16]);
    let tkhd = bx(b"tkhd", &[&words(&[0, 0, 0, id, 0, 0]), &[0; 52], &size]);
    let edits: Vec<u8> = shown.iter().flat_map(|ticks| words(&[*ticks, 0, 0x1_0000])).collect();
    let count = u32::try_from(shown.len()).unwrap();
    let edts = if shown.is_empty() { Vec::new() } else { bx(b"edts", &[&bx(b"elst", &[&words(&[0, count]), &edits])]) };
    let mdhd = bx(b"mdhd", &[&words(&[0, 0, 0, scale, media, 0])]);
    let hdlr = bx(b"hdlr", &[&[0; 8], kind, &[0; 4]]);
    let runs: Vec<u8> = listed.iter().flat_map(|(count, ticks)| words(&[*count, *ticks])).collect();
    let stts = bx(b"stts", &[&words(&[0, u32::try_from(listed.len()).unwrap()]), &runs]);
    let mdia = bx(b"mdia", &[&mdhd, &hdlr, &bx(b"minf", &[&bx(b"stbl", &[&stts])])]);
    bx(b"trak", &[&tkhd, &edts, &mdia])
}

fn header(milliseconds: u32, tracks: &[Sketch], more: &[u8]) -> Vec<u8> {
    let mvhd = bx(b"mvhd", &[&words(&[0, 0, 0, 1000, milliseconds]), &[0; 80]]);
    let tracks: Vec<u8> = tracks.iter().flat_map(track).collect();
    bx(b"moov", &[&mvhd, &tracks, more])
}

fn file(parts: &[&[u8]]) -> Vec<u8> {
    [&bx(b"ftyp", &[b"isom\0\0\0\0"])[..], &parts.concat()].concat()
}

/// `mvex` with the duration of each sample of tracks 1 and 2.
fn extends(pictures: u32, sound: u32) -> Vec<u8> {
    let trex = |id, ticks| bx(b"trex", &[&words(&[0, id, 1, ticks, 0, 0])]);
    bx(b"mvex", &[&trex(1, pictures), &trex(2, sound)])
}

/// A fragment's part of one track, with `tfhd`'s and `trun`'s flags and fields.
fn part(tfhd: &[u32], trun: &[u32]) -> Vec<u8> {
    bx(b"traf", &[&bx(b"tfhd", &[&words(tfhd)]), &bx(b"trun", &[&words(trun)])])
}

fn fragment(parts: &[Vec<u8>]) -> Vec<u8> {
    [bx(b"moof", &[&bx(b"mfhd", &[&[0; 8]]), &parts.concat()]), bx(b"mdat", &[&[0; 20]])].concat()
}

fn check_duration(name: &str, bytes: &[u8], milliseconds: u64) {
    let duration = Some(Duration::from_millis(milliseconds));
    check(name, bytes, ContentFacts::Video { duration, width: 640, height: 480 });
}

#[test]
fn the_samples_of_fragments_are_summed_up() {
    let moov = header(0, &[PICTURES], &extends(20, 0));
    // By the movie's default, by the fragment's, and each sample by itself.
    let by_movie = fragment(&[part(&[0, 1], &[0, 30])]);
    let by_fragment = fragment(&[part(&[0x8 | 0x2 | 0x1, 1, 0, 0, 1, 60], &[0, 10])]);
    let by_sample = fragment(&[part(&[0, 1], &[0x100 | 0x200 | 0x4 | 0x1, 2, 99, 99, 250, 7, 350, 7])]);
    check_duration("a.mp4", &file(&[&moov, &by_movie]), 1000);
    check_duration("a.mp4", &file(&[&moov, &by_fragment]), 1000);
    check_duration("a.mp4", &file(&[&moov, &by_sample]), 1000);
    check_duration("a.mp4", &file(&[&moov, &by_movie, &by_fragment, &by_sample, &by_movie]), 4000);
    let long: Vec<u8> = by_movie.repeat(301);
    check_problem("a.mp4", &file(&[&moov, &long]), "plays 5:01 minutes");
    check_duration("a.mp4", &file(&[&moov, &by_movie.repeat(300)]), 300_000);
    // The header may count them too, or only those outside of fragments.
    check_duration("a.mp4", &file(&[&header(4000, &[PICTURES], &extends(20, 0)), &by_movie]), 1000);
    let mixed = [Sketch { listed: &[(60, 10)], media: 600, ..PICTURES }];
    check_duration("a.mp4", &file(&[&header(1000, &mixed, &extends(20, 0)), &by_movie]), 2000);
    // A run of an unknown track, and one that claims more than it holds.
    let unknown = fragment(&[part(&[0, 9], &[0, 30])]);
    check_duration("a.mp4", &file(&[&moov, &by_movie, &unknown]), 1000);
    let lying = fragment(&[part(&[0, 1], &[0x100, u32::MAX, 1])]);
    check_problem("a.mp4", &file(&[&moov, &lying]), "garbled");
}

#[test]
fn without_the_samples_of_fragments_their_index_and_their_header_count() {
    let segments = |ticks: &[u32]| {
        let list: Vec<u8> = ticks.iter().flat_map(|ticks| words(&[0, *ticks, 0])).collect();
        let count = u32::try_from(ticks.len()).unwrap();
        bx(b"sidx", &[&words(&[0, 1, 500, 0, 0, count]), &list])
    };
    let moov = header(0, &[PICTURES], &extends(0, 0));
    check_duration("a.mp4", &file(&[&moov, &segments(&[500, 750, 250])]), 3000);
    let with_total = [extends(0, 0), bx(b"mvex", &[&bx(b"mehd", &[&words(&[0, 2500])])])].concat();
    check_duration("a.mp4", &file(&[&header(0, &[PICTURES], &with_total)]), 2500);
    check("a.mp4", &file(&[&moov]), ContentFacts::Video { duration: None, width: 640, height: 480 });
}

/// A reader that counts the bytes that were read.
struct Counted<'a> {
    inner: Cursor<&'a [u8]>,
    read: u64,
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl std::io::Seek for Counted<'_> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

#[test]
fn an_index_is_read_no_further_than_its_box() {
    let lying = bx(b"sidx", &[&words(&[0, 1, 500, 0, 0, u32::from(u16::MAX)])]);
    let video = file(&[&header(2000, &[PICTURES], &[]), &lying.repeat(1000)]);
    check_duration("a.mp4", &video, 2000);
    let (path, length) = (path("a.mp4"), video.len() as u64);
    let mut source = Counted { inner: Cursor::new(&video), read: 0 };
    inspect(&path, admit(&path, length).unwrap(), &mut source, length).unwrap();
    assert!(source.read <= 2 * length, "{} of {length} bytes", source.read);
}

#[test]
fn the_edits_of_a_track_decide_its_duration() {
    let pictures = Sketch { media: 600 * 400, listed: &[(400, 600)], ..PICTURES };
    check_problem("a.mp4", &file(&[&header(1000, &[pictures], &[])]), "plays 6:40 minutes");
    let cut = Sketch { media: 600 * 400, listed: &[(400, 600)], shown: &[500, 1500], ..PICTURES };
    check_duration("a.mp4", &file(&[&header(400_000, &[cut], &[])]), 2000);
    // Without samples the media's header counts, and without that the movie's.
    check_duration("a.mov", &file(&[&header(7000, &[Sketch { media: 3000, ..PICTURES }], &[])]), 5000);
    check_duration("a.mov", &file(&[&header(7000, &[PICTURES], &[])]), 7000);
}

#[test]
fn a_sounds_padding_does_not_make_a_video_too_long() {
    let movie = |samples: &'static [(u32, u32)]| {
        let pictures = Sketch { listed: &[(300, 600)], ..PICTURES };
        file(&[&header(300_023, &[pictures, Sketch { listed: samples, ..SOUND }], &[])])
    };
    check_duration("a.mp4", &movie(&[(12_920, 1024)]), 300_000);
    check_problem("a.mp4", &movie(&[(13_000, 1024)]), "plays 5:02 minutes");
}

#[test]
fn padding_behind_header_and_media_is_ignored() {
    let moov = header(2000, &[PICTURES], &[]);
    let media = bx(b"mdat", &[&[0; 50]]);
    for padding in [&b"trailer!trailer!trailer!"[..], &[0; 100], &[0xff; 9], b"abc", b"\0\0\0\x02free", &[0x20; 4000]] {
        check_duration("a.mp4", &file(&[&media, &moov, padding]), 2000);
        check_duration("a.mov", &file(&[&moov, &media, padding]), 2000);
    }
    check_duration("a.mp4", &file(&[&moov, &bx(b"uuid", &[&[1; 40]]), &media, &bx(b"free", &[])]), 2000);
    // Media that is cut off is not padding, nor is anything before the media.
    check_problem("a.mp4", &file(&[&moov, &media, b"\0\0\x01\0mdat", &[0; 40]]), "ends too early");
    check_problem("a.mp4", &file(&[&moov, b"\0\0\x01\0mdat", &[0; 40]]), "ends too early");
    check_problem("a.mp4", &file(&[&moov, b"\0\0\x01\0junk", &[0; 40]]), "ends too early");
    // A last box without a length, and lengths of 64 bits.
    check_duration("a.mp4", &file(&[&moov, b"\0\0\0\0mdat", &[0; 40]]), 2000);
    check_duration("a.mp4", &file(&[b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x18", &[0; 8], &moov]), 2000);
}

#[test]
fn both_names_take_both_brands_and_none() {
    for brand in [b"qt  ", b"isom", b"mp42", b"M4V ", b"avc1"] {
        for name in ["a.mp4", "a.mov"] {
            assert!(inspect_bytes(name, &movie(brand, 1, 1, 1)).is_ok(), "{name}");
        }
    }
    let (media, moov) = (bx(b"mdat", &[&[0; 50]]), header(2000, &[PICTURES], &[]));
    check_duration("a.mov", &[bx(b"wide", &[]), media, moov].concat(), 2000);
    check_problem("a.mov", &movie(b"avif", 1, 1, 1), "a picture");
    check_problem("a.mov", &file(&[&bx(b"moov", &[&bx(b"cmov", &[&[0; 20]])])]), "header is compressed");
}
