//! A clock under a whole process, which the proof sets.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::installation::Installation;

const SOURCE: &str = include_str!("clock.c");

/// Builds the library that stands between a process and the C library.
pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE)?;
    // The linker that Rust itself needs.
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(&source)
        .output()
        .context("there is no C compiler `cc`: install Debian's `gcc`")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(library)
}

/// The clock of one machine.
pub(super) struct Shim {
    library: PathBuf,
    file: PathBuf,
}

impl Shim {
    /// One that agrees with the system, kept in a file.
    pub(super) fn new(library: &Path, file: &Path) -> anyhow::Result<Self> {
        fs::write(file, 0_i64.to_ne_bytes())?;
        Ok(Self { library: library.to_owned(), file: file.to_owned() })
    }

    /// Everything that is started there from now on goes by it.
    pub(super) fn put_under(&self, installation: &mut Installation) {
        installation.set("LD_PRELOAD", self.library.to_string_lossy());
        installation.set("PROOF_CLOCK", self.file.to_string_lossy());
    }

    /// Sets it so many seconds before or after the system's, at once.
    pub(super) fn set(&self, seconds: i64) -> anyhow::Result<()> {
        // Written in place: the file is mapped by those who look at it.
        let mut file = OpenOptions::new().write(true).open(&self.file)?;
        Ok(file.write_all(&seconds.to_ne_bytes())?)
    }
}
