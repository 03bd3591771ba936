//! Notes everything that this process writes to the files of one folder, in order.
//!
//! A program that links this crate calls its versions of the functions below instead of the C library's: they ask the
//! kernel directly, and while a [`Recording`] is on they also note what was asked. Whoever takes up the notes can build
//! what a disk may hold after the power went at any moment. Linux only, and no part of the product.

#![expect(
    unsafe_code,
    reason = "the functions of the C library are replaced by name and called with raw memory: there is no safe way"
)]

use std::{
    ffi::{CStr, OsString},
    os::{
        fd::RawFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use libc::{c_char, c_int, c_void, off_t, size_t, ssize_t};

/// One thing that was done to the recorded folder. Files are named relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written at an offset. The first write to a file that was not there makes it.
    Write {
        /// The file.
        file: OsString,
        /// Where.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file got this length.
    Truncate {
        /// The file.
        file: OsString,
        /// Its new length in bytes.
        length: u64,
    },
    /// The kernel confirmed that a file, or with an empty name the folder itself, is on the disk.
    Sync {
        /// The file.
        file: OsString,
    },
    /// A file was removed.
    Unlink {
        /// The file.
        file: OsString,
    },
    /// A file got another name.
    Rename {
        /// Its old one.
        from: OsString,
        /// Its new one.
        to: OsString,
    },
    /// The program noted that it came to this point; see [`Recording::mark`].
    Mark(u64),
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static NOTES: Mutex<Notes> = Mutex::new(Notes { folder: None, events: Vec::new() });

struct Notes {
    folder: Option<PathBuf>,
    events: Vec<Event>,
}

fn notes() -> MutexGuard<'static, Notes> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A recording that is on. There is one at a time in a process.
#[derive(Debug)]
pub struct Recording(());

impl Recording {
    /// Starts to note what is done to the files of `folder`. None if another recording is on.
    pub fn start(folder: &Path) -> Option<Self> {
        // Links in the way would give files other names than the kernel does.
        let folder = folder.canonicalize().ok()?;
        let mut notes = notes();
        if notes.folder.is_some() {
            return None;
        }
        // Naming the functions keeps the linker from leaving them out in favour of the C library's.
        std::hint::black_box([pwrite as *const (), pwrite64 as *const (), write as *const ()]);
        *notes = Notes { folder: Some(folder), events: Vec::new() };
        IS_ON.store(true, Ordering::SeqCst);
        Some(Self(()))
    }

    /// Notes that the program came to this point: that it was told, say, that a transaction is committed.
    pub fn mark(&self, number: u64) {
        notes().events.push(Event::Mark(number));
    }

    /// Ends it; answers what was noted.
    pub fn stop(self) -> Vec<Event> {
        std::mem::take(&mut notes().events)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        IS_ON.store(false, Ordering::SeqCst);
        *notes() = Notes { folder: None, events: Vec::new() };
    }
}

/// The name of a path within the recorded folder; empty for the folder itself.
fn within(notes: &Notes, path: &Path) -> Option<OsString> {
    let folder = notes.folder.as_deref()?;
    let name = path.strip_prefix(folder).ok()?;
    Some(name.as_os_str().to_owned())
}

/// The name of an open file within the recorded folder.
fn name_of(notes: &Notes, descriptor: RawFd) -> Option<OsString> {
    let link = format!("/proc/self/fd/{descriptor}\0");
    let mut buffer = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: `link` ends in a zero byte, and the kernel writes at most the length of `buffer`.
    let length = unsafe { libc::readlink(link.as_ptr().cast(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let path = OsString::from_vec(buffer.get(..usize::try_from(length).ok()?)?.to_vec());
    within(notes, Path::new(&path))
}

/// Notes an event about an open file, after the kernel did it.
fn note(descriptor: RawFd, event: impl FnOnce(OsString) -> Event) {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    let errno = Errno::keep();
    let mut notes = notes();
    if let Some(file) = name_of(&notes, descriptor) {
        notes.events.push(event(file));
    }
    drop(notes);
    errno.restore();
}

/// What the kernel said of the call that is noted: noting must not change it.
struct Errno(c_int);

impl Errno {
    fn keep() -> Self {
        // SAFETY: the C library answers a pointer to this thread's own variable.
        Self(unsafe { *libc::__errno_location() })
    }

    fn restore(self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

fn note_write(descriptor: c_int, buffer: *const c_void, offset: i64, written: ssize_t) {
    let (Ok(length), Ok(offset)) = (usize::try_from(written), u64::try_from(offset)) else { return };
    if length == 0 {
        return;
    }
    note(descriptor, |file| {
        // SAFETY: the kernel has just read these bytes from the caller's buffer.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec();
        Event::Write { file, offset, bytes }
    });
}

/// Writes at an offset.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    descriptor: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: off_t,
) -> ssize_t {
    // SAFETY: passed on as they came.
    let written = unsafe { libc::syscall(libc::SYS_pwrite64, descriptor, buffer, length, offset) };
    let written = isize::try_from(written).unwrap_or(-1);
    note_write(descriptor, buffer, offset, written);
    written
}

/// Writes at an offset.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    descriptor: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: off_t,
) -> ssize_t {
    // SAFETY: passed on as they came.
    unsafe { pwrite(descriptor, buffer, length, offset) }
}

/// Writes at the file's own offset.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(descriptor: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: passed on as they came.
    let written = unsafe { libc::syscall(libc::SYS_write, descriptor, buffer, length) };
    let written = isize::try_from(written).unwrap_or(-1);
    if IS_ON.load(Ordering::Relaxed) && written > 0 {
        let errno = Errno::keep();
        // SAFETY: this only asks. Where a descriptor has no offset it is no file of ours.
        let end = unsafe { libc::lseek(descriptor, 0, libc::SEEK_CUR) };
        errno.restore();
        note_write(descriptor, buffer, end - i64::try_from(written).unwrap_or(0), written);
    }
    written
}

/// Sets a file's length.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(descriptor: c_int, length: off_t) -> c_int {
    // SAFETY: passed on as they came.
    let result = unsafe { libc::syscall(libc::SYS_ftruncate, descriptor, length) };
    if result == 0 {
        note(descriptor, |file| Event::Truncate { file, length: u64::try_from(length).unwrap_or(0) });
    }
    c_int::try_from(result).unwrap_or(-1)
}

/// Sets a file's length.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(descriptor: c_int, length: off_t) -> c_int {
    // SAFETY: passed on as they came.
    unsafe { ftruncate(descriptor, length) }
}

/// Waits until a file is on the disk.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(descriptor: c_int) -> c_int {
    // SAFETY: a number is passed on.
    let result = unsafe { libc::syscall(libc::SYS_fsync, descriptor) };
    if result == 0 {
        note(descriptor, |file| Event::Sync { file });
    }
    c_int::try_from(result).unwrap_or(-1)
}

/// Waits until a file's bytes are on the disk, and of its metadata what finding them needs.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    // SAFETY: a number is passed on.
    let result = unsafe { libc::syscall(libc::SYS_fdatasync, descriptor) };
    if result == 0 {
        note(descriptor, |file| Event::Sync { file });
    }
    c_int::try_from(result).unwrap_or(-1)
}

/// Notes an event about paths.
fn note_paths<const N: usize>(paths: [*const c_char; N], event: impl FnOnce([OsString; N]) -> Event) {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    let errno = Errno::keep();
    let mut notes = notes();
    let names = paths.map(|path| {
        // SAFETY: the kernel has just read the same path to its zero byte.
        let path = unsafe { CStr::from_ptr(path) };
        let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
        std::path::absolute(path).ok().and_then(|path| within(&notes, &path))
    });
    if names.iter().all(Option::is_some) {
        notes.events.push(event(names.map(Option::unwrap_or_default)));
    }
    drop(notes);
    errno.restore();
}

/// Removes a name.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: passed on as it came.
    let result = unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) };
    if result == 0 {
        note_paths([path], |[file]| Event::Unlink { file });
    }
    c_int::try_from(result).unwrap_or(-1)
}

