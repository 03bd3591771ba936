use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use crate::Address;

/// What an address is for, after the IANA special-purpose registries.
///
/// Only [`AddressClass::Public`] addresses have a place in the world, so only they are ever looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AddressClass {
    /// Ordinary unicast on the Internet.
    Public,
    /// Private use inside one site.
    Private,
    /// Shared by the customers of one Internet provider.
    Cgnat,
    /// The machine itself.
    Loopback,
    /// Valid on one link only.
    LinkLocal,
    /// For examples in documents.
    Documentation,
    /// For benchmarks of network devices.
    Benchmark,
    /// A group of receivers.
    Multicast,
    /// Reserved by the IETF for protocols or for the future.
    Reserved,
    /// Infrastructure that answers from many places at once.
    AnycastInfrastructure,
    /// IPv6 that carries a public IPv4 address (6to4, Teredo, NAT64).
    Transition,
    /// IPv6's private use.
    Ula,
    /// No address at all.
    Unspecified,
    /// Outside what IANA has given out.
    Unallocated,
}

impl AddressClass {
    /// Every class, in the order of its number.
    pub const ALL: [Self; 14] = [
        Self::Public,
        Self::Private,
        Self::Cgnat,
        Self::Loopback,
        Self::LinkLocal,
        Self::Documentation,
        Self::Benchmark,
        Self::Multicast,
        Self::Reserved,
        Self::AnycastInfrastructure,
        Self::Transition,
        Self::Ula,
        Self::Unspecified,
        Self::Unallocated,
    ];

    /// The number under which it is stored: its position in [`AddressClass::ALL`].
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads what [`AddressClass::number`] gave.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether addresses of this class have a place and may be looked up.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }

    /// The name in JSON and in addresses of pages.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Cgnat => "cgnat",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link_local",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::AnycastInfrastructure => "anycast_infrastructure",
            Self::Transition => "transition",
            Self::Ula => "ula",
            Self::Unspecified => "unspecified",
            Self::Unallocated => "unallocated",
        }
    }

    /// The name that a person reads.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Public => "Public",
            Self::Private => "Private",
            Self::Cgnat => "Carrier-grade NAT",
            Self::Loopback => "Loopback",
            Self::LinkLocal => "Link-local",
            Self::Documentation => "Documentation",
            Self::Benchmark => "Benchmarking",
            Self::Multicast => "Multicast",
            Self::Reserved => "Reserved",
            Self::AnycastInfrastructure => "Anycast infrastructure",
            Self::Transition => "IPv4 in IPv6",
            Self::Ula => "Unique local",
            Self::Unspecified => "Unspecified",
            Self::Unallocated => "Unallocated",
        }
    }

    /// One sentence for a page: what such an address is and why it has no place on a map.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Public => "An ordinary address of the Internet.",
            Self::Private => "Private use inside one site (RFC 1918), so it has no place in the world.",
            Self::Cgnat => {
                "Shared by customers of one Internet provider (RFC 6598), so it has no place in the world."
            }
            Self::Loopback => "The machine itself (RFC 1122, RFC 4291), so it has no place in the world.",
            Self::LinkLocal => {
                "Valid on one link only (RFC 3927, RFC 4291), so it has no place in the world."
            }
            Self::Documentation => {
                "Set aside for examples (RFC 5737, RFC 3849, RFC 9637): no real host has it."
            }
            Self::Benchmark => {
                "Set aside for benchmarks of network devices (RFC 2544, RFC 5180), so it has no place."
            }
            Self::Multicast => {
                "A group of receivers and not one host (RFC 5771, RFC 4291), so it has no place."
            }
            Self::Reserved => {
                "Reserved by the IETF (RFC 6890 and its registries), so it has no place in the world."
            }
            Self::AnycastInfrastructure => {
                "Anycast infrastructure: the same address answers from many places (RFC 7534 and others)."
            }
            Self::Transition => {
                "An IPv4 address carried in IPv6 (RFC 6052, RFC 3056, RFC 4380): what it names is a tunnel or a \
                 translator, not a place."
            }
            Self::Ula => "IPv6's private use inside one site (RFC 4193), so it has no place in the world.",
            Self::Unspecified => "The address that means no address (RFC 1122, RFC 4291).",
            Self::Unallocated => {
                "Outside what IANA has given out for use on the Internet, so it has no place."
            }
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.label())
    }
}

/// What an address is for.
///
/// IPv6 that carries an IPv4 address has the class of that address where it is not public: `2002:a00:1::` is
/// as private as `10.0.0.1`. Otherwise it is [`AddressClass::Transition`].
#[inline]
pub fn classify(address: Address) -> AddressClass {
    match address.ip() {
        IpAddr::V4(address) => classify_v4(address.to_bits()),
        IpAddr::V6(address) => classify_v6(address.to_bits()),
    }
}

