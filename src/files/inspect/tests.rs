mod models;
mod movies;
mod pictures;
mod sounds;

use std::io::Cursor;
use std::time::Duration;

use proptest::prelude::*;

use super::samples::*;
use super::*;
use crate::files::tests_support::path;
use crate::model::file::ModelRoot;

fn inspect_bytes(name: &str, bytes: &[u8]) -> Result<ContentFacts, String> {
    let path = path(name);
    let length = bytes.len() as u64;
    let format = admit(&path, length).map_err(|problem| problem.message)?;
    inspect(&path, format, &mut Cursor::new(bytes), length).map_err(|unfit| match unfit {
        Unfit::Problem(FileProblem { message, hint, .. }) => {
            assert!(hint.is_some() && !message.ends_with('.'), "{message}");
            message
        }
        Unfit::Read(error) => panic!("reading memory failed: {error}"),
    })
}

fn check(name: &str, bytes: &[u8], expected: ContentFacts) {
    assert_eq!(inspect_bytes(name, bytes), Ok(expected), "{name}");
}

fn check_problem(name: &str, bytes: &[u8], part: &str) {
    let problem = inspect_bytes(name, bytes).unwrap_err();
    assert!(problem.contains(part), "{name}: {problem}");
}

fn image(width: u32, height: u32) -> ContentFacts {
    ContentFacts::Image { width, height }
}

fn audio(milliseconds: u64, rate: u32) -> ContentFacts {
    ContentFacts::Audio { duration: Some(Duration::from_millis(milliseconds)), sample_rate: Some(rate) }
}

fn instances(animation: bool) -> ContentFacts {
    ContentFacts::Instances { root: if animation { ModelRoot::Animation } else { ModelRoot::Other } }
}

#[test]
fn each_format_is_taken_under_its_name_and_refused_under_every_other() {
    let samples = one_of_each();
    for (name, format, bytes) in &samples {
        assert!(inspect_bytes(name, bytes).is_ok(), "{name}: {:?}", inspect_bytes(name, bytes));
        for (other, other_format, _) in &samples {
            // MP4 and QuickTime are one container under two names.
            let movies = [FileFormat::Mp4, FileFormat::Mov];
            if format != other_format && !(movies.contains(format) && movies.contains(other_format)) {
                assert!(inspect_bytes(other, bytes).is_err(), "{name} passes as {other}");
            }
        }
    }
}

#[test]
fn a_file_under_a_wrong_name_is_reported_by_its_content() {
    check_problem("a.png", &jpeg(1, 1), "a JPEG picture, but its name ends in .png");
    check_problem("a.jpeg", &blank_png(1, 1), "a PNG picture, but its name ends in .jpeg");
    check_problem("a.rbxm", &rbxmx(""), "an XML Roblox model (.rbxmx)");
    check_problem("a.rbxmx", &rbxm(&[("Model", None)], Packing::Lz4), "a binary Roblox model (.rbxm)");
    check_problem("a.tga", b"GIF89a", "a GIF picture");
    check_problem("a.mp3", &wav(8000, &[0; 4]), "a WAV sound");
    check_problem("a.ogg", b"\0\0\0\x18ftypM4A \0\0\0\0", "an MPEG-4 sound (.m4a)");
    check_problem("a.mp4", &movie(b"heic", 1, 1, 1), "a picture");
    check_problem("a.png", b"nonsense", "the content is not that of a .png file");
    check_problem("a.fbx", b"<!doctype html><html></html>", "a web page");
}

#[test]
fn git_lfs_pointers_are_recognized_in_every_format() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for format in FileFormat::ALL {
        check_problem(&format!("a.{}", format.extensions()[0]), pointer, "Git LFS pointer");
    }
}

