//! The IANA special-purpose address registries as tables that are searched.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::AddressClass;

pub(super) struct V4Row {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) class: AddressClass,
}

pub(super) struct V6Row {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
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
pub(super) static V4: [V4Row; 21] = [
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
pub(super) static SPECIAL_V4: [bool; 256] = {
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

/// As [`V4`]. IPv4-mapped addresses are not here: an [`Address`](crate::Address) never holds one.
pub(super) static V6: [V6Row; 26] = [
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
    use std::net::IpAddr;

    use super::{
        super::{classify, tests::class_of},
        *,
    };
    use crate::Address;

    const V6_END: &str = "ffff:ffff:ffff:ffff";

    /// That a block has a class to its ends, and both neighbours their own.
    fn assert_block(before: AddressClass, first: &str, last: &str, class: AddressClass, after: AddressClass) {
        let neighbour = |text: &str, step: i32| {
            let ip: IpAddr = match text.parse().expect("an address") {
                IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().wrapping_add_signed(step)).into(),
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().wrapping_add_signed(step.into())).into(),
            };
            classify(Address::from(ip))
        };
        let found = [neighbour(first, -1), class_of(first), class_of(last), neighbour(last, 1)];
        assert_eq!(found, [before, class, class, after], "{first} to {last}");
    }

    #[test]
    fn every_ipv4_block_ends_where_its_registry_says() {
        use AddressClass::*;
        assert_eq!(class_of("0.0.0.0"), Unspecified);
        for (before, first, last, class, after) in [
            (Unspecified, "0.0.0.1", "0.255.255.255", Reserved, Public),
            (Public, "10.0.0.0", "10.255.255.255", Private, Public),
            (Public, "100.64.0.0", "100.127.255.255", Cgnat, Public),
            (Public, "127.0.0.0", "127.255.255.255", Loopback, Public),
            (Public, "169.254.0.0", "169.254.255.255", LinkLocal, Public),
            (Public, "172.16.0.0", "172.31.255.255", Private, Public),
            (Public, "192.0.0.0", "192.0.0.8", Reserved, AnycastInfrastructure),
            (Reserved, "192.0.0.9", "192.0.0.10", AnycastInfrastructure, Reserved),
            (AnycastInfrastructure, "192.0.0.11", "192.0.0.255", Reserved, Public),
            (Public, "192.0.2.0", "192.0.2.255", Documentation, Public),
            (Public, "192.31.196.0", "192.31.196.255", AnycastInfrastructure, Public),
            (Public, "192.52.193.0", "192.52.193.255", AnycastInfrastructure, Public),
            (Public, "192.88.99.0", "192.88.99.255", AnycastInfrastructure, Public),
            (Public, "192.168.0.0", "192.168.255.255", Private, Public),
            (Public, "192.175.48.0", "192.175.48.255", AnycastInfrastructure, Public),
            (Public, "198.18.0.0", "198.19.255.255", Benchmark, Public),
            (Public, "198.51.100.0", "198.51.100.255", Documentation, Public),
            (Public, "203.0.113.0", "203.0.113.255", Documentation, Public),
            (Public, "224.0.0.0", "239.255.255.255", Multicast, Reserved),
            // Past the last one comes the first.
            (Multicast, "240.0.0.0", "255.255.255.255", Reserved, Unspecified),
        ] {
            assert_block(before, first, last, class, after);
        }
    }

    #[test]
    fn every_ipv6_block_ends_where_its_registry_says() {
        use AddressClass::*;
        assert_eq!(["::", "::1", "::1:0:0"].map(class_of), [Unspecified, Loopback, Unallocated]);
        for (before, first, last, class, after) in [
            (Unallocated, "64:ff9b:1::", "64:ff9b:1:ffff", Transition, Unallocated),
            (Unallocated, "100::", "100:0:0:1", Reserved, Unallocated),
            (AnycastInfrastructure, "2001:1::4", "2001:1:ffff:ffff", Reserved, Benchmark),
            (Reserved, "2001:2::", "2001:2:0:ffff", Benchmark, Reserved),
            (Reserved, "2001:3::", "2001:3:ffff:ffff", AnycastInfrastructure, Reserved),
            (Reserved, "2001:4:112::", "2001:4:112:ffff", AnycastInfrastructure, Reserved),
            (AnycastInfrastructure, "2001:4:113::", "2001:1ff:ffff:ffff", Reserved, Public),
            (Reserved, "2001:10::", "2001:3f:ffff:ffff", Reserved, Reserved),
            (Public, "2001:db8::", "2001:db8:ffff:ffff", Documentation, Public),
            // The last addresses of 6to4 carry the IPv4 broadcast address.
            (Reserved, "2003::", "2620:4f:7fff:ffff", Public, AnycastInfrastructure),
            (Public, "2620:4f:8000::", "2620:4f:8000:ffff", AnycastInfrastructure, Public),
            (AnycastInfrastructure, "2620:4f:8001::", "3ffe:ffff:ffff:ffff", Public, Documentation),
            (Public, "3fff::", "3fff:fff:ffff:ffff", Documentation, Public),
            (Documentation, "3fff:1000::", "3fff:ffff:ffff:ffff", Public, Unallocated),
            (Unallocated, "5f00::", "5f00:ffff:ffff:ffff", Reserved, Unallocated),
            (Unallocated, "fc00::", "fdff:ffff:ffff:ffff", Ula, Unallocated),
            (Unallocated, "fe80::", "febf:ffff:ffff:ffff", LinkLocal, Private),
            (LinkLocal, "fec0::", "feff:ffff:ffff:ffff", Private, Multicast),
            (Private, "ff00::", "ffff:ffff:ffff:ffff", Multicast, Unspecified),
        ] {
            assert_block(before, first, &format!("{last}:{V6_END}"), class, after);
        }
        assert_block(Reserved, "2001:1::1", "2001:1::3", AnycastInfrastructure, Reserved);
        assert_eq!(["1fff:ffff::", "2000::"].map(class_of), [Unallocated, Public]);
    }

    #[test]
    fn the_tables_are_sorted_and_no_row_overlaps_the_next() {
        assert!(V4.iter().all(|row| row.first <= row.last));
        assert!(V4.windows(2).all(|rows| rows[0].last < rows[1].first));
        assert!(V6.iter().all(|row| row.first <= row.last));
        assert!(V6.windows(2).all(|rows| rows[0].last < rows[1].first));
    }
}
