//! The pins of a rehearsal. They stand in a file of the emulator's folder, one a line, on top of
//! `[pins]` in the real manifest, which a rehearsal never writes.
//!
//! Read next: [`crate::engine::workspace::project`], the only caller.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::manifest;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::platform::atomic_file::{AtomicWriteError, write_atomic_for};
use crate::platform::own_file::{self, Access};

/// The most that is read: a line for each of the largest number of assets.
const MAX_BYTES: u64 = 16 << 20;

/// The word in place of a revision where the rehearsal took a pin of the manifest away.
const UNPINNED: &str = "none";

/// Each address that the rehearsal pinned, or unpinned.
pub(super) type RehearsalPins = BTreeMap<Address, Option<Pin>>;

/// Reads them; without a file there are none. A line that says nothing is passed over: the file is
/// Macadam's own, and a rehearsal can be made again.
pub(super) fn read(path: &Path) -> io::Result<RehearsalPins> {
    let bytes = match own_file::read(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(RehearsalPins::new());
        }
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<(Address, Option<Pin>)> {
    let (pin, address) = line.split_once(' ')?;
    let pin = match pin.split_once(':')? {
        ("revision", UNPINNED) => None,
        ("revision", number) => Some(Pin::Revision(number.parse().ok()?)),
        ("asset", number) => Some(Pin::Asset(number.parse().ok()?)),
        _ => return None,
    };
    Some((Address::new(address).ok()?, pin))
}

/// Writes them.
pub(super) fn write(path: &Path, pins: &RehearsalPins) -> Result<(), AtomicWriteError> {
    let lines = pins.iter().map(|(address, pin)| match pin {
        None => format!("revision:{UNPINNED} {address}\n"),
        Some(Pin::Revision(number)) => format!("revision:{number} {address}\n"),
        Some(Pin::Asset(number)) => format!("asset:{number} {address}\n"),
    });
    let text: String = lines.collect();
    write_atomic_for(Access::Private, path, |out| out.write_all(text.as_bytes()))
}

/// Returns the manifest's text with these pins. One that can't be put into it is left out, and so
/// are all of them where the text is no manifest: reading it reports that.
pub(super) fn apply(text: String, pins: &RehearsalPins) -> String {
    pins.iter().fold(text, |text, (address, pin)| {
        let edited = match pin {
            Some(pin) => manifest::set_pin(&text, address, *pin).map(Some),
            None => manifest::remove_pin(&text, address),
        };
        edited.ok().flatten().unwrap_or(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_a_rehearsal_are_read_as_they_were_written_and_stand_on_top_of_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        assert_eq!(read(&path).unwrap(), RehearsalPins::new());
        let address = |text: &str| Address::new(text).unwrap();
        let pins = RehearsalPins::from([
            (address("sword"), Some(Pin::Revision("3".parse().unwrap()))),
            (address("ui/a b.png"), Some(Pin::Asset("12".parse().unwrap()))),
            (address("old"), None),
        ]);
        write(&path, &pins).unwrap();
        assert_eq!(read(&path).unwrap(), pins);
        let text = apply("[pins]\nold = 2\nkept = 1\nsword = 1\n".to_owned(), &pins);
        assert_eq!(text, "[pins]\nkept = 1\nsword = 3\n\"ui/a b.png\" = { asset_id = 12 }\n");
        assert_eq!(apply("no manifest [".to_owned(), &pins), "no manifest [");
    }
}