#[test]
fn the_size_of_a_picture_is_read() {
    check("a.png", &blank_png(64, 32), image(64, 32));
    check("a.jpg", &jpeg(640, 480), image(640, 480));
    check("a.bmp", &bmp(5, 6), image(5, 6));
    check("a.bmp", &bmp(5, -6), image(5, 6));
    check("a.tga", &tga(7, 8), image(7, 8));
    check("a.png", &blank_png(7999, 1), image(7999, 1));
    check_problem("a.png", &blank_png(8000, 1), "8000 by 1 pixels");
    check_problem("a.jpg", &jpeg(1, 8000), "1 by 8000 pixels");
    check_problem("a.bmp", &bmp(9000, i32::MIN), "pixels");
    check_problem("a.bmp", &bmp(-1, 5), "no pixels");
    check_problem("a.jpg", &jpeg(0, 5), "no pixels");
    check_problem("a.jpg", b"\xff\xd8\xff\xd9", "no frame header");
    check_problem("a.tga", &[7; 40], "a TGA");
    let png = blank_png(64, 64);
    check_problem("a.png", &png[..png.len() - 5], "ends too early");
    let tga = tga(64, 64);
    check_problem("a.tga", &tga[..tga.len() - 1], "ends too early");
}

#[test]
fn the_duration_and_rate_of_a_sound_are_read() {
    check("a.wav", &wav(8000, &[0; 4000]), audio(500, 8000));
    check("a.flac", &flac(48_000, 48_000 * 420), audio(420_000, 48_000));
    check("a.flac", &flac(44_100, 0), ContentFacts::Audio { duration: None, sample_rate: Some(44_100) });
    check("a.ogg", &vorbis(44_100, 88_200), audio(2000, 44_100));
    check("a.ogg", &opus(48_000 + 312), audio(1000, 48_000));
    let Ok(ContentFacts::Audio { duration: Some(duration), sample_rate: Some(44_100) }) =
        inspect_bytes("a.mp3", &mp3(100))
    else {
        panic!("{:?}", inspect_bytes("a.mp3", &mp3(100)));
    };
    assert_eq!(duration.as_millis(), 100 * 1152 * 1000 / 44_100);

    check_problem("a.flac", &flac(48_000, 48_000 * 420 + 1), "plays 7:01 minutes");
    check_problem("a.ogg", &vorbis(44_100, 44_100 * 421), "plays 7:01 minutes");
    check_problem("a.mp3", &mp3(16_100), "plays 7:01 minutes");
    check_problem("a.wav", &wav(10, &vec![0; 4210]), "plays 7:01 minutes");
    check_problem("a.wav", &wav(96_000, &[0; 4]), "96000 samples a second");
    check_problem("a.flac", &flac(48_001, 1), "48001 samples a second");
}

#[test]
fn broken_sounds_are_problems() {
    check_problem("a.ogg", &theora(), "Ogg video");
    check_problem("a.mp3", b"ID3\x04\0\0\0\0\0\x05\0\0\0\0\0nothing here", "no MP3 frames");
    check_problem("a.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", "ends too early");
    check_problem("a.flac", b"ID3\x04\0\0\0\0\0\0nope", "a FLAC");
    check_problem("a.wav", b"RIFF\0\0\0\0WAVE", "no sound");
    let wav = wav(8000, &[0; 100]);
    check_problem("a.wav", &wav[..100], "ends too early");
}

