//! Compresses the site's files beside themselves, so that the server never compresses at run time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;

/// What is worth compressing: text and WASM. PNG and ICO already are.
const EXTENSIONS: [&str; 6] = ["css", "html", "js", "json", "svg", "wasm"];

/// Whether the server looks for `.br` and `.gz` twins of this file.
pub fn applies_to(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Whether both twins stand beside `path`.
pub fn has_twins(path: &Path) -> bool {
    twin(path, "br").is_file() && twin(path, "gz").is_file()
}

/// Writes `path.br` (quality 11) and `path.gz` for every path, on two threads.
pub fn write_twins(paths: &[PathBuf]) -> Result<()> {
    let queue = Mutex::new(paths.iter());
    let work = || -> Result<()> {
        loop {
            let next = queue.lock().map_err(|_| anyhow!("another file failed"))?.next();
            let Some(path) = next else { return Ok(()) };
            write_twin_pair(path).with_context(|| format!("cannot compress {}", path.display()))?;
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work()?;
        other.join().map_err(|_| anyhow!("a compression thread panicked"))?
    })
}

/// Removes a file and its twins.
pub fn remove_with_twins(path: &Path) {
    for stale in [path.to_path_buf(), twin(path, "br"), twin(path, "gz")] {
        // What cannot be removed is served by nobody: the page names files by hash or copies them again.
        let _ = fs::remove_file(stale);
    }
}

/// The size of a file's brotli twin in bytes; 0 when there is none.
pub fn brotli_size(path: &Path) -> u64 {
    fs::metadata(twin(path, "br")).map_or(0, |metadata| metadata.len())
}

fn write_twin_pair(path: &Path) -> Result<()> {
    let plain = fs::read(path)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&plain)?;
    fs::write(twin(path, "gz"), gzip.finish()?)?;
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        // Tried on the program, which the first view waits for: these are a little smaller than the defaults.
        lgblock: 16,
        mode: brotli::enc::backward_references::BrotliEncoderMode::BROTLI_MODE_FONT,
        size_hint: plain.len(),
        ..brotli::enc::BrotliEncoderParams::default()
    };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut plain.as_slice(), &mut packed, &parameters)?;
    fs::write(twin(path, "br"), packed)?;
    Ok(())
}

fn twin(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn both_twins_unpack_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.json");
        let text = "[13.4,52.5],".repeat(2_000);
        fs::write(&path, &text).unwrap();

        write_twins(std::slice::from_ref(&path)).unwrap();

        let mut from_gzip = String::new();
        flate2::read::GzDecoder::new(fs::File::open(twin(&path, "gz")).unwrap())
            .read_to_string(&mut from_gzip)
            .unwrap();
        let mut from_brotli = Vec::new();
        brotli::BrotliDecompress(&mut fs::File::open(twin(&path, "br")).unwrap(), &mut from_brotli).unwrap();
        assert_eq!((from_gzip == text, from_brotli == text.as_bytes(), has_twins(&path)), (true, true, true));
    }
}
