//! Input that claims, nests or unpacks to far more than it is: no panic, and bounded memory, held
//! by the kernel.

use std::process::Command;

use serde_json::{Value, json};

use super::{Trial, side_by_side};
use crate::support::{Project, Ran, SECRET};

/// The memory that the program may map, in KiB: a list of 288 MB that grows is copied. A bomb of this table would take
/// gigabytes.
const MEMORY: u32 = 1_000_000;

/// Runs with so much memory and no more; one arena, or a machine with many cores maps that much for
/// nothing.
fn confined(project: &Project, args: &[&str]) -> Ran {
    let inner = project.command(args);
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\""))
        .arg(inner.get_program())
        .args(inner.get_args());
    command.current_dir(project.path()).env("ROBLOX_API_KEY", SECRET);
    let ran = Ran::of(command.output().unwrap());
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("allocat"), "{}", ran.stderr);
    ran
}

/// A binary model whose chunk claims 4 GB, and unpacks to that too: each byte of LZ4's lengths
/// stands for 255 of its data.
fn lz4_bomb() -> Vec<u8> {
    let mut packed = vec![0x1f, 0, 1, 0];
    packed.resize(16_800_000, 0xff);
    packed.push(0);
    let mut file = b"<roblox!\x89\xff\r\n\x1a\n\0\0".to_vec();
    file.extend([0; 16]);
    file.extend(b"PRNT");
    file.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    file.extend(u32::MAX.to_le_bytes());
    file.extend([0; 4]);
    file.extend(packed);
    file.extend(b"END\0\0\0\0\0\x09\0\0\0\0\0\0\0</roblox>");
    file
}

/// An entity that stands for ten of another one, which stands for ten, and so on.
fn laughs() -> Vec<u8> {
    let entities: String =
        (1..30).map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10))).collect();
    format!("<?xml version=\"1.0\"?><!DOCTYPE roblox [<!ENTITY e0 \"ha\">{entities}]><roblox version=\"4\"><Item class=\"Folder\"><string name=\"Name\">&e29;</string></Item></roblox>").into_bytes()
}

/// A binary model whose chunk is a zstd frame of 60,000 blocks of 128 KiB, each of one byte that is
/// repeated: 7 GB, behind a window of 128 MiB.
fn zstd_bomb() -> Vec<u8> {
    let block = ((128 * 1024) << 3) | (1 << 1_u32);
    let [a, b, c, _] = u32::to_le_bytes(block);
    let packed = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3][..], &[a, b, c, 0].repeat(60_000), &[1, 0, 0]].concat();
    let mut file = b"<roblox!\x89\xff\r\n\x1a\n\0\0".to_vec();
    file.extend([0; 16]);
    file.extend(b"PRNT");
    file.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    file.extend((32_u32 << 20).to_le_bytes());
    file.extend([0; 4]);
    file.extend(packed);
    file.extend(b"END\0\0\0\0\0\x09\0\0\0\0\0\0\0</roblox>");
    file
}

/// A binary model of 1,000 chunks that claim 8 bytes each, and unpack to 32 MiB each.
fn zstd_bombs() -> Vec<u8> {
    let block = ((128 * 1024) << 3) | (1 << 1_u32);
    let [a, b, c, _] = u32::to_le_bytes(block);
    let packed = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 15 << 3][..], &[a, b, c, 0].repeat(257), &[1, 0, 0]].concat();
    let mut chunk = b"INST".to_vec();
    chunk.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    chunk.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    chunk.extend(packed);
    [&b"<roblox!\x89\xff\r\n\x1a\n\0\0"[..], &[0; 16], &chunk.repeat(1000)].concat()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no limit of memory")]
