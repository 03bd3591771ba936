use std::io::{self, BufReader, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use crate::{ScanError, utf16::Utf16};

/// What the buffer holds at first. Large enough that reading costs few calls, small enough for the cache.
const INITIAL_BYTES: usize = 128 * 1024;
/// The least room that is worth a read.
const ROOM_BYTES: usize = 16 * 1024;

/// The bytes of the input, decompressed and as UTF-8.
///
/// The buffer grows only while one token does not fit, so whoever asks for more must bound its tokens.
pub(crate) struct Input<R: Read> {
    source: Source<R>,
    utf16: Option<Utf16>,
    data: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    cut: bool,
}

impl<R: Read> Input<R> {
    /// Recognises compression and encoding by the first bytes, for which it waits.
    pub(crate) fn new(mut reader: R) -> Result<Self, ScanError> {
        let mut head = Vec::with_capacity(4);
        while head.len() < 4 {
            let mut bytes = [0; 4];
            let wanted = 4 - head.len();
            match retry(|| reader.read(&mut bytes[..wanted])).map_err(ScanError::Read)? {
                0 => break,
                count => head.extend_from_slice(&bytes[..count]),
            }
        }
        let mut input = Self {
            source: Source::new(head, reader).map_err(ScanError::Read)?,
            utf16: None,
            data: vec![0; INITIAL_BYTES],
            start: 0,
            end: 0,
            ended: false,
            cut: false,
        };
        while input.bytes().len() < 4 && input.fill()? {}
        input.utf16 = Utf16::detect(input.bytes());
        if let Some(decoder) = &mut input.utf16 {
            let raw = input.data[input.start..input.end].to_vec();
            let mut text = Vec::with_capacity(INITIAL_BYTES);
            decoder.decode(&raw, &mut text);
            if input.ended {
                decoder.finish(&mut text);
            }
            (input.start, input.end) = (0, text.len());
            text.resize(text.len().max(INITIAL_BYTES), 0);
            input.data = text;
        }
        Ok(input)
    }

    /// What is read and not yet consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Marks the first `count` bytes as consumed and gives them back.
    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start = self.start.saturating_add(count).min(self.end);
        &self.data[from..self.start]
    }

    /// Reads once more, which may wait. False if there is nothing more.
    pub(crate) fn fill(&mut self) -> Result<bool, ScanError> {
        while !self.ended {
            if self.read_once()? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a compressed input ended before its own end.
    pub(crate) fn cut(&self) -> bool {
        self.cut
    }

    /// Bytes taken from the reader, before decompression.
    pub(crate) fn compressed_bytes_read(&self) -> u64 {
        self.source.compressed_bytes_read()
    }

    /// How many bytes were added; UTF-16 may need two reads for one character.
    fn read_once(&mut self) -> Result<usize, ScanError> {
        self.make_room();
        let count = if self.utf16.is_some() {
            let mut raw = [0; ROOM_BYTES / 2];
            let count = self.read_raw(RawTarget::Slice(&mut raw))?;
            self.append_utf16(&raw[..count])
        } else {
            self.read_raw(RawTarget::Buffer)?
        };
        self.end += count;
        Ok(count)
    }

    fn read_raw(&mut self, target: RawTarget<'_>) -> Result<usize, ScanError> {
        let buffer = match target {
            RawTarget::Slice(slice) => slice,
            RawTarget::Buffer => &mut self.data[self.end..],
        };
        match retry(|| self.source.read(buffer)) {
            Ok(0) => self.ended = true,
            Ok(count) => return Ok(count),
            Err(error) if !self.source.is_compressed() => {
                self.ended = true;
                return Err(ScanError::Read(error));
            }
            Err(error) => {
                self.ended = true;
                match error.kind() {
                    ErrorKind::UnexpectedEof => self.cut = true,
                    ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::Other => {
                        return Err(ScanError::Damaged(error));
                    }
                    _ => return Err(ScanError::Read(error)),
                }
            }
        }
        Ok(0)
    }

    fn append_utf16(&mut self, raw: &[u8]) -> usize {
        let Some(decoder) = &mut self.utf16 else { return 0 };
        let mut text = Vec::with_capacity(raw.len() * 2);
        decoder.decode(raw, &mut text);
        if self.ended {
            decoder.finish(&mut text);
        }
        if self.data.len() - self.end < text.len() {
            self.data.resize(self.end + text.len(), 0);
        }
        self.data[self.end..self.end + text.len()].copy_from_slice(&text);
        text.len()
    }

    fn make_room(&mut self) {
        if self.data.len() - self.end >= ROOM_BYTES {
            return;
        }
        self.data.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.data.len() - self.end < ROOM_BYTES {
            self.data.resize(self.data.len() * 2, 0);
        }
    }
}

enum RawTarget<'a> {
    Slice(&'a mut [u8]),
    Buffer,
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

enum Source<R: Read> {
    Plain(Counted<R>),
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Counted<R>>>>),
}

impl<R: Read> Source<R> {
    fn new(head: Vec<u8>, reader: R) -> io::Result<Self> {
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        let counted = Counted { count: head.len() as u64, head: io::Cursor::new(head), reader };
        Ok(if is_gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(counted)))
        } else if is_zstd {
            Self::Zstd(Box::new(zstd::Decoder::new(counted)?))
        } else {
            Self::Plain(counted)
        })
    }

    fn is_compressed(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    fn compressed_bytes_read(&self) -> u64 {
        match self {
            Self::Plain(counted) => counted.count,
            Self::Gzip(decoder) => decoder.get_ref().count,
            Self::Zstd(decoder) => decoder.get_ref().get_ref().count,
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// A reader whose first bytes were already looked at, and which counts.
struct Counted<R> {
    head: io::Cursor<Vec<u8>>,
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => {
                let count = self.reader.read(buffer)?;
                self.count += count as u64;
                Ok(count)
            }
            count => Ok(count),
        }
    }
}