/// Gives a file another name.
///
/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: passed on as they came.
    let result = unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) };
    if result == 0 {
        note_paths([from, to], |[from, to]| Event::Rename { from, to });
    }
    c_int::try_from(result).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::FileExt};

    use super::*;

    #[test]
    fn what_is_written_to_the_folder_is_noted_in_order_and_nothing_else() {
        let base = std::env::temp_dir().join(format!("hostatlas-proof-shim-{}", std::process::id()));
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        for folder in [&inside, &outside] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let recording = Recording::start(&inside).expect("no other recording");
        fs::write(outside.join("a"), "unseen").expect("written");
        let mut file = fs::File::create(inside.join("a")).expect("a file");
        file.write_all(b"one").expect("written");
        file.write_all(b"two").expect("written");
        file.write_all_at(b"x", 1).expect("written");
        file.set_len(4).expect("cut");
        recording.mark(7);
        file.sync_all().expect("synced");
        fs::File::open(&inside).expect("the folder").sync_all().expect("synced");
        fs::rename(inside.join("a"), inside.join("b")).expect("renamed");
        fs::remove_file(inside.join("b")).expect("removed");
        let events = recording.stop();
        fs::remove_dir_all(&base).expect("removed");

        let write = |offset, bytes: &[u8]| Event::Write { file: "a".into(), offset, bytes: bytes.to_vec() };
        assert_eq!(
            events,
            [
                write(0, b"one"),
                write(3, b"two"),
                write(1, b"x"),
                Event::Truncate { file: "a".into(), length: 4 },
                Event::Mark(7),
                Event::Sync { file: "a".into() },
                Event::Sync { file: "".into() },
                Event::Rename { from: "a".into(), to: "b".into() },
                Event::Unlink { file: "b".into() },
            ]
        );
    }
}
