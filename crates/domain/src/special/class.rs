use std::fmt;

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_survives_its_number_and_its_slug() {
        for (position, class) in AddressClass::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.number()), position);
            assert_eq!(AddressClass::from_number(class.number()), Some(class));
            assert_eq!(serde_json::to_string(&class).expect("a string"), format!("\"{}\"", class.slug()));
        }
        assert_eq!(AddressClass::from_number(14), None);
    }
}
