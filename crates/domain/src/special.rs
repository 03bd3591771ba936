//! Which addresses are no hosts of the Internet, and what they are instead.

mod class;
mod registry;

use std::net::IpAddr;

pub use class::AddressClass;
use registry::{Kind, SPECIAL_V4, V4, V6};

use crate::Address;

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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    pub(super) fn class_of(text: &str) -> AddressClass {
        classify(text.parse().expect("an address"))
    }

    #[test]
    fn an_embedded_ipv4_address_decides_the_class() {
        use AddressClass::*;
        for (text, class) in [
            ("64:ff9b::8.8.8.8", Transition),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::1:0:0", Unallocated),
            ("2002:808:808::1", Transition),
            ("2002:c0a8:101::1", Private),
            ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2003::1", Public),
            ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", Transition),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Loopback),
            ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Unspecified),
            ("::8.8.8.8", Transition),
            ("::127.0.0.1", Loopback),
            ("::2", Reserved),
            ("::ffff:8.8.8.8", Public),
            ("::ffff:10.0.0.1", Private),
        ] {
            assert_eq!(class_of(text), class, "{text}");
        }
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
