//! The hostatlas program.
fn main() {}
