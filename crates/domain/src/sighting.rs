use crate::{Address, PortNumber, Protocol, Timestamp};

/// One record of a scan: an address, when it was seen, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The host.
    pub address: Address,
    /// When the scanner saw it, if the format says so. The import's start stands in where it does not.
    pub seen_at: Option<Timestamp>,
    /// What was seen.
    pub record: SightingRecord,
}

/// What one record of a scan says about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SightingRecord {
    /// The host answered (ICMP, ARP, a bare address): it makes or refreshes the host alone.
    Up,
    /// A port is open: it makes a service.
    Open {
        /// The port.
        port: PortNumber,
        /// Its protocol.
        protocol: Protocol,
    },
    /// A port is closed: it makes or refreshes the host, and closes a known service.
    Closed {
        /// The port.
        port: PortNumber,
        /// Its protocol.
        protocol: Protocol,
    },
    /// A service said something, which implies that it is open.
    Banner {
        /// The port.
        port: PortNumber,
        /// Its protocol.
        protocol: Protocol,
        /// What the scanner takes the service for (`ssh`, `http`, `X509`), at most 32 characters; empty if unknown.
        service: String,
        /// What it said: bytes, at most 16 KiB (longer ones are cut).
        banner: Vec<u8>,
    },
}
