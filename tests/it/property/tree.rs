//! The files of a branch: what a random walk changes, and what is wanted of the remote for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::support::{Project, animation, png, rbxmx};

/// The kind of a file; the slot decides it, so that an address never changes its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Image,
    Model,
    Animation,
    Audio,
}

const KINDS: [Kind; 4] = [Kind::Image, Kind::Model, Kind::Animation, Kind::Audio];

/// The largest number of files of each kind.
const SLOTS: usize = 12;

/// The number of contents a kind: few, so that equal bytes and the way back are common.
const CONTENTS: u8 = 4;

const NAMES: [&str; 3] = ["Sword", "Shield", "bad Helmet"];
const DESCRIPTIONS: [&str; 3] = ["", "One\nand two", "ünïcode"];

/// The text filter of the tests censors this.
pub const CENSORED: &str = "bad";

impl Kind {
    const fn of(slot: usize) -> Self {
        KINDS[slot % KINDS.len()]
    }

    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Image => ("ui", "png"),
            Self::Model => ("models", "rbxmx"),
            Self::Animation => ("moves", "rbxmx"),
            Self::Audio => ("sounds", "wav"),
        }
    }

    fn bytes(self, content: u8) -> Vec<u8> {
        match self {
            Self::Image => png(content),
            Self::Model => rbxmx(&format!("part{content}")).into_bytes(),
            Self::Animation => animation(&format!("move{content}")).into_bytes(),
            Self::Audio => wav(content),
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub stem: String,
    pub content: u8,
    /// An entry of its own under `[assets]`, with its name and description; else a glob finds it.
    pub explicit: Option<(Option<usize>, Option<usize>)>,
    pub pin: Option<Pin>,
}

/// Holds an address at an earlier revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The address that the manifest names: after a rename it may still be the old one.
    address: String,
    revision: u64,
    hash: String,
}

/// The files of a branch, by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub entries: BTreeMap<usize, Entry>,
}

/// The desired state of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    pub kind: Kind,
    pub hash: String,
    pub name: Option<&'static str>,
    pub description: Option<&'static str>,
    pub pinned: bool,
}

impl Tree {
    /// The desired state, by address.
    pub fn wanted(&self) -> BTreeMap<String, Want> {
        self.entries.iter().map(|(slot, entry)| (address(*slot, entry), want(*slot, entry))).collect()
    }

    /// Some step that a person takes with the files; says which.
    pub fn edit(&mut self, rng: &mut fastrand::Rng) -> String {
        let slot = rng.usize(..SLOTS);
        let content = rng.u8(..CONTENTS);
        let Some(entry) = self.entries.get_mut(&slot) else {
            let meta = rng.bool().then(|| metadata(rng));
            let entry = Entry { stem: stem(slot, rng), content, explicit: meta, pin: None };
            let text = format!("add {slot}: {entry:?}");
            self.entries.insert(slot, entry);
            return text;
        };
        // A rename of a pinned file changes the pin too, or leaves it behind for a while.
        let forgets_pin = rng.bool();
        let text = match rng.u8(..10) {
            0..4 => {
                entry.content = content;
                format!("write content {content} to {slot}")
            }
            4..6 => {
                entry.stem = stem(slot, rng);
                format!("rename {slot} to {}", entry.stem)
            }
            6..8 => {
                entry.explicit = rng.u8(..4).gt(&0).then(|| metadata(rng));
                format!("describe {slot} as {:?}", entry.explicit)
            }
            _ => {
                self.entries.remove(&slot);
                format!("delete {slot}")
            }
        };
        if !forgets_pin {
            self.move_pins_along();
        }
        text
    }

    /// The file of this address gets another content.
    pub fn change(&mut self, at: &str, rng: &mut fastrand::Rng) -> String {
        let mut changed = Vec::new();
        for (slot, entry) in self.entries.iter_mut().filter(|(slot, entry)| address(**slot, entry) == at) {
            entry.content = (entry.content + rng.u8(1..CONTENTS)) % CONTENTS;
            changed.push(format!("write content {} to {slot}", entry.content));
        }
        changed.concat()
    }

    /// Pins this address to this revision.
    pub fn pin(&mut self, at: &str, revision: u64, hash: &str) {
        for (slot, entry) in &mut self.entries {
            if address(*slot, entry) == at {
                entry.pin = Some(Pin { address: at.to_owned(), revision, hash: hash.to_owned() });
            }
        }
    }

