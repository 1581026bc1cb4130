//! Paths of files in the project, relative to the manifest's folder.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Returns a name with its accents and letters together (NFC), as git spells it. macOS may spell them
/// apart, so one file may have two names.
pub(crate) fn composed(name: &str) -> Cow<'_, str> {
    // Nearly every name is in NFC already, as all of ASCII is, and a state holds many.
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => Cow::Borrowed(name),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(name.nfc().collect()),
    }
}

/// Whether a folder of this name is git's own or Macadam's. It contains no assets and no outputs, at
/// any depth. Case doesn't count, since some file systems ignore it.
pub(crate) fn is_guarded(name: &str) -> bool {
    [".git", ".macadam"].iter().any(|guarded| name.eq_ignore_ascii_case(guarded))
}

/// A path relative to the manifest's folder, with `/` between its parts on every system. It stays
/// inside that folder.
///
/// The spelling is the file system's own (not normalized): it is what opens the file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectPath(Arc<str>);

/// Why a text is no path inside the project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has no parts.
    #[error("a path can't be empty")]
    Empty,
    /// It starts at a root or a drive.
    #[error("the path `{path}` is absolute; paths are relative to the manifest's folder")]
    Absolute {
        /// The path as written.
        path: String,
    },
    /// It leaves the folder.
    #[error("the path `{path}` leaves the manifest's folder with `..`")]
    Parent {
        /// The path as written.
        path: String,
    },
    /// It has a backslash, which is a separator on one system and a name's character on another.
    #[error("the path `{path}` contains a backslash; write `/` between folders on every system")]
    Backslash {
        /// The path as written.
        path: String,
    },
    /// It ends with `/`, as a folder's does.
    #[error("the path `{path}` ends with `/`, so it names a folder")]
    Folder {
        /// The path as written.
        path: String,
    },
    /// It has an empty part.
    #[error("the path `{path}` has two `/` in a row")]
    Doubled {
        /// The path as written.
        path: String,
    },
    /// It has a `.` part, or a NUL.
    #[error("the path `{path}` has a `.` part or a NUL")]
    BadPart {
        /// The path as written.
        path: String,
    },
}

/// Whether a name is that of a device of Windows, with any extension; `None` for one that is too short.
fn is_device(name: &str) -> Option<bool> {
    let is_one_of = |text: &str, devices: &[&str]| devices.iter().any(|device| text.eq_ignore_ascii_case(device));
    // Hardly any name begins like one.
    if !is_one_of(name.get(..3)?, &["CON", "PRN", "AUX", "NUL", "COM", "LPT"]) {
        return Some(false);
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let numbered = || {
        let (device, digit) = stem.split_at_checked(3)?;
        let mut digit = digit.chars();
        // The three raised digits of Latin-1 count too.
        let is_digit = |c: char| c.is_ascii_digit() || "¹²³".contains(c);
        Some(is_one_of(device, &["COM", "LPT"]) && digit.next().is_some_and(is_digit) && digit.next().is_none())
    };
    Some(is_one_of(stem, &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]) || numbered() == Some(true))
}

impl ProjectPath {
    /// Takes a path as it is written in a manifest or found by a walk. A leading `./` is dropped.
    ///
    /// # Errors
    /// When it is empty, absolute, leaves the folder, or isn't spelled with single `/`.
    pub fn new(text: &str) -> Result<Self, PathError> {
        let path = || text.to_owned();
        let inside = text.strip_prefix("./").unwrap_or(text);
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash { path: path() });
        }
        // On Windows a drive replaces the folder that it is joined to, also behind a `./`.
        let drive = matches!(inside.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if text.starts_with('/') || drive {
            return Err(PathError::Absolute { path: path() });
        }
        let text = inside;
        // Nearly every path is plain.
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        if !text.contains('\0') && text.split('/').all(is_plain) {
            return Ok(Self(text.into()));
        }
        for part in text.split('/') {
            match part {
                ".." => return Err(PathError::Parent { path: path() }),
                "" if text.ends_with('/') && !text.contains("//") => return Err(PathError::Folder { path: path() }),
                "" => return Err(PathError::Doubled { path: path() }),
                "." => return Err(PathError::BadPart { path: path() }),
                part if part.contains('\0') => return Err(PathError::BadPart { path: path() }),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The first part of it that no file or folder on Windows can be named: a device's name with
    /// any extension, one of the characters that have a meaning there, a dot or a space at the end
    /// (Microsoft, "Naming Files, Paths, and Namespaces"). A clone there lacks the file.
    pub fn not_on_windows(&self) -> Option<&str> {
        self.0.split('/').find(|part| {
            let has_meaning = |byte: u8| matches!(byte, b'<' | b'>' | b':' | b'"' | b'|' | b'?' | b'*' | 0..b' ');
            is_device(part).unwrap_or(false) || part.ends_with(['.', ' ']) || part.bytes().any(has_meaning)
        })
    }

    pub(super) const fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// The same path; its text is this one, if that is equal.
    pub(super) fn with_text(self, text: &Arc<str>) -> Self {
        if self.0 == *text { Self(Arc::clone(text)) } else { self }
    }

    /// The path as text, relative to the manifest's folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as every system can compare it, with accents and letters together (see [`composed`]).
    pub fn composed(&self) -> Cow<'_, str> {
        composed(&self.0)
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The last part without its extension; a hidden file's name is all stem.
    pub fn stem(&self) -> &str {
        match self.file_name().rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => self.file_name(),
        }
    }

    /// The extension in lower case, without the dot.
    pub fn extension(&self) -> Option<String> {
        match self.file_name().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => {
                Some(extension.to_ascii_lowercase())
            }
            _ => None,
        }
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_project() {
        let good = |text: &str| ProjectPath::new(text).unwrap().as_str().to_owned();
        assert_eq!(good("ui/close.png"), "ui/close.png");
        assert_eq!(good("./ui/close.png"), "ui/close.png");
        assert_eq!(good("..png"), "..png");
        for bad in [
            "",
            "/etc/passwd",
            "C:/x.png",
            "c:x.png",
            "./C:/x.png",
            "./c:x.png",
            "../x.png",
            "a/../b.png",
            "a//b.png",
            "a/./b",
            "a\\b.png",
            "a/",
            "x\0y",
        ] {
            assert!(ProjectPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_windows_can_not_have_are_told_from_those_that_look_like_them() {
        let check = |text: &str, part: Option<&str>| {
            assert_eq!(ProjectPath::new(text).unwrap().not_on_windows(), part, "{text}");
        };
        for good in ["ui/icon.png", "console.png", "com.png", "com10.png", "lpt.png", "a.con", "my aux.png", ".nul"] {
            check(good, None);
        }
        for bad in [
            "con.png",
            "AUX",
            "Nul.tar.gz",
            "com1.png",
            "LPT9.x",
            "prn .png",
            "COM².png",
            "conin$",
            "a?.png",
            "ab:c.png",
            "end.",
            "end ",
        ] {
            check(bad, Some(bad));
            check(&format!("ui/{bad}/x.png"), Some(bad));
        }
    }

    #[test]
    fn stems_and_extensions() {
        let check = |text: &str, stem: &str, extension: Option<&str>| {
            let path = ProjectPath::new(text).unwrap();
            assert_eq!((path.stem(), path.extension().as_deref()), (stem, extension), "{text}");
        };
        check("a/Sword.FBX", "Sword", Some("fbx"));
        check("a.b/noext", "noext", None);
        check(".hidden", ".hidden", None);
        check("x.tar.gz", "x.tar", Some("gz"));
        check("dot.", "dot", None);
    }
}
