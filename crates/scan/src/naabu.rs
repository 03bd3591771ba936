//! What only naabu writes.

use crate::{Record, record::Common};

/// naabu's names of protocols, and the numbers that it wrote before 2024.
pub(crate) fn protocol(text: &[u8]) -> &[u8] {
    match text {
        b"0" => b"tcp",
        b"1" => b"udp",
        b"2" => b"arp",
        other => other,
    }
}

/// What naabu says of a port. Port 0 stands for none: it looked for hosts alone, and found this one.
pub(crate) fn port(seen: &Common, protocol_text: &[u8], port: &[u8]) -> Record {
    match port {
        b"0" => seen.up(),
        _ => seen.port(protocol(protocol_text), port, b"open"),
    }
}

/// What a row of its CSV says. Of 2023 there are files that hold `443-0-false`: port, protocol and TLS in one.
pub(crate) fn csv_port(seen: &Common, protocol: &[u8], text: &[u8]) -> Record {
    let mut parts = text.splitn(3, |byte| *byte == b'-');
    let number = parts.next().unwrap_or_default();
    port(seen, parts.next().unwrap_or(protocol), number)
}
