//! Reads headers out of a file through one small buffer.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::{Unfit, cut_off};

/// A file, or its bytes in memory.
pub(in crate::files) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// The most bytes that are buffered of one file.
const BUFFER: u64 = 64 * 1024;

/// A file under inspection, with a position. Jumps stay within the buffer where possible.
pub(super) struct FileSource<'a> {
    reader: BufReader<&'a mut dyn ReadSeek>,
    length: u64,
    position: u64,
}

impl<'a> FileSource<'a> {
    pub(super) fn new(reader: &'a mut dyn ReadSeek, length: u64) -> io::Result<Self> {
        reader.rewind()?;
        let capacity = usize::try_from(length.min(BUFFER)).unwrap_or_default();
        Ok(Self { reader: BufReader::with_capacity(capacity, reader), length, position: 0 })
    }

    /// Returns the file's length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the position of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns how many bytes follow.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// Reads the next bytes; a file that ends before them is cut off.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Unfit> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads `length` bytes into `buffer`, replacing its content. The caller bounds the length.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<(), Unfit> {
        buffer.clear();
        if length as u64 > self.left() {
            return Err(cut_off());
        }
        buffer.resize(length, 0);
        self.read_exact(buffer)?;
        Ok(())
    }

    /// Returns up to `most` of the next bytes, without moving.
    pub(super) fn peek(&mut self, most: usize) -> Result<Vec<u8>, Unfit> {
        let start = self.position;
        let mut bytes = Vec::new();
        self.by_ref().take(most as u64).read_to_end(&mut bytes)?;
        self.seek(start)?;
        Ok(bytes)
    }

    /// Skips `count` bytes; a file that ends before them is cut off.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Unfit> {
        if count > self.left() {
            return Err(cut_off());
        }
        self.seek(self.position + count)?;
        Ok(())
    }

    /// Moves to a position.
    pub(super) fn seek(&mut self, position: u64) -> io::Result<()> {
        match i64::try_from(i128::from(position) - i128::from(self.position)) {
            Ok(offset) => self.reader.seek_relative(offset)?,
            Err(_) => drop(self.reader.seek(SeekFrom::Start(position))?),
        }
        self.position = position;
        Ok(())
    }
}

impl Read for FileSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl BufRead for FileSource<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
        self.position += amount as u64;
    }
}

/// A moving window of a file in memory, for formats that are read by looking ahead at many nearby
/// places.
pub(super) struct SlidingWindow<'s, 'a> {
    source: &'s mut FileSource<'a>,
    bytes: Vec<u8>,
    start: u64,
}

impl<'s, 'a> SlidingWindow<'s, 'a> {
    pub(super) fn new(source: &'s mut FileSource<'a>) -> Self {
        Self { source, bytes: Vec::new(), start: 0 }
    }

    /// Returns the bytes at `position`: `most`, or as many as the file has. The caller bounds
    /// `most`.
    pub(super) fn at(&mut self, position: u64, most: usize) -> Result<&[u8], Unfit> {
        let length = self.source.length();
        let position = position.min(length);
        let wanted = (most as u64).min(length - position);
        let has = self.start..=self.start + self.bytes.len() as u64;
        if !(has.contains(&position) && has.contains(&(position + wanted))) {
            let read = wanted.max(BUFFER).min(length - position);
            self.source.seek(position)?;
            self.source.fill(&mut self.bytes, usize::try_from(read).unwrap_or_default())?;
            self.start = position;
        }
        let offset = usize::try_from(position - self.start).unwrap_or_default();
        let wanted = usize::try_from(wanted).unwrap_or_default();
        Ok(self.bytes.get(offset..offset + wanted).unwrap_or_default())
    }
}