#[inline]
fn classify_v4(bits: u32) -> AddressClass {
    // Nearly all addresses end here; lookups take little longer than the search below.
    if !SPECIAL_V4[(bits >> 24) as usize] {
        return AddressClass::Public;
    }
    let after = V4.partition_point(|row| row.first <= bits);
    match after.checked_sub(1).map(|index| &V4[index]) {
        Some(row) if bits <= row.last => row.class,
        _ => AddressClass::Public,
    }
}

fn classify_v6(bits: u128) -> AddressClass {
    let after = V6.partition_point(|row| row.first <= bits);
    let Some(row) = after.checked_sub(1).map(|index| &V6[index]).filter(|row| bits <= row.last) else {
        return if bits >> 125 == 1 { AddressClass::Public } else { AddressClass::Unallocated };
    };
    match row.kind {
        Kind::Is(class) => class,
        Kind::Embeds { shift, inverted } => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the 32 bits that are left are the IPv4 address"
            )]
            let embedded = (bits >> shift) as u32;
            match classify_v4(if inverted { !embedded } else { embedded }) {
                AddressClass::Public => AddressClass::Transition,
                class => class,
            }
        }
    }
}

struct V4Row {
    first: u32,
    last: u32,
    class: AddressClass,
}

struct V6Row {
    first: u128,
    last: u128,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Is(AddressClass),
    /// Holds an IPv4 address `shift` bits from its end; Teredo writes it inverted.
    Embeds {
        shift: u32,
        inverted: bool,
    },
}

const fn v4(first: [u8; 4], prefix_length: u32, class: AddressClass) -> V4Row {
    let first = Ipv4Addr::new(first[0], first[1], first[2], first[3]).to_bits();
    V4Row { first, last: first | (u32::MAX >> prefix_length), class }
}

const fn v4_range(first: [u8; 4], last: [u8; 4], class: AddressClass) -> V4Row {
    V4Row {
        first: Ipv4Addr::new(first[0], first[1], first[2], first[3]).to_bits(),
        last: Ipv4Addr::new(last[0], last[1], last[2], last[3]).to_bits(),
        class,
    }
}

/// `head` is the first four groups; the others are zero.
const fn v6(head: [u16; 4], prefix_length: u32, kind: Kind) -> V6Row {
    let first = Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, 0).to_bits();
    V6Row { first, last: first | (u128::MAX >> prefix_length), kind }
}

const fn v6_range(first: u128, last: u128, kind: Kind) -> V6Row {
    V6Row { first, last, kind }
}

/// Sorted, and no row overlaps the next: a registry entry inside another splits it.
static V4: [V4Row; 21] = [
    v4_range([0, 0, 0, 0], [0, 0, 0, 0], AddressClass::Unspecified), // RFC 1122
    v4_range([0, 0, 0, 1], [0, 255, 255, 255], AddressClass::Reserved), // this network, RFC 791
    v4([10, 0, 0, 0], 8, AddressClass::Private),                     // RFC 1918
    v4([100, 64, 0, 0], 10, AddressClass::Cgnat),                    // RFC 6598
    v4([127, 0, 0, 0], 8, AddressClass::Loopback),                   // RFC 1122
    v4([169, 254, 0, 0], 16, AddressClass::LinkLocal),               // RFC 3927
    v4([172, 16, 0, 0], 12, AddressClass::Private),                  // RFC 1918
    v4_range([192, 0, 0, 0], [192, 0, 0, 8], AddressClass::Reserved), // RFC 6890, 7335, 7600
    v4_range([192, 0, 0, 9], [192, 0, 0, 10], AddressClass::AnycastInfrastructure), // RFC 7723, 8155
    v4_range([192, 0, 0, 11], [192, 0, 0, 255], AddressClass::Reserved), // RFC 6890, 7050, 8880
    v4([192, 0, 2, 0], 24, AddressClass::Documentation),             // RFC 5737
    v4([192, 31, 196, 0], 24, AddressClass::AnycastInfrastructure),  // AS112, RFC 7535
    v4([192, 52, 193, 0], 24, AddressClass::AnycastInfrastructure),  // AMT, RFC 7450
    v4([192, 88, 99, 0], 24, AddressClass::AnycastInfrastructure),   // 6to4 relay, RFC 7526
    v4([192, 168, 0, 0], 16, AddressClass::Private),                 // RFC 1918
    v4([192, 175, 48, 0], 24, AddressClass::AnycastInfrastructure),  // AS112, RFC 7534
    v4([198, 18, 0, 0], 15, AddressClass::Benchmark),                // RFC 2544
    v4([198, 51, 100, 0], 24, AddressClass::Documentation),          // RFC 5737
    v4([203, 0, 113, 0], 24, AddressClass::Documentation),           // RFC 5737
    v4([224, 0, 0, 0], 4, AddressClass::Multicast),                  // RFC 5771
    v4([240, 0, 0, 0], 4, AddressClass::Reserved), // RFC 1112; its last is broadcast, RFC 919
];