#[test]
fn a_wav_from_a_pipe_plays_to_its_end() {
    let mut bytes = wav(8000, &[0; 8000]);
    bytes[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    check("a.wav", &bytes, audio(1000, 8000));
}

#[test]
fn the_header_frame_of_an_mp3_adds_no_duration() {
    let mut bytes = mp3(101);
    bytes[15 + 4 + 32..][..4].copy_from_slice(b"Xing");
    assert_eq!(inspect_bytes("a.mp3", &bytes), inspect_bytes("a.mp3", &mp3(100)));
    bytes.extend([b'x'; 30_000]);
    assert_eq!(inspect_bytes("a.mp3", &bytes), inspect_bytes("a.mp3", &mp3(100)));
}

#[test]
fn the_duration_and_size_of_a_video_are_read() {
    let video = |milliseconds, width, height| ContentFacts::Video {
        duration: Some(Duration::from_millis(milliseconds)),
        width,
        height,
    };
    check("a.mp4", &movie(b"mp42", 300_000, 4096, 2160), video(300_000, 4096, 2160));
    check("a.mov", &movie(b"qt  ", 1, 1080, 1920), video(1, 1080, 1920));
    check_problem("a.mp4", &movie(b"mp42", 300_001, 640, 480), "plays 5:01 minutes");
    check_problem("a.mp4", &movie(b"mp42", 1, 4097, 1), "4097 by 1 pixels");
    check_problem("a.mp4", &movie(b"mp42", 1, 2161, 2161), "2161 by 2161 pixels");
    check("a.mp4", &movie(b"mp42", 1, 2160, 4096), video(1, 2160, 4096));
    let whole = movie(b"isom", 1000, 640, 480);
    check_problem("a.mp4", &whole[..1000], "ends too early");
    check_problem("a.mp4", &whole[..16], "no movie header");
    let no_track = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov";
    check_problem("a.mp4", no_track, "no video track");
}

#[test]
fn the_media_of_a_long_video_is_not_read() {
    let mut bytes = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x01mdat".to_vec();
    let media = 3_700_000_000_u64;
    bytes.extend(media.to_be_bytes());
    let movie = movie(b"isom", 2000, 640, 480);
    let header = &movie[16 + 1008..];
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    std::io::Seek::seek(&mut file, io::SeekFrom::Start(16 + media)).unwrap();
    std::io::Write::write_all(&mut file, header).unwrap();
    let length = file.metadata().unwrap().len();
    let facts = inspect(&path("a.mp4"), FileFormat::Mp4, &mut file, length).unwrap();
    assert_eq!(facts, ContentFacts::Video { duration: Some(Duration::from_secs(2)), width: 640, height: 480 });
}

#[test]
fn an_animation_is_recognized_by_its_single_root() {
    for packing in [Packing::Plain, Packing::Lz4, Packing::Zstd] {
        for (expected, tree) in [
            (true, &[("KeyframeSequence", None), ("Keyframe", Some(0)), ("Pose", Some(1))][..]),
            (true, &[("CurveAnimation", None)]),
            (false, &[("Model", None), ("Part", Some(0))]),
            (false, &[("Model", None), ("KeyframeSequence", Some(0))]),
            (false, &[("KeyframeSequence", None), ("KeyframeSequence", None)]),
            (false, &[("KeyframeSequence", None), ("Part", None)]),
            (false, &[]),
        ] {
            check("a.rbxm", &rbxm(tree, packing), instances(expected));
        }
    }
    for (expected, items) in [
        (true, r#"<Item class="KeyframeSequence" referent="R"><Item class="Keyframe"/></Item>"#),
        (true, r#"<Item class='CurveAnimation'/>"#),
        (false, r#"<Item class="Model"><Item class="KeyframeSequence"/></Item>"#),
        (false, r#"<Item class="KeyframeSequence"/><Item class="Part"/>"#),
        (false, r#"<Item/>"#),
        (false, ""),
    ] {
        check("a.rbxmx", &rbxmx(items), instances(expected));
    }
}

#[test]
fn broken_models_are_problems() {
    let model = rbxm(&[("Model", None)], Packing::Lz4);
    for length in [20, 40, model.len() - 30, model.len() - 1] {
        check_problem("a.rbxm", &model[..length], "ends too early");
    }
    let mut garbled = model.clone();
    garbled[32 + 16..32 + 24].fill(0xff);
    check_problem("a.rbxm", &garbled, "decompressed");
    check_problem("a.rbxmx", b"<svg></svg>", "a Roblox model");
    check_problem("a.rbxmx", b"<other></other>", "a Roblox model");
    check_problem("a.rbxmx", b"<roblox><Item></roblox>", "damaged");
    check_problem("a.rbxmx", b"<roblox><Item>", "ends too early");
    check_problem("a.rbxmx", b"<!-- nothing -->", "isn't XML");
}

#[test]
fn a_model_that_would_unpack_to_gigabytes_is_not_unpacked() {
    // 4 GB by its header; 60 chunks of 4 MB, beyond the cap of one file.
    let mut huge = rbxm(&[], Packing::Plain)[..32].to_vec();
    huge.extend(b"PRNT\x08\0\0\0\xff\xff\xff\xff\0\0\0\0\x1f\0\x01\0\xff\xff\xff\xff");
    let big = chunk(b"INST", &vec![0; 4 << 20], Packing::Lz4);
    for _ in 0..60 {
        huge.extend(&big);
    }
    huge.extend(chunk(b"END\0", b"</roblox>", Packing::Plain));
    check("a.rbxm", &huge, ContentFacts::Instances { root: ModelRoot::Unknown });
}

#[test]
fn gltf_must_hold_all_that_it_needs() {
    let model = |extra: &str| format!(r#"{{"asset":{{"version":"2.0"}}{extra}}}"#);
    let data = "A".repeat(3 << 20);
    for good in [
        String::new(),
        r#","buffers":[{"uri":"data:application/octet-stream;base64,AA==","byteLength":1}]"#.to_owned(),
        r#","images":[{"bufferView":0,"mimeType":"image/png"},{"uri":"DATA:image/png;base64,"}]"#.to_owned(),
        format!(r#","buffers":[{{"uri":"data:;base64,{data}"}}],"extras":{{"a":[1,2.5e3,null,true,"{data}"]}}"#),
    ] {
        check("a.gltf", model(&good).as_bytes(), ContentFacts::Opaque);
        check("a.glb", &glb(2, &model(&good)), ContentFacts::Opaque);
    }
    let outside = model(r#","buffers":[{"byteLength":3},{"uri":"sword.bin"}]"#);
    check_problem("a.gltf", outside.as_bytes(), "buffer lies in another file, \"sword.bin\"");
    check_problem("a.glb", &glb(2, &outside), "buffer lies in another file");
    check_problem("a.gltf", model(r#","images":[{"uri":"a.png"}]"#).as_bytes(), "image lies in another file");
    check_problem("a.gltf", br#"{"asset":{"version":"1.0"}}"#, "glTF version \"1.0\"");
    check_problem("a.glb", &glb(1, ""), "glTF version \"1\"");
    check_problem("a.gltf", b"{\"asset\":{\"version\":\"2.0\"}", "ends too early");
    check_problem("a.gltf", b"{\"asset\" 1}", "damaged");
    check_problem("a.gltf", b"{}", "missing field `asset`");
    check_problem("a.gltf", model(&format!(r#","extras":{}"#, "[".repeat(1 << 20))).as_bytes(), "too deep");
    let glb = glb(2, &model(""));
    check_problem("a.glb", &glb[..glb.len() - 1], "ends too early");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No content makes an inspection panic, hang or fail for another reason than the content.
    #[test]
    fn any_bytes_give_facts_or_a_problem(which in 0..17_usize, bytes in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let (name, format, whole) = one_of_each().swap_remove(which);
        drop(inspect_bytes(name, &bytes));
        // Behind the right signature.
        let signature = whole.len().min(if format == FileFormat::Rbxm { 32 } else { 16 });
        drop(inspect_bytes(name, &[&whole[..signature], &bytes].concat()));
    }

    #[test]
    fn any_damage_gives_facts_or_a_problem(
        which in 0..17_usize,
        cut in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let (name, _, mut bytes) = one_of_each().swap_remove(which);
        for (place, byte) in edits {
            *place.get_mut(&mut bytes) = byte;
        }
        drop(inspect_bytes(name, &bytes));
        drop(inspect_bytes(name, &bytes[..=cut.index(bytes.len())]));
    }
}
