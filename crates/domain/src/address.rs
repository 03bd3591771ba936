use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The address of a host, in its one canonical form: an IPv4-mapped IPv6 address is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.7"))]
pub struct Address(IpAddr);

/// Text that is no IP address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IP address")]
pub struct InvalidAddress(String);

impl Address {
    /// The address as its standard type.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Whether this is an IPv4 address.
    pub const fn is_ipv4(self) -> bool {
        self.0.is_ipv4()
    }

    /// The 16 bytes under which it is stored: IPv4 is mapped, so byte order is numeric order and every
    /// CIDR block is one range.
    pub fn to_key(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }

    /// Reads what [`Address::to_key`] wrote.
    pub fn from_key(key: [u8; 16]) -> Self {
        Self::from(IpAddr::V6(Ipv6Addr::from(key)))
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_key().cmp(&other.to_key())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    /// Reads an address without brackets, port or zone; leading zeros in IPv4 are refused, as they are ambiguous.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpAddr>().map(Self::from).map_err(|_| InvalidAddress(crate::sanitize(text, 64)))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let mapped: Address = "::ffff:8.8.8.8".parse().expect("an address");
        assert_eq!(mapped.to_string(), "8.8.8.8");
    }

    proptest! {
        #[test]
        fn a_key_gives_back_its_address(bytes: [u8; 16]) {
            let address = Address::from_key(bytes);
            prop_assert_eq!(Address::from_key(address.to_key()), address);
        }
    }
}
