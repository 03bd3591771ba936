//! Compression, pipes and growing files.

mod common;

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, channel},
};

use common::{Slow, brief, read, read_from, read_sample, sample};
use flate2::{Compression, write::GzEncoder};
use hostatlas_scan::{ScanError, ScanReader};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

#[test]
fn gzip_and_zstd_are_recognised_also_in_several_parts() {
    let plain = sample("public-5k.json");
    let expected = read(&plain);
    let (first, second) = plain.split_at(400_000);
    for packed in [
        gzip(&plain),
        zstandard(&plain),
        [gzip(first), gzip(second)].concat(),
        [zstandard(first), zstandard(second)].concat(),
    ] {
        assert_eq!(read(&packed), expected);
        assert_eq!(read_from(Slow { bytes: &packed, step: 1 }, None), expected);
    }
}

#[test]
fn compressed_utf16_and_binary_are_read_too() {
    assert_eq!(read(gzip(&sample("v6.bin"))), read_sample("v6.bin"));
    let text = String::from_utf8(sample("v6.list")).expect("text");
    let wide: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(zstandard(&wide)), read_sample("v6.list"));
}

#[test]
fn cut_compressed_data_gives_what_came_before() {
    let whole = read_sample("public-5k.list");
    for packed in [gzip(&sample("public-5k.list")), zstandard(&sample("public-5k.list"))] {
        for length in [0, 1, 2, 3, 5, 17, 1000, packed.len() / 2, packed.len() - 1] {
            let Ok(mut reader) = ScanReader::new(&packed[..length], None) else {
                assert!(length < 4, "cut to {length}");
                continue;
            };
            let mut records = Vec::new();
            while let Some(record) = reader.next_record().expect("readable") {
                records.push(record);
            }
            assert!(whole.records.starts_with(&records), "cut to {length}");
            assert!(reader.truncated() || length == 0, "cut to {length}");
        }
    }
}

#[test]
fn damaged_compressed_data_is_an_error_after_the_good_records() {
    let mut packed = gzip(&sample("public-5k.json"));
    let middle = packed.len() / 2;
    packed[middle..middle + 200].fill(0xff);
    let mut reader = ScanReader::new(&packed[..], None).expect("a scan");
    let mut count = 0;
    let error = loop {
        match reader.next_record() {
            Ok(Some(_)) => count += 1,
            Ok(None) => panic!("the damage was not noticed after {count}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ScanError::Damaged(_)) && count > 100, "{error} after {count}");
}

#[test]
fn progress_counts_compressed_bytes() {
    let packed = gzip(&sample("public-5k.json"));
    let mut reader = ScanReader::new(&packed[..], None).expect("a scan");
    assert!(reader.compressed_bytes_read() > 0);
    while reader.next_record().expect("readable").is_some() {}
    assert_eq!(reader.compressed_bytes_read(), packed.len() as u64);
}

#[test]
fn a_failing_disk_is_an_error_and_what_was_read_stays() {
    struct Failing(io::Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("disk on fire")),
                count => Ok(count),
            }
        }
    }
    let input = b"#masscan\nopen tcp 80 192.0.2.1 1795434092\n".to_vec();
    let mut reader = ScanReader::new(Failing(io::Cursor::new(input)), None).expect("a scan");
    assert!(reader.next_record().expect("in memory").is_some());
    assert!(matches!(reader.next_record(), Err(ScanError::Read(_))));
    assert!(reader.next_record().expect("nothing is left").is_none());
}

/// A reader that gives at most one sent piece a read, and fails a test that waits for what was not sent.
struct Pipe {
    pieces: Receiver<&'static [u8]>,
    piece: &'static [u8],
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece =
                self.pieces.try_recv().map_err(|_| io::Error::other("the reader waited for more"))?;
        }
        self.piece.read(buffer)
    }
}

#[test]
fn a_record_is_given_out_before_more_is_read_and_half_a_line_is_not() {
    for (begin, first, half, rest, end) in [
        (
            &b"#masscan\n"[..],
            &b"open tcp 80 192.0.2.1 1795434092\n"[..],
            &b"open tcp 80 192.0.2.1"[..],
            &b"5 1795434092\n"[..],
            &b"# end\n"[..],
        ),
        (
            b"[\n",
            b"{\"ip\":\"192.0.2.1\",\"timestamp\":\"1795434092\",\"port\":80}\n",
            b",\n{\"ip\":\"192.0.2.15\",\"timestamp\":\"1795434092\",",
            b"\"port\":80}\n",
            b"]\n",
        ),
        (
            b"<nmaprun scanner=\"masscan\">\r\n",
            b"<host endtime=\"1795434092\"><address addr=\"192.0.2.1\"/><ports><port protocol=\"tcp\" portid=\"80\"><state state=\"open\"/></port></ports></host>\r\n",
            b"<host endtime=\"1795434092\"><address addr=\"192.0.2.15\"/><ports><port protocol=\"tcp\" portid=\"80\"><state sta",
            b"te=\"open\"/></port></ports></host>\r\n",
            b"</nmaprun>\r\n",
        ),
    ] {
        let (pipe, pieces) = channel();
        pipe.send(begin).expect("open");
        pipe.send(first).expect("open");
        let mut reader = ScanReader::new(Pipe { pieces, piece: b"" }, None).expect("a scan");
        let record = reader.next_record().expect("no waiting").expect("a record");
        assert!(brief(&record).ends_with("192.0.2.1 open 80/tcp @1795434092"), "{record:?}");
        pipe.send(half).expect("open");
        pipe.send(rest).expect("open");
        let record = reader.next_record().expect("no waiting").expect("a record");
        assert!(brief(&record).ends_with("192.0.2.15 open 80/tcp @1795434092"), "{record:?}");
        pipe.send(end).expect("open");
        pipe.send(b"").expect("open");
        assert!(reader.next_record().expect("no waiting").is_none());
        assert!(!reader.truncated());
    }
}
