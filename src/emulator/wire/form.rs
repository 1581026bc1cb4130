//! Multipart bodies as streams: a file is hashed and counted as it arrives, and only its first
//! bytes are kept.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use crate::emulator::refusal::ApiRefusal;
use crate::emulator::world::content::{Content, UploadFormat, image_size};
use crate::emulator::world::input::FilePart;

/// The longest body that the service reads, in bytes (Roblox/roblox-blender-plugin#65).
pub(in crate::emulator) const BODY_LIMIT: u64 = 30_000_000;

/// The bytes of a file that are kept for its header. A JPEG may have long segments before its size.
const HEAD: usize = 256 * 1024;

/// The longest text part, in bytes.
const TEXT_LIMIT: usize = 1024 * 1024;

/// The parts of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::emulator) struct Form {
    /// The `request` part without a file name. With one, the service takes it for a file.
    pub(in crate::emulator) request: Option<String>,
    pub(in crate::emulator) file: Option<FilePart>,
    pub(in crate::emulator) asset_version: Option<String>,
}

/// A body that counts its bytes, and ends with an error beyond a limit.
pub(in crate::emulator) struct Counted<S> {
    inner: S,
    /// The bytes received so far.
    pub(in crate::emulator) bytes: u64,
    limit: u64,
    over: bool,
}

impl<S> Counted<S> {
    pub(in crate::emulator) fn new(inner: S, limit: u64) -> Self {
        Counted { inner, bytes: 0, limit, over: false }
    }
}

/// The reason why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::emulator) enum BodyError {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the connection broke off")]
    Broken,
}

impl<S, E> Stream for Counted<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.inner.poll_next_unpin(context));
        Poll::Ready(match next {
            None => None,
            Some(Err(_)) => Some(Err(BodyError::Broken)),
            Some(Ok(bytes)) => {
                self.bytes += bytes.len() as u64;
                if self.bytes > self.limit && !self.over {
                    self.over = true;
                    Some(Err(BodyError::TooLarge))
                } else {
                    Some(Ok(bytes))
                }
            }
        })
    }
}

/// Makes the refusal of a body over the limit, as seen on the wire.
pub(in crate::emulator) fn too_large() -> ApiRefusal {
    ApiRefusal::invalid(format!(
        "Failed to read the request form. Request body too large. The max request body size is {BODY_LIMIT} bytes."
    ))
}

/// Reads a form. Leaves the stream where reading ended: the caller drains it.
pub(in crate::emulator) async fn read<S>(stream: S, content_type: Option<&str>) -> Result<Form, ApiRefusal>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    let boundary = content_type
        .and_then(|text| multer::parse_boundary(text).ok())
        .ok_or_else(|| ApiRefusal::invalid("Request body cannot be empty"))?;
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let (name, file_name) = (part.name().map(str::to_owned), part.file_name().map(str::to_owned));
        match (name.as_deref(), file_name) {
            (Some("request"), None) => form.request = Some(text(part).await?),
            (Some("assetVersion"), None) => form.asset_version = Some(text(part).await?),
            (Some("fileContent"), name) => form.file = Some(file(part, name).await?),
            _ => drop(file(part, None).await?),
        }
    }
    Ok(form)
}

fn unreadable(error: multer::Error) -> ApiRefusal {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = source {
        if matches!(inner.downcast_ref(), Some(BodyError::TooLarge)) {
            return too_large();
        }
        source = inner.source();
    }
    ApiRefusal::invalid(
        "Failed to read the request form. Unexpected end of Stream, the content may have already been read by another component.",
    )
}

async fn text(mut part: multer::Field<'_>) -> Result<String, ApiRefusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_LIMIT {
            return Err(ApiRefusal::invalid("Failed to read the request form. Form value length limit exceeded."));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn file(mut part: multer::Field<'_>, name: Option<String>) -> Result<FilePart, ApiRefusal> {
    let mime = part.content_type().map(|mime| mime.essence_str().to_owned());
    let (mut hasher, mut bytes, mut head) = (Sha256::new(), 0u64, Vec::new());
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
        let room = HEAD - head.len();
        head.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let content = Content { hash, bytes, format: UploadFormat::of_bytes(&head), pixels: image_size(&head) };
    Ok(FilePart { name, mime, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(body: &[u8], content_type: Option<&str>, limit: u64, chunk: usize) -> Result<Form, ApiRefusal> {
        let chunks: Vec<Result<Bytes, ()>> =
            body.chunks(chunk).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let stream = Counted::new(futures_util::stream::iter(chunks), limit);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(read(stream, content_type))
    }

    const TYPE: Option<&str> = Some("multipart/form-data; boundary=B");

    #[test]
    fn parts_are_recognized_by_name_and_file_name() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"fileContent\"; filename=\"a.bin\"\r\nContent-Type: image/png\r\n\r\nhello\r\n\
            --B\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{}\r\n\
            --B\r\nContent-Disposition: form-data; name=\"surprise\"\r\n\r\nx\r\n\
            --B\r\nContent-Disposition: form-data; name=\"assetVersion\"\r\n\r\nassets/1/versions/2\r\n--B--\r\n";
        for chunk in [1, 7, 4096] {
            let form = run(body, TYPE, 10_000, chunk).unwrap();
            assert_eq!(form.request.as_deref(), Some("{}"));
            assert_eq!(form.asset_version.as_deref(), Some("assets/1/versions/2"));
            let file = form.file.unwrap();
            assert_eq!(
                (file.name.as_deref(), file.mime.as_deref(), file.content.bytes),
                (Some("a.bin"), Some("image/png"), 5)
            );
            assert_eq!(file.content.hash, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        }
    }

    #[test]
    fn a_request_part_with_a_file_name_is_not_a_request() {
        let body =
            b"--B\r\nContent-Disposition: form-data; name=\"request\"; filename=\"r.json\"\r\n\r\n{}\r\n--B--\r\n";
        assert_eq!(run(body, TYPE, 10_000, 100).unwrap(), Form::default());
    }

    #[test]
    fn bodies_that_are_too_large_cut_off_or_no_forms_are_refused() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{}\r\n--B--\r\n";
        assert_eq!(run(body, TYPE, 20, 10), Err(too_large()));
        assert!(run(&body[..60], TYPE, 1000, 10).is_err());
        assert!(run(body, None, 1000, 10).is_err());
        assert!(run(body, Some("application/json"), 1000, 10).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_form_reader_panic(
            pieces in proptest::collection::vec(prop_oneof![
                Just(b"--B".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()),
                Just(b"Content-Disposition: form-data; name=\"request\"".to_vec()),
                Just(b"Content-Disposition: form-data; name=\"fileContent\"; filename=\"x".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..20),
            ], 0..12),
            chunk in 1usize..40,
        ) {
            let _ = run(&pieces.concat(), TYPE, 10_000, chunk);
        }
    }
}
