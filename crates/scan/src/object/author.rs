//! Which tool wrote an object, as the names of its members tell.

/// Who wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// `masscan -oJ`, and wrappers that write as it does.
    Masscan,
    /// `masscan -oD`.
    MasscanLine,
    Zmap,
    Naabu,
    Shodan,
    /// A tool whose records are not read.
    Foreign(&'static str),
    Unknown,
}

/// Which members an object has that only some tools write.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    pub(super) const MASSCAN: Self = Self(1);
    pub(super) const MASSCAN_LINE: Self = Self(1 << 1);
    pub(super) const ZMAP: Self = Self(1 << 2);
    pub(super) const NAABU: Self = Self(1 << 3);
    const SHODAN: Self = Self(1 << 4);
    const URL: Self = Self(1 << 5);
    const HTTP: Self = Self(1 << 6);
    const TLSX: Self = Self(1 << 7);
    const DNSX: Self = Self(1 << 8);
    const ZGRAB: Self = Self(1 << 9);

    pub(super) fn add(&mut self, mark: Self) {
        self.0 |= mark.0;
    }

    const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Notes the name of a member at the top.
    pub(super) fn note(&mut self, key: &[u8]) {
        let mark = match key {
            b"tls" | b"cdn" | b"cdn-name" | b"mac_address" => Self::NAABU,
            b"ip_str" | b"_shodan" => Self::SHODAN,
            b"url" => Self::URL,
            b"status_code" | b"status-code" | b"webserver" | b"content_length" | b"content-length"
            | b"scheme" | b"failed" => Self::HTTP,
            b"probe_status" | b"tls_version" | b"tls_connection" => Self::TLSX,
            b"resolver" => Self::DNSX,
            _ => return,
        };
        self.add(mark);
    }

    /// Notes the name of a member of an object within `data`: zgrab2 keeps there what each protocol answered.
    pub(super) fn note_answer(&mut self, key: &[u8]) {
        if matches!(key, b"protocol" | b"result") {
            self.add(Self::ZGRAB);
        }
    }

    pub(super) fn author(self, names_port: bool) -> Author {
        match self {
            // Almost every record is one of these two.
            Self::MASSCAN => return Author::Masscan,
            Self::MASSCAN_LINE => return Author::MasscanLine,
            _ => {}
        }
        match () {
            // httpx writes what tlsx found as `tls`, and what a name server said with the name of the resolver.
            () if self.has(Self::URL) && self.has(Self::HTTP) => Author::Foreign("httpx"),
            () if self.has(Self::TLSX) => Author::Foreign("tlsx"),
            () if self.has(Self::DNSX) => Author::Foreign("dnsx"),
            () if self.has(Self::ZGRAB) && !names_port => Author::Foreign("zgrab2"),
            () if self.has(Self::SHODAN) => Author::Shodan,
            () if self.has(Self::ZMAP) => Author::Zmap,
            () if self.has(Self::MASSCAN_LINE) => Author::MasscanLine,
            () if self.has(Self::MASSCAN) => Author::Masscan,
            () if self.has(Self::NAABU) => Author::Naabu,
            () => Author::Unknown,
        }
    }
}
