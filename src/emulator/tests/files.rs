//! Small files, complete as far as the emulator reads them.

/// Returns the header of a PNG of this size.
pub(in crate::emulator) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Returns a binary Roblox model with some content.
pub(super) fn rbxm(text: &str) -> Vec<u8> {
    [b"<roblox!\x89\xff\r\n\x1a\n\0\0", text.as_bytes()].concat()
}

/// Name, MIME type and bytes of a file part.
#[derive(Clone)]
pub(super) struct FilePartFixture {
    pub(super) name: &'static str,
    pub(super) mime: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn model(text: &str) -> FilePartFixture {
    FilePartFixture { name: "m.rbxm", mime: "model/x-rbxm", bytes: rbxm(text) }
}

pub(super) fn fbx(text: &str) -> FilePartFixture {
    FilePartFixture { name: "m.fbx", mime: "model/fbx", bytes: [b"Kaydara FBX Binary  \0", text.as_bytes()].concat() }
}

pub(super) fn image(width: u32, height: u32) -> FilePartFixture {
    FilePartFixture { name: "i.png", mime: "image/png", bytes: png(width, height) }
}

pub(super) fn audio() -> FilePartFixture {
    FilePartFixture { name: "a.ogg", mime: "audio/ogg", bytes: b"OggS\0song".to_vec() }
}

pub(super) fn video() -> FilePartFixture {
    FilePartFixture { name: "v.mp4", mime: "video/mp4", bytes: b"\0\0\0\x18ftypisom".to_vec() }
}
