//! Reads for upload exactly the bytes that were hashed, or fails.
//!
//! The reader withholds the last bytes until it has verified the hash of the whole content. Roblox
//! can't process a body that lacks its end. So other bytes than those of the plan are never
//! uploaded, whatever happens to the file meanwhile.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use super::open::{OpenError, Root, open};
use crate::model::file::FileFacts;
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;

/// The size of a buffer, in bytes. Each upload has two: this one and the runtime's.
const BUFFER: usize = 128 * 1024;

/// The file is not the one that was hashed. Carried by the [`io::Error`] that ends a
/// [`VerifiedReader`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` changed after it was hashed")]
pub(crate) struct ContentChanged {
    /// The file.
    pub path: ProjectPath,
}

impl ContentChanged {
    /// Returns whether an error, or any of its sources, says that the content changed.
    #[cfg(test)]
    pub(crate) fn is_in(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            // An `io::Error` shows what it wraps only through `get_ref`.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if error.is::<Self>() || wrapped.is_some_and(|wrapped| Self::is_in(wrapped)) {
                return true;
            }
            next = error.source();
        }
        false
    }

    fn error(path: &ProjectPath) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Self { path: path.clone() })
    }
}

/// Opens a file to upload the content that `facts` describes. Blocks while it opens the file.
///
/// # Errors
/// When the file can't be opened, or its length differs from `facts`.
pub(crate) fn open_upload(root: &Path, path: &ProjectPath, facts: &FileFacts) -> Result<VerifiedReader, OpenError> {
    let root = Root::new(root).map_err(|source| OpenError::Read { path: path.clone(), source })?;
    let opened = open(&root, path)?;
    if opened.fingerprint.size != facts.size {
        return Err(OpenError::Changed { path: path.clone() });
    }
    Ok(VerifiedReader::new(opened.file, path.clone(), facts))
}

/// A reader of exactly the bytes that were hashed. If the file holds others, the reader withholds
/// its last bytes and ends with an error that carries [`ContentChanged`]. Needs a tokio runtime.
pub(crate) struct VerifiedReader {
    file: tokio::fs::File,
    path: ProjectPath,
    hash: ContentHash,
    size: u64,
    hasher: Sha256,
    /// The number of bytes not yet read from the file.
    left: u64,
    buffer: Vec<u8>,
    /// The part of `buffer` that may be given out: it is not the end of the file, or the whole file
    /// is verified.
    ready: std::ops::Range<usize>,
    stage: UploadStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadStage {
    Reading,
    /// All bytes were read, and the last `filled` of them wait for the verification.
    Verifying {
        filled: usize,
    },
    Verified,
    Failed,
}

impl std::fmt::Debug for VerifiedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedReader").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

impl VerifiedReader {
    fn new(file: File, path: ProjectPath, facts: &FileFacts) -> Self {
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(BUFFER);
        let capacity = usize::try_from(facts.size).map_or(BUFFER, |size| size.clamp(1, BUFFER));
        Self {
            file,
            path,
            hash: facts.hash,
            size: facts.size,
            hasher: Sha256::new(),
            left: facts.size,
            buffer: vec![0; capacity],
            ready: 0..0,
            stage: if facts.size == 0 { UploadStage::Verifying { filled: 0 } } else { UploadStage::Reading },
        }
    }

