//! The credential, and the one place that keeps it out of everything that people read.
//!
//! It must never be printed, logged, stored or compared in public. It leaves this module only
//! through the header that [`super::http`] sends and the body of the introspection. Every response
//! passes [`Credential::clean_body`] before it is read, and every message passes
//! [`Credential::redact`] before it becomes part of an error.

use std::fmt;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::echo::{HIDDEN, TextKind, clean_body, hide};

/// The longest credential, in bytes. Longer text comes from the wrong file, and servers refuse
/// longer headers anyway.
const MAX_CREDENTIAL: usize = 8 * 1024;

/// A proof of identity towards Roblox.
#[derive(Clone)]
pub struct Credential {
    kind: CredentialKind,
    secret: SecretString,
    header: HeaderValue,
}

/// The two kinds of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// An Open Cloud API key, in the header `x-api-key`.
    ApiKey,
    /// An OAuth 2.0 access token, in the header `authorization`.
    OAuth,
}

/// A text that can't be a credential. Never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Empty or only white space.
    #[error("the {0} is empty")]
    Empty(CredentialKind),
    /// Longer than any key or token.
    #[error("the {0} is longer than {MAX_CREDENTIAL} bytes: this is another file or value")]
    TooLong(CredentialKind),
    /// Contains white space, control characters or non-ASCII letters.
    #[error("the {0} has a character inside that none has: white space, a control character, or one beyond ASCII")]
    Character(CredentialKind),
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "API key",
            Self::OAuth => "OAuth token",
        })
    }
}

impl Credential {
    /// Makes a credential from an API key as read from a file, a systemd credential or a variable.
    /// White space around it is dropped.
    ///
    /// # Errors
    /// When the text can't be a key.
    pub fn api_key(text: &str) -> Result<Self, CredentialError> {
        Self::new(CredentialKind::ApiKey, text)
    }

    /// Makes a credential from an OAuth 2.0 access token, in the same way.
    ///
    /// # Errors
    /// When the text can't be a token.
    pub fn oauth(text: &str) -> Result<Self, CredentialError> {
        Self::new(CredentialKind::OAuth, text)
    }

    fn new(kind: CredentialKind, text: &str) -> Result<Self, CredentialError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(CredentialError::Empty(kind));
        }
        if text.len() > MAX_CREDENTIAL {
            return Err(CredentialError::TooLong(kind));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialError::Character(kind));
        }
        let header = match kind {
            CredentialKind::ApiKey => HeaderValue::from_str(text),
            CredentialKind::OAuth => HeaderValue::from_str(&format!("Bearer {text}")),
        };
        let mut header = header.map_err(|_| CredentialError::Character(kind))?;
        header.set_sensitive(true);
        Ok(Self { kind, secret: SecretString::from(text), header })
    }

    /// Returns whether it is a key or a token.
    pub const fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// Returns the header of a request. Its value prints as `Sensitive`.
    pub(super) fn header(&self) -> (HeaderName, HeaderValue) {
        let name = match self.kind {
            CredentialKind::ApiKey => HeaderName::from_static("x-api-key"),
            CredentialKind::OAuth => reqwest::header::AUTHORIZATION,
        };
        (name, self.header.clone())
    }

    /// Returns the secret, for the one request that carries it in its body.
    pub(super) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Returns `text` without the credential and without any longer piece of it.
    pub fn redact(&self, text: &str) -> String {
        let secret = self.secret.expose_secret().as_bytes();
        hide(secret, text, TextKind::Message).unwrap_or_else(|| text.to_owned())
    }

    /// Removes the credential from a response's body, before anything reads it.
    pub(super) fn clean_body(&self, body: Vec<u8>) -> Vec<u8> {
        clean_body(self.secret.expose_secret().as_bytes(), body)
    }

    /// Removes the credential from a response's header.
    pub(super) fn clean_header(&self, text: &mut String) {
        if let Some(clean) = hide(self.secret.expose_secret().as_bytes(), text, TextKind::Value) {
            *text = clean;
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({HIDDEN})", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_checked_without_being_shown() {
        let check = |text: &str, wanted: Result<&str, CredentialError>| {
            let made = Credential::api_key(text);
            match (&made, &wanted) {
                (Ok(made), Ok(wanted)) => assert_eq!(made.expose(), *wanted),
                (Err(made), Err(wanted)) => assert_eq!(made, wanted),
                _ => panic!("{text:?}: {made:?}, not {wanted:?}"),
            }
            if let (Err(error), true) = (made, text.trim().len() > 3) {
                assert!(!error.to_string().contains(text.trim()));
            }
        };
        check("abc+/=", Ok("abc+/="));
        check("  abc\r\n", Ok("abc"));
        check("", Err(CredentialError::Empty(CredentialKind::ApiKey)));
        check(" \n", Err(CredentialError::Empty(CredentialKind::ApiKey)));
        check("two words", Err(CredentialError::Character(CredentialKind::ApiKey)));
        check("line\nbreak", Err(CredentialError::Character(CredentialKind::ApiKey)));
        check("schlüssel", Err(CredentialError::Character(CredentialKind::ApiKey)));
        check("nul\0byte", Err(CredentialError::Character(CredentialKind::ApiKey)));
        check(&"x".repeat(MAX_CREDENTIAL + 1), Err(CredentialError::TooLong(CredentialKind::ApiKey)));
    }

    #[test]
    fn no_debug_output_shows_the_secret() {
        for credential in [Credential::api_key("s3cr3t-value"), Credential::oauth("s3cr3t-value")] {
            let credential = credential.unwrap();
            let (name, value) = credential.header();
            assert!(value.is_sensitive());
            for shown in [format!("{credential:?}"), format!("{:?}", Some(&credential)), format!("{name:?} {value:?}")]
            {
                assert!(!shown.contains("s3cr3t"), "{shown}");
            }
        }
        let (_, value) = Credential::oauth("token").unwrap().header();
        assert_eq!(value.to_str().unwrap(), "Bearer token");
    }

    #[test]
    fn echoes_are_hidden_whole_cut_or_escaped() {
        let credential = Credential::api_key("abcdefgh/ijklmnop+qrstuvwx").unwrap();
        let check = |text: &str, wanted: &str| assert_eq!(credential.redact(text), wanted);
        check("key abcdefgh/ijklmnop+qrstuvwx is bad", "key [redacted] is bad");
        check("key abcdefgh/ijklm… is bad", "key [redacted]… is bad");
        check(r"key abcdefgh\/ijklmnop+qrstuvwx", "key [redacted]");
        check("abcdefgh%2Fijklmnop%2Bqrstuvwx", "[redacted]");
        check("nothing of it: abc ü", "nothing of it: abc ü");
        let short = Credential::api_key("ab").unwrap();
        assert_eq!(short.redact("x ab y"), "x [redacted] y");
    }

    proptest! {
        #[test]
        fn redaction_removes_the_secret_from_any_text(secret in "[!-~]{1,40}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let credential = Credential::api_key(&secret).unwrap();
            let shown = credential.redact(&format!("{before}{secret}{after}"));
            let rest = shown.replace(HIDDEN, "\u{0}");
            prop_assert!(!rest.contains(&secret), "{}", rest);
        }
    }
}
