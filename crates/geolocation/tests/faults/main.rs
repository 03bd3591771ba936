//! Every fault of every provider, single and batch, one at a time and all at once: an address is located where it
//! truly is, or is honestly recorded; nothing panics, and no key is ever to be read.
//!
//! Runs in short form. With `HOSTATLAS_FAULTS_HOSTS` set to a number, so many hosts go through the matrix and through
//! the storm, and reports go to stdout as JSON (`make faults`).

mod canary;
mod matrix;
mod storm;
mod support;
