//! Models: the root of large, packed and oddly encoded ones, and what glTF and FBX need.

use super::*;

/// A zstd frame without a length, of one uncompressed block, with a window of the given descriptor
/// (RFC 8878, 3.1.1).
fn zstd_frame(data: &[u8], window: u8) -> Vec<u8> {
    let block = u32::try_from(data.len()).unwrap() << 3 | 1;
    let [a, b, c, _] = block.to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, window, a, b, c], data].concat()
}

/// A binary model whose chunks are such frames.
fn rbxm_in_zstd(instances: &[(&str, Option<usize>)], window: u8) -> Vec<u8> {
    let plain = rbxm(instances, Packing::Plain);
    let mut out = plain[..32].to_vec();
    let mut rest = &plain[32..];
    while let Some((header, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let (data, after) = after.split_at(length);
        if header.starts_with(b"END") {
            out.extend_from_slice(header);
            out.extend_from_slice(data);
        } else {
            let frame = zstd_frame(data, window);
            out.extend_from_slice(&header[..4]);
            out.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
            out.extend_from_slice(&header[8..16]);
            out.extend(frame);
        }
        rest = after;
    }
    out
}

#[test]
fn a_zstd_window_of_any_size_is_read() {
    let tree = [("KeyframeSequence", None), ("Keyframe", Some(0))];
    // 1 KiB, 8 MiB, 128 MiB, and the largest possible one.
    for window in [0, 13 << 3, 17 << 3, 0xff] {
        check("a.rbxm", &rbxm_in_zstd(&tree, window), instances(true));
    }
    let mut longer = rbxm_in_zstd(&tree, 13 << 3);
    let length = u32::from_le_bytes(longer[32 + 8..][..4].try_into().unwrap()) + 1;
    longer[32 + 8..][..4].copy_from_slice(&length.to_le_bytes());
    check_problem("a.rbxm", &longer, "decompressed");
}

/// The budget counts what the chunks' headers say.
#[test]
fn a_zstd_frame_unpacks_to_no_more_than_its_chunk_says() {
    // Blocks of 128 KiB of one byte each.
    let [a, b, c, _] = (((128 * 1024) << 3) | 2_u32).to_le_bytes();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 15 << 3][..], &[a, b, c, 0].repeat(257), &[1, 0, 0]].concat();
    let plain = rbxm(&[("Model", None)], Packing::Plain);
    let mut model = plain[..32].to_vec();
    model.extend(b"INST");
    model.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
    model.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    model.extend(frame);
    model.extend(&plain[32..]);
    check_problem("a.rbxm", &model, "decompressed");
}

/// A model of `count` instances in a row below the root.
fn deep(root: &'static str, count: usize) -> Vec<(&'static str, Option<usize>)> {
    (0..count).map(|index| if index == 0 { (root, None) } else { ("Pose", Some(0)) }).collect()
}

#[test]
fn the_root_of_a_large_model_is_found() {
    check("a.rbxm", &rbxm(&deep("KeyframeSequence", 600_000), Packing::Lz4), instances(true));
    check("a.rbxm", &rbxm(&deep("Model", 600_000), Packing::Lz4), instances(false));
}

