use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::packed::{Buffer, NO_TEXT, Packed, SortKey, Text, parse_text, text_length};

/// Memory for sightings; sorting takes half of it again for a moment. Half a million without banners: larger runs were
/// not quicker, and an import has to stay within 128 MiB.
const RUN_BYTES: usize = 16 * 1024 * 1024;
/// Runs of one level that are merged into one of the next: bounds the open files whatever the size of the input.
const FAN_IN: usize = 64;
/// Read and write buffer of one spilled run.
const FILE_BUFFER: usize = 64 * 1024;

/// Sightings, gathered into runs that are sorted, and read back as one sorted sequence.
pub(super) struct Runs {
    buffer: Buffer,
    spilled: Vec<BufReader<File>>,
    /// Runs that were merged of [`FAN_IN`] spilled ones, all of them earlier than what is spilled.
    merged: Vec<BufReader<File>>,
    directory: PathBuf,
}

/// One sighting in its turn.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Packed,
    pub(super) text: Option<Text>,
}

impl Runs {
    /// Spills into `directory`, in files without a name that vanish with the process.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            buffer: Buffer::default(),
            spilled: Vec::new(),
            merged: Vec::new(),
            directory: directory.to_owned(),
        }
    }

    pub(super) fn buffer(&mut self) -> &mut Buffer {
        &mut self.buffer
    }

    /// Spills what is in memory if that is enough for a run.
    pub(super) fn spill_if_full(&mut self) -> io::Result<()> {
        if self.buffer.bytes() < RUN_BYTES {
            return Ok(());
        }
        self.spill()
    }

    pub(super) fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let mut run = RunWriter::new(&self.directory)?;
        for index in 0..self.buffer.len() {
            let Some(record) = self.buffer.get(index) else { break };
            run.write(*record, self.buffer.text_bytes(record))?;
        }
        self.spilled.push(run.into_reader()?);
        self.buffer.clear();
        if self.spilled.len() >= FAN_IN {
            self.merge_spilled()?;
        }
        Ok(())
    }

    fn merge_spilled(&mut self) -> io::Result<()> {
        let sources =
            std::mem::take(&mut self.spilled).into_iter().map(|file| Source::File { file }).collect();
        let mut sorted = Sorted::new(sources)?;
        let mut run = RunWriter::new(&self.directory)?;
        let mut scratch = Vec::new();
        while let Some(Entry { record, text }) = sorted.next()? {
            scratch.clear();
            let text = text.as_ref().map(|text| text.write(&mut scratch));
            run.write(record, text.map(|()| scratch.as_slice()))?;
        }
        self.merged.push(run.into_reader()?);
        Ok(())
    }

    /// All sightings by address, port and protocol; equal ones in the order of the input.
    pub(super) fn into_sorted(mut self) -> io::Result<Sorted> {
        self.buffer.sort();
        let mut sources: Vec<Source> =
            self.merged.into_iter().chain(self.spilled).map(|file| Source::File { file }).collect();
        sources.push(Source::Memory { buffer: self.buffer, at: 0 });
        Sorted::new(sources)
    }
}

/// Writes a sorted run.
struct RunWriter {
    file: BufWriter<File>,
}

impl RunWriter {
    fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(FILE_BUFFER, tempfile::tempfile_in(directory)?) })
    }

    fn write(&mut self, record: Packed, text: Option<&[u8]>) -> io::Result<()> {
        let record = record.with_text(if text.is_some() { 0 } else { NO_TEXT });
        self.file.write_all(&record.to_bytes())?;
        self.file.write_all(text.unwrap_or_default())
    }

    fn into_reader(self) -> io::Result<BufReader<File>> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(BufReader::with_capacity(FILE_BUFFER, file))
    }
}

/// The sightings of one flush, sorted.
pub(super) fn sorted_in_memory(mut buffer: Buffer) -> io::Result<Sorted> {
    buffer.sort();
    Sorted::new(vec![Source::Memory { buffer, at: 0 }])
}

enum Source {
    File { file: BufReader<File> },
    Memory { buffer: Buffer, at: usize },
}

impl Source {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Memory { buffer, at } => {
                let Some(record) = buffer.get(*at).copied() else { return Ok(None) };
                *at += 1;
                let text = buffer.text_bytes(&record).and_then(parse_text);
                Ok(Some(Entry { record, text }))
            }
            Self::File { file } => read_entry(file),
        }
    }
}

fn read_entry(file: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut bytes = [0; Packed::BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let record = Packed::from_bytes(&bytes);
    if record.text == NO_TEXT {
        return Ok(Some(Entry { record, text: None }));
    }
    let mut text = vec![0; 4];
    file.read_exact(&mut text)?;
    let length = text_length([text[0], text[1], text[2], text[3]]);
    text.resize(length, 0);
    file.read_exact(&mut text[4..])?;
    Ok(Some(Entry { record, text: parse_text(&text) }))
}

/// Several sorted runs as one.
pub(super) struct Sorted {
    sources: Vec<Source>,
    heads: Vec<Option<Entry>>,
    /// The head of each run; among equal ones the earlier run comes first, since it was read earlier.
    order: BinaryHeap<Reverse<(SortKey, usize)>>,
}

impl Sorted {
    fn new(mut sources: Vec<Source>) -> io::Result<Self> {
        let mut heads = Vec::with_capacity(sources.len());
        let mut order = BinaryHeap::with_capacity(sources.len());
        for (index, source) in sources.iter_mut().enumerate() {
            let head = source.next()?;
            order.extend(head.as_ref().map(|entry| Reverse((entry.record.sort_key(), index))));
            heads.push(head);
        }
        Ok(Self { sources, heads, order })
    }

    pub(super) fn peek_key(&self) -> Option<SortKey> {
        self.order.peek().map(|Reverse((key, _))| *key)
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(mut first) = self.order.peek_mut() else { return Ok(None) };
        let Reverse((_, index)) = *first;
        let next = self.sources[index].next()?;
        match &next {
            Some(entry) => *first = Reverse((entry.record.sort_key(), index)),
            None => {
                std::collections::binary_heap::PeekMut::pop(first);
            }
        }
        Ok(std::mem::replace(&mut self.heads[index], next))
    }
}
