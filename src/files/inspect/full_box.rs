//! Fields of the boxes of a movie that have a version.

use super::Unfit;
use super::source::FileSource;

/// Reads the version of a full box, and skips its flags.
pub(super) fn version(source: &mut FileSource<'_>) -> Result<u8, Unfit> {
    let [version, _flags @ ..]: [u8; 4] = source.bytes()?;
    Ok(version)
}

pub(super) fn number(source: &mut FileSource<'_>, wide: bool) -> Result<u64, Unfit> {
    Ok(if wide { u64::from_be_bytes(source.bytes()?) } else { u32::from_be_bytes(source.bytes()?).into() })
}