    /// Reads the next bytes, or verifies the whole, until bytes are ready or the file ends.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            match self.stage {
                UploadStage::Reading => {
                    let mut into = ReadBuf::new(&mut self.buffer);
                    ready!(Pin::new(&mut self.file).poll_read(context, &mut into))?;
                    let read = into.filled().len();
                    let Some(left) = self.left.checked_sub(read as u64).filter(|_| read > 0) else {
                        return Poll::Ready(Err(ContentChanged::error(&self.path)));
                    };
                    self.left = left;
                    self.hasher.update(self.buffer.get(..read).unwrap_or_default());
                    match left {
                        0 => self.stage = UploadStage::Verifying { filled: read },
                        _ => self.ready = 0..read,
                    }
                }
                UploadStage::Verifying { filled } => {
                    // One more byte means that the file grew.
                    let mut more = [0];
                    let mut into = ReadBuf::new(&mut more);
                    ready!(Pin::new(&mut self.file).poll_read(context, &mut into))?;
                    let grew = !into.filled().is_empty();
                    let hash = ContentHash::from_bytes(self.hasher.clone().finalize().into());
                    if grew || hash != self.hash {
                        return Poll::Ready(Err(ContentChanged::error(&self.path)));
                    }
                    (self.stage, self.ready) = (UploadStage::Verified, 0..filled);
                    if filled == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                UploadStage::Verified => return Poll::Ready(Ok(())),
                UploadStage::Failed => return Poll::Ready(Err(ContentChanged::error(&self.path))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for VerifiedReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Err(error) = ready!(this.poll_fill(context)) {
            // A caller that reads on after the error must not get the rest.
            this.stage = UploadStage::Failed;
            return Poll::Ready(Err(error));
        }
        let give = this.ready.len().min(out.remaining());
        let end = this.ready.start + give;
        out.put_slice(this.buffer.get(this.ready.start..end).unwrap_or_default());
        this.ready.start = end;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::io::{Seek as _, Write as _};

    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::files::tests_support::{Folder, path};
    use crate::model::asset::FileFormat;
    use crate::model::file::ContentFacts;

    fn facts(bytes: &[u8]) -> FileFacts {
        FileFacts {
            size: bytes.len() as u64,
            hash: ContentHash::from_bytes(Sha256::digest(bytes).into()),
            format: FileFormat::Fbx,
            content: ContentFacts::Opaque,
        }
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
    }

    /// Reads everything that comes out before the end or the error.
    async fn drain(upload: &mut VerifiedReader) -> (Vec<u8>, io::Result<()>) {
        let mut out = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match upload.read(&mut piece).await {
                Ok(0) => return (out, Ok(())),
                Ok(read) => out.extend_from_slice(&piece[..read]),
                Err(error) => return (out, Err(error)),
            }
        }
    }

    /// Reads a little, lets `edit` change the file, and expects that the rest never comes.
    async fn check(length: usize, edit: impl FnOnce(&Folder, &mut File)) {
        let bytes = content(length);
        let folder = Folder::with(&[("a.fbx", &bytes)]);
        let mut upload = open_upload(folder.path(), &path("a.fbx"), &facts(&bytes)).unwrap();
        // Only where the file is longer than the read-ahead.
        let mut start = if length > 4 * BUFFER { vec![0; 10] } else { Vec::new() };
        upload.read_exact(&mut start).await.unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(folder.path().join("a.fbx")).unwrap();
        edit(&folder, &mut file);
        let (out, end) = drain(&mut upload).await;
        let error = end.unwrap_err();
        assert!(ContentChanged::is_in(&error), "{error:?}");
        assert!(start.len() + out.len() < bytes.len(), "the end was given out");
        assert!(upload.read(&mut [0; 10]).await.is_err(), "an error must stay");
    }

    #[tokio::test]
    async fn the_hashed_content_comes_out_whole() {
        for length in [0, 1, 10, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 5] {
            let bytes = content(length);
            let folder = Folder::with(&[("a.fbx", &bytes)]);
            let mut upload = open_upload(folder.path(), &path("a.fbx"), &facts(&bytes)).unwrap();
            assert_eq!(upload.size, bytes.len() as u64);
            let (out, end) = drain(&mut upload).await;
            assert!(end.is_ok() && out == bytes, "{length}");
            assert_eq!(upload.read(&mut [0; 4]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn the_upload_of_a_truncated_file_fails() {
        check(8 * BUFFER, |_, file| file.set_len(5 * BUFFER as u64).unwrap()).await;
        check(8 * BUFFER, |_, file| file.set_len(0).unwrap()).await;
        check(100, |_, file| file.set_len(99).unwrap()).await;
    }

    #[tokio::test]
    async fn the_upload_of_a_file_that_grew_fails() {
        check(8 * BUFFER, |_, file| file.set_len(8 * BUFFER as u64 + 1).unwrap()).await;
        check(100, |_, file| file.set_len(200).unwrap()).await;
    }

    #[tokio::test]
    async fn the_upload_of_an_overwritten_file_fails() {
        for at in [6 * BUFFER as u64, 8 * BUFFER as u64 - 1] {
            check(8 * BUFFER, |_, file| {
                file.seek(io::SeekFrom::Start(at)).unwrap();
                file.write_all(b"\xff").unwrap();
            })
            .await;
        }
        check(100, |_, file| file.write_all(b"\xff").unwrap()).await;
    }

    #[tokio::test]
    async fn a_file_that_was_replaced_is_uploaded_as_it_was_opened() {
        let bytes = content(4 * BUFFER);
        let folder = Folder::with(&[("a.fbx", &bytes), ("b.fbx", b"new")]);
        let mut upload = open_upload(folder.path(), &path("a.fbx"), &facts(&bytes)).unwrap();
        folder.rename("b.fbx", "a.fbx");
        let (out, end) = drain(&mut upload).await;
        assert!(end.is_ok() && out == bytes);
    }

    #[tokio::test]
    async fn a_file_that_changed_before_it_is_opened_is_never_uploaded() {
        let folder = Folder::with(&[("a.fbx", b"old")]);
        let facts = facts(b"old");
        folder.write("a.fbx", b"newer");
        let error = open_upload(folder.path(), &path("a.fbx"), &facts).unwrap_err();
        assert!(matches!(error, OpenError::Changed { .. }));
        folder.write("a.fbx", b"new");
        let (out, end) = drain(&mut open_upload(folder.path(), &path("a.fbx"), &facts).unwrap()).await;
        assert!(out.is_empty() && ContentChanged::is_in(&end.unwrap_err()));
        folder.remove("a.fbx");
        assert!(matches!(open_upload(folder.path(), &path("a.fbx"), &facts), Err(OpenError::Missing { .. })));
    }

    #[test]
    fn a_change_is_recognized_through_wrapping_errors() {
        let changed = || ContentChanged::error(&path("a.fbx"));
        assert!(ContentChanged::is_in(&changed()));
        assert!(ContentChanged::is_in(&io::Error::other(changed())));
        assert!(!ContentChanged::is_in(&io::Error::other("reset")));
    }
}
