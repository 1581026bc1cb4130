//! Finds files that Roblox would refuse, before anything is sent.
//!
//! Reads only headers, through one small buffer. Nothing is decoded and no tree is built, so memory
//! and time stay bounded for any file. A header that can't be read where other programs may still
//! manage is not a problem. A file that is plainly broken, cut off, or not what its name says is
//! one.
//!
//! Read next: `magic` for what a file is, `limits` for what Roblox accepts, `whole` for whether a
//! file is complete, then a format of your choice.

mod flac;
mod full_box;
mod gltf;
mod image;
mod limits;
mod magic;
mod movie;
mod mp3;
mod mpeg;
mod ogg;
mod rbxm;
mod rbxmx;
mod source;
mod tags;
mod tracks;
mod wav;
mod whole;

use std::io;

pub(super) use self::source::ReadSeek;
pub(super) use self::whole::is_whole;

use self::source::FileSource;
use crate::model::asset::FileFormat;
use crate::model::file::{ContentFacts, FileProblem, FileProblemKind};
use crate::model::path::ProjectPath;

/// The reason why an inspection gave no facts.
#[derive(Debug)]
pub(super) enum Unfit {
    /// The file can't be used.
    Problem(FileProblem),
    /// The file could not be read.
    Read(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => cut_off(),
            _ => Self::Read(error),
        }
    }
}

fn unfit(message: impl Into<String>, hint: &str) -> Unfit {
    Unfit::Problem(FileProblem::new(FileProblemKind::Content, message, Some(hint)))
}

fn damaged(message: &str) -> Unfit {
    unfit(message, "export it again, and check that other programs can open it")
}

fn cut_off() -> Unfit {
    unfit("the file ends too early: it is cut off, or not written to its end", "export it again")
}

/// Returns the format by the name and the size alone, or why such a file can't be used.
pub(super) fn admit(path: &ProjectPath, size: u64) -> Result<FileFormat, FileProblem> {
    let problem = |kind, message: String, hint: &str| FileProblem::new(kind, message, Some(hint));
    let extension = path.extension();
    let Some(format) = extension.as_deref().and_then(FileFormat::of_extension) else {
        let known: Vec<String> =
            FileFormat::ALL.iter().flat_map(|format| format.extensions()).map(|name| format!(".{name}")).collect();
        let message = match extension {
            Some(extension) => format!("Roblox doesn't accept .{extension} files"),
            None => "the file has no extension, so its type is unknown".to_owned(),
        };
        let hint = format!("use one of {}, or leave the file out of the glob", known.join(" "));
        return Err(problem(FileProblemKind::Extension, message, &hint));
    };
    if size == 0 {
        return Err(problem(FileProblemKind::Content, "the file is empty".to_owned(), "export it again"));
    }
    if size > format.max_bytes() {
        let most = format.max_bytes();
        let message = format!("the file has {size} bytes; Roblox takes up to {most}");
        return Err(problem(FileProblemKind::TooLarge, message, "make it smaller"));
    }
    Ok(format)
}

/// Whether these first bytes of a file are those of a Git LFS pointer.
pub(super) fn begins_lfs_pointer(head: &[u8]) -> bool {
    magic::is_lfs_pointer(head)
}

/// Inspects a file of `length` bytes.
pub(super) fn inspect(
    path: &ProjectPath,
    format: FileFormat,
    reader: &mut dyn ReadSeek,
    length: u64,
) -> Result<ContentFacts, Unfit> {
    let mut source = FileSource::new(reader, length)?;
    let head = source.peek(magic::HEAD)?;
    if magic::is_lfs_pointer(&head) {
        return Err(unfit(
            "git left a Git LFS pointer here in place of the file",
            "run `git lfs pull`; on CI, check out with LFS",
        ));
    }
    if !magic::fits(format, &head) {
        return Err(mismatch(path, format, &head));
    }
    match format {
        FileFormat::Png => image::png(&mut source),
        FileFormat::Jpeg => image::jpeg(&mut source),
        FileFormat::Bmp => image::bmp(&mut source),
        FileFormat::Tga => image::tga(&mut source),
        FileFormat::Mp3 => mp3::mp3(&mut source),
        FileFormat::Ogg => ogg::ogg(&mut source),
        FileFormat::Wav => wav::wav(&mut source),
        FileFormat::Flac => flac::flac(&mut source),
        FileFormat::Mp4 | FileFormat::Mov => movie::movie(&mut source),
        FileFormat::Rbxm => rbxm::rbxm(&mut source),
        FileFormat::Rbxmx => rbxmx::rbxmx(&mut source),
        FileFormat::Gltf => gltf::gltf(&mut source),
        FileFormat::Glb => gltf::glb(&mut source),
        FileFormat::Fbx | FileFormat::MeshData => Ok(ContentFacts::Opaque),
    }
}

fn mismatch(path: &ProjectPath, format: FileFormat, head: &[u8]) -> Unfit {
    let extension = path.extension().unwrap_or_default();
    let signature = match format {
        FileFormat::Png => magic::PNG,
        FileFormat::Rbxm => magic::RBXM,
        _ => &[],
    };
    match magic::text_conversion(head, signature) {
        _ if signature.is_empty() => {}
        Some(magic::TextConversion::LineEnds) => {
            return unfit(
                "the line ends in this file were converted, which destroys a binary file",
                &format!("add `*.{extension} binary` to .gitattributes, then export the file again and commit it"),
            );
        }
        Some(magic::TextConversion::Encoding) => {
            return unfit("this binary file was saved as text, which destroyed it", "export it again");
        }
        None => {}
    }
    match magic::recognize(head) {
        Some(what) => unfit(
            format!("the file holds {what}, but its name ends in .{extension}"),
            &match magic::extension_of(head) {
                Some(right) => format!("rename it to end in .{right}, or export it as .{extension}"),
                None => format!("export it as .{extension}"),
            },
        ),
        None => damaged(&format!("the content is not that of a .{extension} file")),
    }
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
