//! `multipart/form-data` as Roblox accepts it: a `request` part of JSON without a file name, then
//! optionally `fileContent` with one.
//!
//! Roblox takes a `request` part with a file name for a file, and refuses it with "Request body
//! cannot be empty" (a public client's report). Implementations encode quotes and non-ASCII letters
//! in a file name differently, so the name sent is a plain one made here.
//!
//! The end of the form is separate: [`super::http`] holds it back, and without it no server can
//! take the form for complete.

use bytes::Bytes;
use uuid::Uuid;

use super::http::{Payload, UploadBody};

/// The longest stem of a file name, in characters. It is enough to recognize a file in Roblox's own
/// tools; the display name is a separate field.
const MAX_STEM: usize = 50;

/// Makes a form with metadata and optional content.
pub(super) fn form(request: &str, upload: Option<UploadBody>) -> Payload {
    // 122 random bits: content can't contain the boundary by chance or by design.
    framed(&format!("macadam-{}", Uuid::new_v4().simple()), "request", Some("application/json"), request, upload)
}

/// Makes a form with one plain field.
pub(super) fn field(name: &str, value: &str) -> Payload {
    framed(&format!("macadam-{}", Uuid::new_v4().simple()), name, None, value, None)
}

fn framed(boundary: &str, name: &str, mime: Option<&str>, value: &str, upload: Option<UploadBody>) -> Payload {
    let mime = mime.map(|mime| format!("Content-Type: {mime}\r\n")).unwrap_or_default();
    let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n{mime}\r\n{value}");
    if let Some(upload) = &upload {
        head.push_str(&format!(
            "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"fileContent\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            safe_file_name(&upload.file_name),
            upload.mime,
        ));
    }
    Payload {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        head: Bytes::from(head),
        upload,
        tail: Bytes::from(format!("\r\n--{boundary}--\r\n")),
    }
}

/// Returns a name that means the same to every server: the last component of `name` in ASCII
/// letters, digits, `-` and `_`, with its extension.
fn safe_file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = last.rsplit_once('.').unwrap_or((last, ""));
    let mut safe = String::with_capacity(MAX_STEM + 8);
    for character in stem.chars().take(MAX_STEM) {
        let plain = character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        safe.push(if plain { character } else { '_' });
    }
    if !safe.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        safe = "asset".to_owned();
    }
    let extension: String = extension.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    if !extension.is_empty() {
        safe.push('.');
        safe.push_str(&extension.to_ascii_lowercase());
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn file_names_are_plain() {
        let check = |name: &str, wanted: &str| assert_eq!(safe_file_name(name), wanted, "{name:?}");
        check("sword.fbx", "sword.fbx");
        check("models/Big Sword.FBX", "Big_Sword.fbx");
        check("a\"; name=\"request.png", "a___name__request.png");
        check("tab\tcr\r\nlf.png", "tab_cr__lf.png");
        check("schwert-größe.png", "schwert-gr__e.png");
        check("剣.png", "asset.png");
        check("", "asset");
        check(".png", "asset.png");
        check("archive.tar.gz", "archive_tar.gz");
        check("x.p\"n\r\ng", "x.png");
        check("c:\\files\\a.png", "a.png");
        check(&format!("{}.png", "x".repeat(300)), &format!("{}.png", "x".repeat(50)));
    }

    #[test]
    fn a_form_can_hold_metadata_alone() {
        let form = framed("b", "request", Some("application/json"), "{}", None);
        assert_eq!(form.content_type, "multipart/form-data; boundary=b");
        let whole = [form.head, form.tail].concat();
        let wanted = "--b\r\nContent-Disposition: form-data; name=\"request\"\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n";
        assert_eq!(String::from_utf8(whole).unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn no_name_breaks_a_header(name in ".{0,200}") {
            let safe = safe_file_name(&name);
            prop_assert!(safe.len() <= MAX_STEM + 9);
            prop_assert!(!safe.is_empty());
            prop_assert!(safe.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
        }
    }
}