    /// Each pin names its file's address of today; says whether one didn't.
    pub fn move_pins_along(&mut self) -> bool {
        let mut moved = false;
        for (slot, entry) in &mut self.entries {
            let now = address(*slot, entry);
            if let Some(pin) = &mut entry.pin {
                moved |= pin.address != now;
                pin.address = now;
            }
        }
        moved
    }

    /// Puts these files, and no others, into the project.
    pub fn check_out(&self, project: &Project) {
        for folder in KINDS.map(|kind| kind.place().0) {
            if project.file(folder).exists() {
                project.remove(folder);
            }
            // A folder that is gone says nothing of what it had.
            std::fs::create_dir(project.file(folder)).unwrap();
        }
        for (slot, entry) in &self.entries {
            project.write(&path(*slot, entry), Kind::of(*slot).bytes(entry.content));
        }
        project.write("assets.toml", self.manifest());
    }

    fn manifest(&self) -> String {
        let mut text = "[creator]\nuser_id = 1\n".to_owned();
        for (folder, extension) in KINDS.map(Kind::place) {
            let _ = write!(text, "\n[globs.{folder}]\npath = \"{folder}/**/*.{extension}\"\n");
        }
        for (slot, entry) in &self.entries {
            let Some((name, description)) = entry.explicit else { continue };
            let _ = write!(text, "\n[assets.s{slot}]\npath = {:?}\n", path(*slot, entry));
            if let Some(name) = name {
                let _ = writeln!(text, "display_name = {:?}", NAMES[name]);
            }
            if let Some(description) = description {
                let _ = writeln!(text, "description = {:?}", DESCRIPTIONS[description]);
            }
        }
        let pins: Vec<&Pin> = self.entries.values().filter_map(|entry| entry.pin.as_ref()).collect();
        if !pins.is_empty() {
            text.push_str("\n[pins]\n");
        }
        for Pin { address, revision, .. } in pins {
            let _ = writeln!(text, "{address:?} = {revision}");
        }
        text
    }

    /// How many different things are said of the metadata of this content.
    pub fn voices(&self, hash: &str) -> usize {
        let said = self.wanted().into_values().filter(|want| want.hash == hash);
        said.map(|want| (want.name, want.description)).collect::<BTreeSet<_>>().len()
    }
}

fn metadata(rng: &mut fastrand::Rng) -> (Option<usize>, Option<usize>) {
    let pick = |rng: &mut fastrand::Rng, of: usize| rng.bool().then(|| rng.usize(..of));
    (pick(rng, NAMES.len()), pick(rng, DESCRIPTIONS.len()))
}

/// Unique in its folder.
fn stem(slot: usize, rng: &mut fastrand::Rng) -> String {
    format!("{}{slot}", ["a", "deep/b", "Ü c"][rng.usize(..3)])
}

fn path(slot: usize, entry: &Entry) -> String {
    let (folder, extension) = Kind::of(slot).place();
    format!("{folder}/{}.{extension}", entry.stem)
}

fn address(slot: usize, entry: &Entry) -> String {
    if entry.explicit.is_some() { format!("s{slot}") } else { path(slot, entry) }
}

fn want(slot: usize, entry: &Entry) -> Want {
    let kind = Kind::of(slot);
    let hash = Sha256::digest(kind.bytes(entry.content)).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (name, description) = entry.explicit.unwrap_or_default();
    let pinned = entry.pin.is_some();
    let hash = entry.pin.as_ref().map_or(hash, |pin| pin.hash.clone());
    Want { kind, hash, pinned, name: name.map(|n| NAMES[n]), description: description.map(|d| DESCRIPTIONS[d]) }
}

/// A sound of a tenth of a second.
fn wav(pitch: u8) -> Vec<u8> {
    let samples: Vec<u8> =
        (0..800u32).map(|at| if (at / (4 + u32::from(pitch))).is_multiple_of(2) { 96 } else { 160 }).collect();
    let length = u32::try_from(samples.len()).unwrap();
    let mut out = b"RIFF".to_vec();
    out.extend((36 + length).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend([8000u32.to_le_bytes(), 8000u32.to_le_bytes()].concat());
    out.extend(b"\x01\0\x08\0data");
    out.extend(length.to_le_bytes());
    out.extend(samples);
    out
}
