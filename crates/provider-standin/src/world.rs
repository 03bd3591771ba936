use std::net::IpAddr;

use hostatlas_domain::{Address, ProviderName, classify};

use crate::cities::{CITIES, City};

/// What is true, and who knows it: where each address is depends on the address and the seed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Another seed is another world.
    pub seed: u64,
    /// One address in so many is known to nobody; 0 for none.
    pub unknown_one_in: u32,
    /// Beside those, one address in so many is unknown to a provider, to each other ones; 0 for none.
    pub gap_one_in: u32,
}

impl World {
    /// The city of `address`; `None` where nobody knows it, and for addresses that are not public.
    pub fn city(&self, address: IpAddr) -> Option<&'static City> {
        if !classify(Address::from(address)).is_public() {
            return None;
        }
        let draw = draw(self.seed, address, 0);
        if one_in(draw >> 32, self.unknown_one_in) {
            return None;
        }
        let position = usize::try_from(draw & 0xffff_ffff).unwrap_or(0) % CITIES.len();
        Some(&CITIES[position])
    }

    /// The city of `address` as far as `provider` knows.
    pub fn known_to(&self, provider: ProviderName, address: IpAddr) -> Option<&'static City> {
        let gap = draw(self.seed, address, 1 + u64::from(provider.number()));
        self.city(address).filter(|_| !one_in(gap, self.gap_one_in))
    }
}

/// A number that looks random, the same for the same input on every machine.
pub(crate) fn draw(seed: u64, address: IpAddr, purpose: u64) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let [low, high] = [bits & u128::from(u64::MAX), bits >> 64].map(|half| u64::try_from(half).unwrap_or(0));
    mix(mix(mix(seed ^ low) ^ high) ^ purpose)
}

/// The finalizer of `SplitMix64`.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const fn one_in(draw: u64, count: u32) -> bool {
    count > 0 && draw.is_multiple_of(count as u64)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const WORLD: World = World { seed: 7, unknown_one_in: 40, gap_one_in: 25 };

    fn addresses() -> impl Iterator<Item = IpAddr> {
        (0x0800_0000..0x0800_2710).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
    }

    #[test]
    fn an_address_is_always_at_the_same_place_and_another_seed_moves_it() {
        let other = World { seed: 8, ..WORLD };

        let moved = addresses().filter(|address| WORLD.city(*address) != other.city(*address)).count();

        assert!(addresses().all(|address| WORLD.city(address) == WORLD.city(address)));
        assert!(moved > 9_000, "{moved} of 10,000 moved");
    }

    #[test]
    fn one_address_in_forty_is_known_to_nobody_and_each_provider_lacks_others() {
        let unknown = addresses().filter(|address| WORLD.city(*address).is_none()).count();
        let lacks = |provider| {
            addresses()
                .filter(|address| {
                    WORLD.city(*address).is_some() && WORLD.known_to(provider, *address).is_none()
                })
                .collect::<Vec<_>>()
        };

        assert!((200..300).contains(&unknown), "{unknown} of 10,000");
        assert!((330..450).contains(&lacks(ProviderName::IpApi).len()));
        assert_ne!(lacks(ProviderName::IpApi), lacks(ProviderName::Maxmind));
    }

    #[test]
    fn private_addresses_are_nowhere() {
        assert_eq!(WORLD.city(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))), None);
    }
}