/// Makes the chunk of this name claim more than is ever decompressed.
fn beyond_the_caps(mut model: Vec<u8>, name: &[u8; 4]) -> Vec<u8> {
    let at = model.windows(4).position(|window| window == name).unwrap();
    model[at + 8..][..4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    model
}

#[test]
fn the_root_of_a_model_beyond_the_caps_is_unknown() {
    let unknown = ContentFacts::Instances { root: ModelRoot::Unknown };
    let animation = rbxm(&deep("KeyframeSequence", 3), Packing::Lz4);
    check("a.rbxm", &beyond_the_caps(animation.clone(), b"PRNT"), unknown);
    check("a.rbxm", &beyond_the_caps(animation, b"INST"), unknown);
    // Without any animation in it, its root can't be one, whatever the parents are.
    let model = rbxm(&deep("Model", 3), Packing::Lz4);
    check("a.rbxm", &beyond_the_caps(model.clone(), b"PRNT"), instances(false));
    check("a.rbxm", &beyond_the_caps(model, b"INST"), unknown);
    let several = rbxm(&[("KeyframeSequence", None), ("Part", None)], Packing::Lz4);
    check("a.rbxm", &beyond_the_caps(several, b"INST"), instances(false));
}

#[test]
fn more_animations_than_are_kept_leave_the_root_unknown() {
    let model = rbxm(&[("KeyframeSequence", None)], Packing::Plain);
    let (head, rest) = model.split_at(32);
    // Chunks of the same class again, each with as many instances as half of what is kept.
    let count = 1_u32 << 19;
    let class = b"KeyframeSequence";
    let length = u32::try_from(13 + class.len()).unwrap() + count * 4;
    let mut chunk = [&b"INST\0\0\0\0"[..], &length.to_le_bytes(), &[0; 8]].concat();
    chunk.extend(u32::try_from(class.len()).unwrap().to_le_bytes());
    chunk.extend(class);
    chunk.push(0);
    chunk.extend(count.to_le_bytes());
    chunk.resize(chunk.len() + count as usize * 4, 0);
    check("a.rbxm", &[head, &chunk, rest].concat(), instances(true));
    let unknown = ContentFacts::Instances { root: ModelRoot::Unknown };
    check("a.rbxm", &[head, &chunk, &chunk, rest].concat(), unknown);
}

#[test]
fn only_the_tags_of_an_xml_model_count() {
    let animation = |inside: &[u8]| {
        let start = br#"<Item class="KeyframeSequence"><Properties><string name="Name">"#;
        [b"<roblox version=\"4\">", &start[..], inside, b"</string></Properties></Item></roblox>"].concat()
    };
    for inside in [
        &b"Idl\xe9"[..],
        b"\xff\xfe\0",
        b"&nosuchentity; &#xe9; & &amp",
        b"<![CDATA[<Item class=\"Part\"> \xe9]]>",
        b"<!-- <Item> -- \xe9 -->",
        &[b'x'; 3 << 20],
    ] {
        check("a.rbxmx", &animation(inside), instances(true));
    }
    let with_mark =
        [b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\r\n", &animation(b"\xe9")[..]].concat();
    check("a.rbxmx", &with_mark, instances(true));
    let document_type = [b"<!DOCTYPE roblox [<!ENTITY a \"<Item>]>\">]>", &animation(b"&a;")[..]].concat();
    check("a.rbxmx", &document_type, instances(true));
    check_problem("a.rbxmx", b"\xff\xfe<\0r\0o\0", "text in UTF-16");
    check_problem("a.rbxmx", b"<roblox><Item", "ends too early");
    check_problem("a.rbxmx", b"<roblox><Item></Item></roblox><!--", "ends too early");
    let conflict = "<Item class=\"Folder\">\r\n<<<<<<< HEAD\n</Item>\n=======\n<Item/></Item>\n>>>>>>> other\n";
    check_problem("a.rbxmx", &rbxmx(conflict), "git's conflict markers");
    check_problem("a.rbxmx", b"<roblox><Item>x <<<<<<< y\n>\n\n<", "ends too early");
    check_problem("a.rbxmx", &rbxmx(&"<Item class=\"Folder\">".repeat(100_000)), "nested too deep");
    check_problem("a.rbxmx", &rbxmx(&format!("<Item class=\"{}\"/>", "x".repeat(100_000))), "a tag has no end");
}

/// A binary glTF with a chunk of another kind behind its JSON, and one with `binary` bytes.
fn glb_with(json: &str, binary: Option<usize>) -> Vec<u8> {
    let mut out = glb(2, json);
    out.extend(b"\x04\0\0\0MORE\x01\x02\x03\x04");
    if let Some(length) = binary {
        out.extend(u32::try_from(length).unwrap().to_le_bytes());
        out.extend(b"BIN\0");
        out.resize(out.len() + length, 0);
    }
    out
}

#[test]
fn the_first_buffer_of_a_binary_gltf_is_its_binary_chunk() {
    let model = |buffers: &str| format!(r#"{{"asset":{{"version":"2.0"}},"buffers":[{buffers}]}}"#);
    let one = model(r#"{"byteLength":10}"#);
    check("a.glb", &glb_with(&one, Some(12)), ContentFacts::Opaque);
    check("a.glb", &glb_with(&one, Some(10)), ContentFacts::Opaque);
    check_problem("a.glb", &glb_with(&one, Some(8)), "8 bytes in this file, of 10");
    check_problem("a.glb", &glb_with(&one, None), "binary chunk is missing");
    check_problem("a.glb", &glb(2, &one), "binary chunk is missing");
    check_problem("a.gltf", one.as_bytes(), "first buffer has no data");
    let second = model(r#"{"byteLength":4},{"byteLength":4}"#);
    check_problem("a.glb", &glb_with(&second, Some(4)), "buffer 1 has no data");
    let fallback =
        model(r#"{"byteLength":4},{"byteLength":4,"extensions":{"EXT_meshopt_compression":{"fallback":true}}}"#);
    check("a.glb", &glb_with(&fallback, Some(4)), ContentFacts::Opaque);
    let both = model(r#"{"byteLength":4},{"byteLength":1,"uri":"data:;base64,AA=="},{"byteLength":0}"#);
    check("a.glb", &glb_with(&both, Some(4)), ContentFacts::Opaque);
    check("a.glb", &glb(2, &model("")), ContentFacts::Opaque);
}

#[test]
fn gltf_1_is_refused_as_such() {
    let version = "glTF version \"1.0\"";
    check_problem("a.gltf", br#"{"asset":{"version":"1.0"},"buffers":{"b":{"uri":"data:;base64,AA=="}}}"#, version);
    check_problem("a.gltf", br#"{"buffers":{},"asset":{"version":"1.0"}}"#, version);
    check_problem("a.gltf", br#"{"scenes":{},"images":{"i":{"uri":"a.png"}}}"#, version);
    check_problem("a.gltf", br#"{"asset":{"version":"2.0"},"buffers":{}}"#, "have to be lists");
}

#[test]
fn text_fbx_is_known_with_and_without_its_comment() {
    for text in [
        "; FBX 7.4.0 project file\n; ----\n\nFBXHeaderExtension:  {\n",
        "FBXHeaderExtension:  {\n\tFBXHeaderVersion: 1003\n}\n",
        "\r\n; made by an old exporter\r\n\r\nFBXHeaderExtension:  {\r\n",
        "\u{feff}; FBX 6.1.0 project file\n",
    ] {
        check("a.fbx", text.as_bytes(), ContentFacts::Opaque);
    }
    for version in [6100_u32, 7100, 7300, 7400, 7500, 7700] {
        let bytes = [b"Kaydara FBX Binary  \0\x1a\0", &version.to_le_bytes()[..]].concat();
        check("a.fbx", &bytes, ContentFacts::Opaque);
    }
    for text in ["Definitions are here", "; a comment\nand text", ""] {
        check_problem("a.fbx", if text.is_empty() { b";" } else { text.as_bytes() }, "not that of a");
    }
}