fn no_file_takes_more_memory_than_it_may() {
    let project = Project::new(
        "[creator]\nuser_id = 1\n\n[globs.all]\npath = \"*.{png,bmp,wav,flac,mp3,ogg,mp4,rbxm,rbxmx,gltf,glb}\"\n",
    );
    let huge = u32::MAX.to_be_bytes();
    project
        .write("a.png", [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], &huge, &huge, &[8, 6, 0, 0, 0, 0, 0, 0, 0]].concat());
    project.write("b.png", [&b"\x89PNG\r\n\x1a\n"[..], &huge, b"IHDR", &huge].concat());
    project.write("a.bmp", [&b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..], &[0xff; 40]].concat());
    project.write("a.wav", [&b"RIFF\xff\xff\xff\xffWAVEfmt "[..], &huge, &[1; 16], b"data", &huge].concat());
    project.write("a.flac", [&b"fLaC\x04\xff\xff\xff"[..], &[0xff; 64]].concat());
    project.write("a.mp4", [&b"\0\0\0\x18ftypisom\0\0\0\0isomiso2"[..], &huge, b"moov", &huge, b"trak"].concat());
    project.write("b.mp4", [&b"\0\0\0\x18ftypisom\0\0\0\0isomiso2"[..], &b"\0\0\0\x08moov".repeat(100_000)].concat());
    project.write("a.rbxm", lz4_bomb());
    project.write("z.rbxm", zstd_bomb());
    project.write("y.rbxm", zstd_bombs());
    // Every byte may begin a frame, and none does; pages without packets; headers of frames and
    // nothing else.
    project.write("a.mp3", b"\xff\xfb\x00\x00".repeat(500_000));
    project.write("b.mp3", b"\xff".repeat(2_000_000));
    project.write("a.ogg", [&b"OggS\0\x02"[..], &[0; 21]].concat().repeat(70_000));
    project.write("b.flac", [&b"fLaC\x80\0\0\x22"[..], &[0xff; 34], &b"\xff\xf8\x19\x08\0".repeat(400_000)].concat());
    project.write("a.rbxmx", laughs());
    project.write("b.rbxmx", format!("<roblox version=\"4\">{}", "<Item class=\"Folder\">".repeat(800_000)));
    project.write("a.gltf", format!("{{\"asset\":{{\"version\":\"2.0\"}},\"extras\":{}", "[".repeat(18_000_000)));
    project.write("a.glb", [&b"glTF\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffJSON"[..], b"{}"].concat());
    let ran = confined(&project, &["check", "--json"]);
    assert!(matches!(ran.code, 0 | 1), "{} {} {}", ran.code, ran.stdout, ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["assets"], 18, "every file was looked at: {document:#}");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no limit of memory")]
fn no_manifest_and_no_lockfile_takes_more_memory_than_it_may() {
    let deep = |open: &str| format!("a = {}", open.repeat(1_000_000));
    let many =
        |count: usize| (0..count).map(|n| format!("[assets.a{n}]\npath = \"{n}\"\nwrong = 1\n")).collect::<String>();
    let cases = [
        ("deep arrays", deep("[")),
        ("deep tables", deep("{ a = ")),
        ("deep keys", deep("a.")),
        ("many mistakes", many(20_000)),
    ];
    side_by_side(&cases, |text| {
        let project = Project::new(text);
        confined(&project, &["check", "--json"]).expect(3);
        let project = Project::new("[creator]\nuser_id = 1\n");
        project.write(
            "assets.lock.toml",
            format!("# c\nversion = 1\nremote = \"https://apis.roblox.com\"\n\n{text}\n# end of lockfile\n"),
        );
        confined(&project, &["status", "--json"]).expect(3);
    });
}

#[test]
fn an_answer_that_is_longer_than_any_is_not_kept() {
    let reply = |body: String| json!({"match": {"endpoint": "create_asset"}, "times": 1, "action": {"kind": "reply", "status": 200, "commit": true, "body": body}});
    let cases = [
        ("long", reply("x".repeat(30_000_000))),
        ("deep", reply("[".repeat(1_000_000))),
        ("spaces", reply(" ".repeat(5_000_000))),
    ];
    side_by_side(&cases, |script| {
        let trial = Trial::new().fault(script.clone());
        trial.run(15);
        trial.converge();
    });
}
