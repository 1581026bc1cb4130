//! Sounds with tags, junk and padding, of unknown length, cut out of longer ones, and packed.

use super::*;

/// A frame of 417 bytes: MPEG 1 layer 3, 128 kbit/s, 44.1 kHz, stereo.
fn frame() -> Vec<u8> {
    let mut frame = b"\xff\xfb\x90\x00".to_vec();
    frame.resize(417, 0x55);
    frame
}

fn frames(count: usize) -> Vec<u8> {
    frame().repeat(count)
}

/// The same with another header, and the frame length that it means.
fn frames_of(header: [u8; 4], length: usize, count: usize) -> Vec<u8> {
    let mut frame = header.to_vec();
    frame.resize(length, 0x55);
    frame.repeat(count)
}

fn check_frames(bytes: &[u8], count: u64) {
    check_samples("a.mp3", bytes, count * 1152, 44_100);
}

fn check_samples(name: &str, bytes: &[u8], samples: u64, rate: u32) {
    let nanoseconds = u128::from(samples) * 1_000_000_000 / u128::from(rate);
    let duration = Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap()));
    check(name, bytes, ContentFacts::Audio { duration, sample_rate: Some(rate) });
}

fn is_complete(name: &str, bytes: &[u8]) -> bool {
    let path = path(name);
    let length = bytes.len() as u64;
    is_whole(&path, admit(&path, length).unwrap(), &mut Cursor::new(bytes), length).unwrap_or(false)
}

fn id3(flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let seven = [21, 14, 7, 0].map(|shift| (length >> shift & 0x7f) as u8);
    let footer = if flags & 0x10 == 0 { Vec::new() } else { [&b"3DI\x04\0\x10"[..], &seven].concat() };
    [&[b'I', b'D', b'3', 4, 0, flags], &seven[..], content, &footer].concat()
}

fn ape(content: &[u8]) -> Vec<u8> {
    let part = |flags: u32| {
        let length = u32::try_from(content.len() + 32).unwrap().to_le_bytes();
        [b"APETAGEX\xd0\x07\0\0", &length[..], &[1, 0, 0, 0], &flags.to_le_bytes(), &[0; 8]].concat()
    };
    [part(0xa000_0000), content.to_vec(), part(0x8000_0000)].concat()
}

fn id3v1() -> Vec<u8> {
    let mut tag = b"TAGtitle".to_vec();
    tag.resize(128, 0);
    tag
}

fn lyrics() -> Vec<u8> {
    b"LYRICSBEGININD0000200LYR00005hello000042LYRICS200".to_vec()
}

#[test]
fn bytes_before_the_frames_of_an_mp3_are_skipped() {
    let picture = [&b"\xff\xd8\xff\xe0"[..], &[0xff; 5000], b"\xff\xfb\x90\x00", &[7; 90_000]].concat();
    for before in [
        vec![0; 96],
        vec![0; 1],
        vec![0; 130_000],
        vec![0xff; 300],
        frame()[11..].to_vec(),
        id3(0, b"x"),
        id3(0x10, &picture),
        [id3(0, b"a"), vec![0; 700], id3(0, b"b")].concat(),
        ape(b"item"),
        [id3(0, b"a"), ape(&picture)].concat(),
        b"some words, and ID3 and TAG and APE too".to_vec(),
    ] {
        check_frames(&[&before[..], &frames(40)].concat(), 40);
    }
    check_problem("a.mp3", &[0; 5000], "the content is not that of a .mp3 file");
    check_problem("a.mp3", &[&[0; 96][..], &frames(1)].concat(), "not that of a");
}

