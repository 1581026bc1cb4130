//! The parts of a PNG file; shared by the tests, the soak and the benches.

/// Adds a chunk of a PNG file.
pub fn chunk(data: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    data.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    let body = [name.as_slice(), content].concat();
    data.extend(&body);
    let crc = body.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 });
        crc
    });
    data.extend((!crc).to_be_bytes());
}
