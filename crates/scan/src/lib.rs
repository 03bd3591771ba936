//! Output of masscan, nmap, zmap, naabu, rustscan and Shodan to sightings: streaming, in constant memory, from any reader.
//!
//! Nothing here waits, reads a clock or knows a database. Scan output is hostile twice over: it was cut, joined,
//! captured from a terminal and edited by hand, and its banners were written by strangers. So every reader
//! here takes what it can, counts what it cannot, and never panics.
//!
//! - One line is one record. A JSON object or an nmap host with several ports is several records; headers,
//!   comments, brackets, blank lines and the noise of a captured terminal are none.
//! - A record is given out as soon as its last byte has come, so a growing file or a pipe can be followed: the
//!   reader only has to block at what is not yet the end.
//! - An end in the middle of a record or of a document is not an error: [`ScanReader::truncated`] says so.

mod binary;
mod error;
mod escape;
mod grepable;
mod input;
mod json;
mod lines;
mod list;
mod moment;
mod naabu;
mod object;
mod plain;
mod reader;
mod record;
mod rustscan;
mod sniff;
mod stdout;
mod utf16;
mod xml;
mod zmap;

pub use error::ScanError;
pub use plain::MAX_EXPANDED_ADDRESSES;
pub use reader::ScanReader;
pub use record::{MAX_BANNER_BYTES, MAX_SERVICE_CHARS, Record};

pub use lines::MAX_LINE_BYTES;