/// Whether any address with this first octet is in [`V4`].
static SPECIAL_V4: [bool; 256] = {
    let mut special = [false; 256];
    let mut row = 0;
    while row < V4.len() {
        let mut octet = V4[row].first >> 24;
        while octet <= V4[row].last >> 24 {
            special[octet as usize] = true;
            octet += 1;
        }
        row += 1;
    }
    special
};

const LAST_32_BITS: Kind = Kind::Embeds { shift: 0, inverted: false };
const RESERVED: Kind = Kind::Is(AddressClass::Reserved);
const ANYCAST: Kind = Kind::Is(AddressClass::AnycastInfrastructure);
const DOCUMENTATION: Kind = Kind::Is(AddressClass::Documentation);

/// `2001:1::`, whose first addresses are anycast one by one.
const PROTOCOL_1: u128 = 0x2001_0001 << 96;

/// As [`V4`]. IPv4-mapped addresses are not here: an [`Address`] never holds one.
static V6: [V6Row; 26] = [
    v6_range(0, 0, Kind::Is(AddressClass::Unspecified)), // RFC 4291
    v6_range(1, 1, Kind::Is(AddressClass::Loopback)),    // RFC 4291
    v6_range(2, 0xffff_ffff, LAST_32_BITS),              // IPv4-compatible, RFC 4291
    v6([0x64, 0xff9b, 0, 0], 96, LAST_32_BITS),          // NAT64, RFC 6052
    v6([0x64, 0xff9b, 1, 0], 48, Kind::Is(AddressClass::Transition)), // local NAT64, RFC 8215
    v6([0x100, 0, 0, 0], 64, RESERVED),                  // discard, RFC 6666
    v6([0x100, 0, 0, 1], 64, RESERVED),                  // dummy prefix, RFC 9780
    v6([0x2001, 0, 0, 0], 32, Kind::Embeds { shift: 0, inverted: true }), // Teredo, RFC 4380
    v6_range(PROTOCOL_1, PROTOCOL_1, RESERVED),          // RFC 2928
    v6_range(PROTOCOL_1 + 1, PROTOCOL_1 + 3, ANYCAST),   // RFC 7723, 8155, 9665
    v6_range(PROTOCOL_1 + 4, PROTOCOL_1 | (u128::MAX >> 32), RESERVED), // RFC 2928
    v6([0x2001, 2, 0, 0], 48, Kind::Is(AddressClass::Benchmark)), // RFC 5180
    v6_range(0x2001_0002_0001 << 80, (0x2001_0003 << 96) - 1, RESERVED), // RFC 2928
    v6([0x2001, 3, 0, 0], 32, ANYCAST),                  // AMT, RFC 7450
    v6_range(0x2001_0004 << 96, (0x2001_0004_0112 << 80) - 1, RESERVED), // RFC 2928
    v6([0x2001, 4, 0x112, 0], 48, ANYCAST),              // AS112, RFC 7535
    v6_range(0x2001_0004_0113 << 80, (0x2001_0200 << 96) - 1, RESERVED), // RFC 2928, 4843, 7343, 9374
    v6([0x2001, 0xdb8, 0, 0], 32, DOCUMENTATION),        // RFC 3849
    v6([0x2002, 0, 0, 0], 16, Kind::Embeds { shift: 80, inverted: false }), // 6to4, RFC 3056
    v6([0x2620, 0x4f, 0x8000, 0], 48, ANYCAST),          // AS112, RFC 7534
    v6([0x3fff, 0, 0, 0], 20, DOCUMENTATION),            // RFC 9637
    v6([0x5f00, 0, 0, 0], 16, RESERVED),                 // SRv6, RFC 9602
    v6([0xfc00, 0, 0, 0], 7, Kind::Is(AddressClass::Ula)), // RFC 4193
    v6([0xfe80, 0, 0, 0], 10, Kind::Is(AddressClass::LinkLocal)), // RFC 4291
    v6([0xfec0, 0, 0, 0], 10, Kind::Is(AddressClass::Private)), // site-local, RFC 3879
    v6([0xff00, 0, 0, 0], 8, Kind::Is(AddressClass::Multicast)), // RFC 4291
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class_of(text: &str) -> AddressClass {
        classify(text.parse().expect("an address"))
    }

    /// The inside's class, and that both neighbours have another given class.
    fn assert_block(
        before: (&str, AddressClass),
        first: &str,
        last: &str,
        class: AddressClass,
        after: (&str, AddressClass),
    ) {
        let found = [before.0, first, last, after.0].map(class_of);
        assert_eq!(found, [before.1, class, class, after.1], "{first} to {last}");
    }

    #[test]
    fn every_ipv4_block_ends_where_its_registry_says() {
        use AddressClass::*;
        assert_eq!(class_of("0.0.0.0"), Unspecified);
        assert_block(("0.0.0.0", Unspecified), "0.0.0.1", "0.255.255.255", Reserved, ("1.0.0.0", Public));
        for (before, first, last, class, after) in [
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", Private, "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", Cgnat, "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", Loopback, "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", LinkLocal, "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", Private, "172.32.0.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", Documentation, "192.0.3.0"),
            ("192.31.195.255", "192.31.196.0", "192.31.196.255", AnycastInfrastructure, "192.31.197.0"),
            ("192.52.192.255", "192.52.193.0", "192.52.193.255", AnycastInfrastructure, "192.52.194.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", AnycastInfrastructure, "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", Private, "192.169.0.0"),
            ("192.175.47.255", "192.175.48.0", "192.175.48.255", AnycastInfrastructure, "192.175.49.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", Benchmark, "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", Documentation, "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", Documentation, "203.0.114.0"),
        ] {
            assert_block((before, Public), first, last, class, (after, Public));
        }
        assert_block(
            ("191.255.255.255", Public),
            "192.0.0.0",
            "192.0.0.8",
            Reserved,
            ("192.0.0.9", AnycastInfrastructure),
        );
        assert_block(
            ("192.0.0.8", Reserved),
            "192.0.0.9",
            "192.0.0.10",
            AnycastInfrastructure,
            ("192.0.0.11", Reserved),
        );
        assert_block(
            ("192.0.0.10", AnycastInfrastructure),
            "192.0.0.11",
            "192.0.0.255",
            Reserved,
            ("192.0.1.0", Public),
        );
        assert_block(
            ("223.255.255.255", Public),
            "224.0.0.0",
            "239.255.255.255",
            Multicast,
            ("240.0.0.0", Reserved),
        );
        assert_block(
            ("239.255.255.255", Multicast),
            "240.0.0.0",
            "255.255.255.255",
            Reserved,
            ("::", Unspecified),
        );
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a line for each block of the registry")]
    fn every_ipv6_block_ends_where_its_registry_says() {
        use AddressClass::*;
        assert_eq!(["::", "::1", "::1:0:0"].map(class_of), [Unspecified, Loopback, Unallocated]);
        let end = "ffff:ffff:ffff:ffff";
        for (before, first, last, class, after) in [
            (
                ("ff:ffff::", Unallocated),
                "100::",
                "100::1:ffff:ffff:ffff:ffff".to_owned(),
                Reserved,
                ("100:0:0:2::", Unallocated),
            ),
            (
                ("64:ff9b:0:ffff::", Unallocated),
                "64:ff9b:1::",
                format!("64:ff9b:1:ffff:{end}"),
                Transition,
                ("64:ff9b:2::", Unallocated),
            ),
            (
                ("2001:1::", Reserved),
                "2001:1::1",
                "2001:1::3".to_owned(),
                AnycastInfrastructure,
                ("2001:1::4", Reserved),
            ),
            (
                ("2001:1::3", AnycastInfrastructure),
                "2001:1::4",
                format!("2001:1:ffff:ffff:{end}"),
                Reserved,
                ("2001:2::", Benchmark),
            ),
            (
                ("2001:1:ffff::", Reserved),
                "2001:2::",
                format!("2001:2:0:ffff:{end}"),
                Benchmark,
                ("2001:2:1::", Reserved),
            ),
            (
                ("2001:2:ffff::", Reserved),
                "2001:3::",
                format!("2001:3:ffff:ffff:{end}"),
                AnycastInfrastructure,
                ("2001:4::", Reserved),
            ),
            (
                ("2001:4:111::", Reserved),
                "2001:4:112::",
                format!("2001:4:112:ffff:{end}"),
                AnycastInfrastructure,
                ("2001:4:113::", Reserved),
            ),
            (
                ("2001:4:112::", AnycastInfrastructure),
                "2001:4:113::",
                format!("2001:1ff:ffff:ffff:{end}"),
                Reserved,
                ("2001:200::", Public),
            ),
            (
                ("2001:f::", Reserved),
                "2001:10::",
                format!("2001:3f:ffff:ffff:{end}"),
                Reserved,
                ("2001:40::", Reserved),
            ),
            (
                ("2001:db7:ffff::", Public),
                "2001:db8::",
                format!("2001:db8:ffff:ffff:{end}"),
                Documentation,
                ("2001:db9::", Public),
            ),
            (
                ("2620:4f:7fff::", Public),
                "2620:4f:8000::",
                format!("2620:4f:8000:ffff:{end}"),
                AnycastInfrastructure,
                ("2620:4f:8001::", Public),
            ),
            (
                ("3ffe:ffff::", Public),
                "3fff::",
                format!("3fff:fff:ffff:ffff:{end}"),
                Documentation,
                ("3fff:1000::", Public),
            ),
            (
                ("1fff:ffff::", Unallocated),
                "2003::",
                format!("3ffe:ffff:ffff:ffff:{end}"),
                Public,
                ("4000::", Unallocated),
            ),
            (
                ("5eff:ffff::", Unallocated),
                "5f00::",
                format!("5f00:ffff:ffff:ffff:{end}"),
                Reserved,
                ("5f01::", Unallocated),
            ),
            (
                ("fbff:ffff::", Unallocated),
                "fc00::",
                format!("fdff:ffff:ffff:ffff:{end}"),
                Ula,
                ("fe00::", Unallocated),
            ),
            (
                ("fe7f:ffff::", Unallocated),
                "fe80::",
                format!("febf:ffff:ffff:ffff:{end}"),
                LinkLocal,
                ("fec0::", Private),
            ),
            (
                ("febf:ffff::", LinkLocal),
                "fec0::",
                format!("feff:ffff:ffff:ffff:{end}"),
                Private,
                ("ff00::", Multicast),
            ),
            (
                ("feff:ffff::", Private),
                "ff00::",
                format!("ffff:ffff:ffff:ffff:{end}"),
                Multicast,
                ("0.0.0.0", Unspecified),
            ),
        ] {
            assert_block(before, first, &last, class, after);
        }
    }

    #[test]
    fn an_embedded_ipv4_address_decides_the_class() {
        use AddressClass::*;
        let classes = [
            "64:ff9b::8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b::1:0:0",
            "2002:808:808::1",
            "2002:c0a8:101::1",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::1",
            "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
            "::8.8.8.8",
            "::127.0.0.1",
            "::2",
            "::ffff:8.8.8.8",
            "::ffff:10.0.0.1",
        ]
        .map(class_of);
        assert_eq!(
            classes,
            [
                Transition,
                Private,
                Unallocated,
                Transition,
                Private,
                Reserved,
                Public,
                Transition,
                Loopback,
                Unspecified,
                Transition,
                Loopback,
                Reserved,
                Public,
                Private
            ]
        );
    }

    #[test]
    fn the_tables_are_sorted_and_no_row_overlaps_the_next() {
        assert!(V4.iter().all(|row| row.first <= row.last));
        assert!(V4.windows(2).all(|rows| rows[0].last < rows[1].first));
        assert!(V6.iter().all(|row| row.first <= row.last));
        assert!(V6.windows(2).all(|rows| rows[0].last < rows[1].first));
    }

    #[test]
    fn a_class_survives_its_number_and_its_slug() {
        for (position, class) in AddressClass::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.number()), position);
            assert_eq!(AddressClass::from_number(class.number()), Some(class));
            assert_eq!(serde_json::to_string(&class).expect("a string"), format!("\"{}\"", class.slug()));
        }
        assert_eq!(AddressClass::from_number(14), None);
    }

    #[test]
    fn only_public_addresses_are_looked_up() {
        let public: Vec<_> = AddressClass::ALL.into_iter().filter(|class| class.is_public()).collect();
        assert_eq!(public, [AddressClass::Public]);
        assert_eq!(["8.8.8.8", "2606:4700:4700::1111", "2a00::1"].map(class_of), [AddressClass::Public; 3]);
    }

    proptest! {
        #[test]
        fn every_address_has_a_class(bytes: [u8; 16], v4: u32) {
            let _ = classify(Address::from_key(bytes));
            let standard = Ipv4Addr::from_bits(v4);
            let class = classify(Address::from(IpAddr::V4(standard)));
            prop_assert_eq!(class == AddressClass::Loopback, standard.is_loopback());
            prop_assert_eq!(class == AddressClass::Private, standard.is_private());
            prop_assert_eq!(class == AddressClass::Multicast, standard.is_multicast());
        }
    }
}
