//! Addresses: the stable names of assets within one project.

use std::fmt;
use std::sync::Arc;

use super::path::{ProjectPath, composed};
use super::proposed::quoted;

/// The longest address in bytes: room for any path that Linux takes (`PATH_MAX`), and a bound for
/// what a lockfile may hold.
const MAX_BYTES: usize = 4096;

/// An asset's stable name in the project: the key under `[assets]`, or for a file found by a glob
/// its path relative to the manifest.
///
/// Always in Unicode NFC, so that one file has one address on every file system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has no characters.
    #[error("an address can't be empty")]
    Empty,
    /// It holds a line break, a tab or another control character.
    #[error("an address can't hold the control character U+{code:04X}")]
    Control {
        /// The character's code point.
        code: u32,
    },
    /// It is longer than any path.
    #[error("an address can't be longer than {MAX_BYTES} bytes")]
    TooLong,
}

impl Address {
    /// Takes a text as an address, normalized to NFC.
    ///
    /// # Errors
    /// When the text is empty, holds a control character, or is longer than 4096 bytes.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let text = composed(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(AddressError::TooLong);
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(AddressError::Control { code: u32::from(control) });
        }
        Ok(Self(text.into()))
    }

    /// The address of a file that a glob found: its path, in NFC.
    ///
    /// # Errors
    /// When the path holds a control character or is too long.
    pub fn of_path(path: &ProjectPath) -> Result<Self, AddressError> {
        let address = Self::new(path.as_str())?;
        Ok(if address.as_str() == path.as_str() { Self(Arc::clone(path.text())) } else { address })
    }

    /// Returns this path, which has the text of the address if that is the same: a project has many.
    pub(crate) fn shared(&self, path: ProjectPath) -> ProjectPath {
        path.with_text(&self.0)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With `{:#}` as a shell takes it: for commands that a person pastes.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { f.write_str(&quoted(&self.0)) } else { f.write_str(&self.0) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalized_and_checked() {
        assert_eq!(Address::new("e\u{301}.png").unwrap(), Address::new("\u{e9}.png").unwrap());
        assert_eq!(Address::new(""), Err(AddressError::Empty));
        assert_eq!(Address::new("a\nb"), Err(AddressError::Control { code: 10 }));
        assert_eq!(Address::new(&"x".repeat(MAX_BYTES + 1)), Err(AddressError::TooLong));
        assert_eq!(Address::new("ui/close.png").unwrap().as_str(), "ui/close.png");
    }

    #[test]
    fn a_command_gets_an_address_as_a_shell_takes_it() {
        let typed = |text: &str| format!("{:#}", Address::new(text).unwrap());
        assert_eq!(typed("ui/close.png"), "ui/close.png");
        let (with_spaces, with_quote) = match cfg!(windows) {
            true => (r#""my sounds/hit (1).wav""#, r#""don't.wav""#),
            false => ("'my sounds/hit (1).wav'", r"'don'\''t.wav'"),
        };
        assert_eq!(typed("my sounds/hit (1).wav"), with_spaces);
        assert_eq!(typed("don't.wav"), with_quote);
    }
}