#[test]
fn bytes_between_and_behind_the_frames_do_not_change_the_duration() {
    let junk: Vec<u8> = (0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for between in [
        id3(0, &[0; 50_000]),
        id3(0x10, b"x"),
        ape(b"x"),
        id3v1(),
        [lyrics(), id3v1()].concat(),
        vec![0; 3000],
        junk.clone(),
    ] {
        check_frames(&[&frames(30)[..], &between, &frames(40)].concat(), 70);
        check_frames(&[&frames(30)[..], &between].concat(), 30);
    }
    check_problem("a.mp3", &[&frames(8100)[..], &junk, &frames(8100)].concat(), "plays 7:04 minutes");
    // A frame that is cut off takes the place of the next one, as in a player.
    check_frames(&[&frames(30)[..], &frame()[..200], &frames(40)].concat(), 70);
    // Another sample rate behind the first one.
    let slower = frames_of([0xff, 0xf3, 0x80, 0xc0], 208, 383);
    let both = [&frames(383)[..], &slower].concat();
    let nanoseconds = 383 * 1152 * 1_000_000_000_u64 / 44_100 + 383 * 576 * 1_000_000_000 / 22_050;
    let Ok(ContentFacts::Audio { duration: Some(duration), .. }) = inspect_bytes("a.mp3", &both) else { panic!() };
    assert!(duration.abs_diff(Duration::from_nanos(nanoseconds)) < Duration::from_micros(1));
}

/// A first frame that holds a header of `name` in place of sound: the count of frames, and LAME's
/// delay and padding.
fn header_frame(name: &[u8; 4], count: u32, padding: Option<(u32, u32)>) -> Vec<u8> {
    let mut frame = frame();
    frame[36..40].copy_from_slice(name);
    frame[40..44].copy_from_slice(&1_u32.to_be_bytes());
    frame[44..48].copy_from_slice(&count.to_be_bytes());
    if let Some((delay, padding)) = padding {
        frame[48..57].copy_from_slice(b"LAME3.100");
        frame[69..72].copy_from_slice(&(delay << 12 | padding).to_be_bytes()[1..]);
    }
    frame
}

#[test]
fn an_encoders_padding_is_not_played() {
    let sound = |padding| [header_frame(b"Info", 100, padding), frames(100)].concat();
    check_samples("a.mp3", &sound(Some((576, 700))), 100 * 1152 - 1276, 44_100);
    check_samples("a.mp3", &sound(None), 100 * 1152, 44_100);
    // 7 minutes are 16,078.125 frames; an encoder adds its delay and fills up the last one.
    let seven = 7 * 60 * 44_100_u32;
    let padded = [header_frame(b"Info", 16_081, Some((576, 16_081 * 1152 - seven - 576))), frames(16_081)].concat();
    check("a.mp3", &padded, audio(420_000, 44_100));
    check("a.mp3", &frames(16_081), audio(420_000, 44_100));
    check_problem("a.mp3", &frames(16_082), "plays 7:01 minutes");
    let too_long = [header_frame(b"Xing", 16_081, Some((10, 10))), frames(16_081)].concat();
    check_problem("a.mp3", &too_long, "plays 7:01 minutes");
}

#[test]
fn an_mp3_is_whole_when_it_has_all_the_frames_that_it_counts() {
    let sound = |count| [header_frame(b"Xing", count, None), frames(100)].concat();
    assert!(
        is_complete("a.mp3", &sound(100)) && is_complete("a.mp3", &frames(100)) && !is_complete("a.mp3", &sound(101))
    );
    for tags in [id3v1(), ape(b"x"), [ape(b"x"), lyrics(), id3v1()].concat(), id3(0x10, b"x")] {
        assert!(is_complete("a.mp3", &[&sound(100)[..], &tags].concat()));
    }
    let mut half = sound(100);
    half.truncate(half.len() - 100);
    assert!(!is_complete("a.mp3", &half) && !is_complete("a.mp3", &[&sound(100)[..], b"xyz"].concat()));
}

#[test]
fn every_kind_of_mp3_frame_is_walked() {
    for (header, length, rate, samples) in [
        ([0xff, 0xfa, 0xe4, 0x00], 960, 48_000, 1152),
        ([0xff, 0xf3, 0x80, 0xc0], 208, 22_050, 576),
        ([0xff, 0xe3, 0x88, 0xc0], 576, 8000, 576),
    ] {
        check_samples("a.mp3", &frames_of(header, length, 50), 50 * samples, rate);
    }
    // The free format: frames of the same length, which no header says; one with padding.
    let free = frames_of([0xff, 0xfb, 0x00, 0x00], 900, 20);
    let padded = frames_of([0xff, 0xfb, 0x02, 0x00], 901, 20);
    check_frames(&[free, padded].concat(), 40);
    let alone = frames_of([0xff, 0xfb, 0x00, 0x00], 900, 1);
    check("a.mp3", &alone, ContentFacts::Audio { duration: None, sample_rate: Some(44_100) });
    check_problem("a.mp3", &frames_of([0xff, 0xfd, 0xa4, 0x00], 576, 50), "MPEG audio of layer 2");
    check_problem("a.mp3", &frames_of([0xff, 0xff, 0xc8, 0x00], 576, 50), "MPEG audio of layer 1");
}

/// A page with one packet for each length; only the start of a packet matters.
fn page(flags: u8, position: i64, serial: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut out = [b"OggS\0", &[flags][..], &position.to_le_bytes(), &serial.to_le_bytes(), &[0; 8]].concat();
    out.push(u8::try_from(packets.len()).unwrap());
    out.extend(packets.iter().map(|packet| u8::try_from(packet.len()).unwrap()));
    out.extend(packets.concat());
    out
}

/// Blocks of 256 and 2048 samples.
fn vorbis_head(rate: u32) -> Vec<u8> {
    let mut packet = [b"\x01vorbis\0\0\0\0\x01", &rate.to_le_bytes()[..]].concat();
    packet.resize(28, 0);
    packet.extend([0xb8, 1]);
    packet
}

const OPUS_HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x44\xac\0\0\0\0\0";

/// A Vorbis sound from one position to another, its first page with ten long blocks.
fn vorbis_between(serial: u32, start: i64, end: i64) -> Vec<u8> {
    let first = page(0, start + 10 * 1024, serial, &[&b"\0"[..]; 10]);
    [
        page(2, 0, serial, &[&vorbis_head(44_100)]),
        page(0, 0, serial, &[b"\x03vorbis", b"\x05vorbis"]),
        first,
        page(0, -1, serial, &[b"x"]),
        page(4, end, serial, &[b"x"]),
    ]
    .concat()
}

#[test]
fn an_ogg_plays_from_its_first_position_to_its_last() {
    let ten_minutes = 600 * 44_100;
    check("a.ogg", &vorbis_between(1, 0, 88_200), audio(2000, 44_100));
    check("a.ogg", &vorbis_between(1, ten_minutes, ten_minutes + 88_200), audio(2000, 44_100));
    check_problem("a.ogg", &vorbis_between(1, ten_minutes, ten_minutes + 421 * 44_100), "plays 7:01 minutes");
    // Samples that are cut off at the start.
    check("a.ogg", &vorbis_between(1, -500, 44_100), audio(1000, 44_100));
    let opus = |start: i64| {
        let packets: [&[u8]; 3] = [b"\x08", b"\xfc", b"\x0b\x02"];
        [
            page(2, 0, 1, &[OPUS_HEAD]),
            page(0, 0, 1, &[b"OpusTags"]),
            page(0, start + 960 + 960 + 1920, 1, &packets),
            page(4, start + 48_312, 1, &[b"\x08"]),
        ]
        .concat()
    };
    check("a.ogg", &opus(0), audio(1000, 48_000));
    check("a.ogg", &opus(48_000 * 3600), audio(1000, 48_000));
    let speex = |samples: u32, frames: u32, start: i64| {
        let mut head = b"Speex   ".to_vec();
        head.resize(80, 0);
        for (at, value) in [(36, 16_000), (56, samples), (64, frames)] {
            head[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        [page(2, 0, 1, &[&head]), page(0, start + 1280, 1, &[&b"x"[..]; 2]), page(4, start + 16_000, 1, &[b"x"])]
            .concat()
    };
    check("a.ogg", &speex(320, 2, 0), audio(1000, 16_000));
    check("a.ogg", &speex(320, 2, 1_000_000), audio(1000, 16_000));
    // More samples a packet than any number counts: it begins at 0.
    check("a.ogg", &speex(u32::MAX, u32::MAX, 0), audio(1000, 16_000));
    let flac =
        [&b"\x7fFLAC\x01\0\0\x01fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x40\xf0\0\0\0\0"[..], &[0; 16]].concat();
    let flac = |start: i64| {
        [page(2, 0, 1, &[&flac]), page(0, start + 4096, 1, &[b"x"]), page(4, start + 44_100, 1, &[b"x"])].concat()
    };
    check("a.ogg", &flac(0), audio(1000, 44_100));
    check("a.ogg", &flac(50_000_000), audio(1000, 44_100));
}

#[test]
fn sounds_that_follow_each_other_in_an_ogg_are_summed_up() {
    let (one, two) = (vorbis_between(1, 0, 88_200), vorbis_between(2, 44_100, 44_100 * 3));
    check("a.ogg", &[&one[..], &two].concat(), audio(4000, 44_100));
    check("a.ogg", &[&one[..], b"junk between OggS pages", &one].concat(), audio(4000, 44_100));
    let long = vorbis_between(3, 0, 44_100 * 211);
    check_problem("a.ogg", &long.repeat(2), "plays 7:02 minutes");
    // Two at the same time: the longer one counts.
    let (first, rest) = two.split_at(page(2, 0, 2, &[&vorbis_head(44_100)]).len());
    let together = [first, &vorbis_between(1, 0, 44_100 * 3)[..], rest].concat();
    check("a.ogg", &together, audio(3000, 44_100));
    check_samples("a.ogg", &one[..one.len() - 1], 10 * 1024, 44_100);
}

#[test]
fn an_ogg_with_pictures_is_a_video_whichever_stream_comes_first() {
    let sound = page(2, 0, 1, &[&vorbis_head(44_100)]);
    let skeleton = page(2, 0, 3, &[b"fishead\0\x03\0\0\0"]);
    for head in [&b"\x80theora\x03\x02\x01"[..], b"\x80daala", b"BBCD\0", b"OVP80\x01", b"\x01video\0\0\0"] {
        let video = page(2, 0, 2, &[head]);
        check_problem("a.ogg", &[&sound[..], &video].concat(), "Ogg video");
        check_problem("a.ogg", &[&video[..], &sound].concat(), "Ogg video");
        check_problem("a.ogg", &[&skeleton[..], &sound, &video].concat(), "Ogg video");
        check_problem("a.ogg", &[&vorbis_between(1, 0, 99)[..], &video].concat(), "Ogg video");
    }
    let with_skeleton = [&skeleton[..], &vorbis_between(1, 0, 88_200), &page(4, 7, 3, &[b""])].concat();
    check("a.ogg", &with_skeleton, audio(2000, 44_100));
    check_problem("a.ogg", &skeleton, "holds no sound");
}

/// A RIFF file of `mark` from its chunks.
fn riff(mark: &[u8; 4], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut out = [&mark[..], &[0; 4], b"WAVE"].concat();
    for (name, content) in chunks {
        out.extend_from_slice(*name);
        out.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        out.extend_from_slice(content);
        out.resize(out.len() + content.len() % 2, 0);
    }
    let length = u32::try_from(out.len() - 8).unwrap();
    out[4..8].copy_from_slice(&length.to_le_bytes());
    out
}

/// A `fmt ` chunk at 8000 samples per second.
fn format(kind: u16, channels: u16, bytes_a_second: u32, block: u16, bits: u16, more: &[u8]) -> Vec<u8> {
    let rate = 8000_u32.to_le_bytes();
    let fields = [&kind.to_le_bytes()[..], &channels.to_le_bytes(), &rate, &bytes_a_second.to_le_bytes()].concat();
    [&fields[..], &block.to_le_bytes(), &bits.to_le_bytes(), more].concat()
}

#[test]
fn the_blocks_of_a_wav_count_and_not_its_average_rate() {
    let sound = |format: &[u8], fact: Option<u32>, bytes: usize| {
        let (fact, data) = (fact.map(u32::to_le_bytes), vec![0; bytes]);
        let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"fmt ", format)];
        chunks.extend(fact.as_ref().map(|fact| (b"fact", &fact[..])));
        chunks.push((b"data", &data));
        riff(b"RIFF", &chunks)
    };
    // PCM, floats, A-law, and the extensible form of PCM.
    let extensible = [&[22, 0, 16, 0, 3, 0, 0, 0, 1, 0][..], &[0; 14]].concat();
    check("a.wav", &sound(&format(1, 2, 7, 4, 16, &[]), None, 32_000), audio(1000, 8000));
    check("a.wav", &sound(&format(3, 1, 0, 4, 32, &[0, 0]), Some(9), 32_000), audio(1000, 8000));
    check("a.wav", &sound(&format(6, 1, 1, 0, 8, &[]), None, 8000), audio(1000, 8000));
    check("a.wav", &sound(&format(0xfffe, 2, 7, 4, 16, &extensible), None, 32_000), audio(1000, 8000));
    // IMA: 505 samples in 256 bytes; Microsoft: 500; GSM: 320 in 65.
    let ima = format(0x11, 1, 32, 256, 4, &[2, 0, 0xf9, 1]);
    check_samples("a.wav", &sound(&ima, None, 256 * 20), 10_100, 8000);
    check_samples("a.wav", &sound(&ima, Some(10_000), 256 * 20), 10_000, 8000);
    check_samples("a.wav", &sound(&ima, Some(9595), 256 * 20), 10_100, 8000);
    check_samples("a.wav", &sound(&ima, Some(u32::MAX), 256 * 20), 10_100, 8000);
    check_samples("a.wav", &sound(&ima, Some(0), 256 * 20), 10_100, 8000);
    check_samples("a.wav", &sound(&format(0x11, 1, 32, 256, 4, &[2, 0, 0, 0xff]), None, 256 * 20), 10_100, 8000);
    check_samples("a.wav", &sound(&format(2, 1, 1, 256, 4, &[32, 0, 0xf4, 1]), None, 256 * 20), 10_000, 8000);
    check_samples("a.wav", &sound(&format(0x31, 1, 1, 65, 0, &[2, 0, 0x40, 1]), None, 65 * 25), 8000, 8000);
    // Other packings: `fact`, else the average.
    let mp3 = format(0x55, 1, 1000, 1, 0, &[]);
    check("a.wav", &sound(&mp3, Some(16_000), 500), audio(2000, 8000));
    check("a.wav", &sound(&mp3, None, 500), audio(500, 8000));
    check_problem("a.wav", &sound(&mp3, None, 0), "no sound");
}

#[test]
fn every_spelling_of_a_wav_is_read() {
    let pcm = format(1, 1, 8000, 1, 8, &[]);
    let data = vec![0; 8000];
    // Lengths of 64 bits.
    for mark in [b"RF64", b"BW64"] {
        let mut ds64 = vec![0; 28];
        ds64[8..16].copy_from_slice(&8000_u64.to_le_bytes());
        let mut wide = riff(mark, &[(b"ds64", &ds64), (b"fmt ", &pcm), (b"data", &data)]);
        let whole_length = (wide.len() as u64 - 8).to_le_bytes();
        let at = wide.len() - 8004;
        wide[at..at + 4].fill(0xff);
        wide[4..8].fill(0xff);
        wide[20..28].copy_from_slice(&whole_length);
        check("a.wav", &wide, audio(1000, 8000));
        assert!(is_complete("a.wav", &wide) && !is_complete("a.wav", &[&wide[..], &[0; 5]].concat()));
        let mut endless = wide.clone();
        endless[20..28].fill(0xff);
        assert!(!is_complete("a.wav", &endless));
        let cut = &wide[..wide.len() - 10];
        check_problem("a.wav", cut, "ends too early");
    }
    // The other byte order.
    let big_endian =
        b"RIFX\0\0\x1f\x64WAVEfmt \0\0\0\x10\0\x01\0\x01\0\0\x1f\x40\0\0\x1f\x40\0\x01\0\x08data\0\0\x1f\x40";
    check("a.wav", &[&big_endian[..], &data].concat(), audio(1000, 8000));
    // Chunks of odd lengths, with and without their padding.
    let odd = riff(b"RIFF", &[(b"LIST", b"odd"), (b"fmt ", &pcm), (b"data", &data)]);
    check("a.wav", &odd, audio(1000, 8000));
    let unpadded = [&odd[..23], &odd[24..]].concat();
    check("a.wav", &unpadded, audio(1000, 8000));
}

/// A frame of FLAC: its header, a constant subframe, and its checksums.
fn flac_frame(variable: bool, number: u64, samples: u16) -> Vec<u8> {
    let mut out = vec![0xff, if variable { 0xf9 } else { 0xf8 }, 0x70, 0x08];
    match number {
        0..0x80 => out.push(number as u8),
        0x80..0x800 => out.extend([0xc0 | (number >> 6) as u8, 0x80 | (number & 0x3f) as u8]),
        0x800..0x1_0000 => {
            out.extend([0xe0 | (number >> 12) as u8, 0x80 | (number >> 6 & 0x3f) as u8, 0x80 | (number & 0x3f) as u8]);
        }
        _ => out.extend([
            0xf8 | (number >> 24) as u8,
            0x80 | (number >> 18 & 0x3f) as u8,
            0x80 | (number >> 12 & 0x3f) as u8,
            0x80 | (number >> 6 & 0x3f) as u8,
            0x80 | (number & 0x3f) as u8,
        ]),
    }
    out.extend((samples - 1).to_be_bytes());
    out.push(flac::crc8(&out));
    out.extend([0, 1, 2, 3]);
    out.extend(flac::crc16(&out).to_be_bytes());
    out
}

/// A FLAC at 8000 samples per second in blocks of 4000, the last one with 1000; a total of 0 is
/// unknown.
fn flac_of(total: u64, variable: bool, first: u64, blocks: u64) -> Vec<u8> {
    let mut out = b"fLaC\x00\0\0\x22\x0f\xa0\x0f\xa0\0\0\0\0\0\0".to_vec();
    out.extend((8000_u64 << 44 | 15 << 36 | total).to_be_bytes());
    out.resize(out.len() + 16, 0);
    out.extend(b"\x84\0\0\x05\0\0\0\0\0");
    for index in first..first + blocks {
        let samples = if index + 1 == first + blocks { 1000 } else { 4000 };
        out.extend(flac_frame(variable, if variable { index * 4000 } else { index }, samples));
    }
    out
}

#[test]
fn the_last_frame_gives_a_flac_without_a_length_its_duration() {
    for variable in [false, true] {
        check("a.flac", &flac_of(0, variable, 0, 9), audio(4125, 8000));
        check("a.flac", &flac_of(0, variable, 0, 1), audio(125, 8000));
        check("a.flac", &flac_of(0, variable, 700, 9), audio(4125, 8000));
        check_problem("a.flac", &flac_of(0, variable, 0, 900), "plays 7:30 minutes");
        let sound = flac_of(0, variable, 0, 9);
        check("a.flac", &sound[..sound.len() - 1], audio(4125, 8000));
        check("a.flac", &[&sound[..], b"TAG something"].concat(), audio(4125, 8000));
        check("a.flac", &[id3(0, b"x"), sound].concat(), audio(4125, 8000));
    }
    // By its header, if that has a length.
    check("a.flac", &flac_of(16_000, false, 0, 9), audio(2000, 8000));
    let nothing = flac_of(0, false, 0, 0);
    check("a.flac", &nothing, ContentFacts::Audio { duration: None, sample_rate: Some(8000) });
}

#[test]
fn a_flac_is_whole_when_its_last_frame_is_there() {
    let sound = flac_of(33_000, false, 0, 9);
    assert!(is_complete("a.flac", &sound));
    for cut in 1..sound.len() {
        assert!(!is_complete("a.flac", &sound[..cut]), "{cut}");
    }
    assert!(!is_complete("a.flac", &flac_of(0, false, 0, 9)) && !is_complete("a.flac", &flac_of(33_001, false, 0, 9)));
}
