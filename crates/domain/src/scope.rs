use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{Address, AddressClass, classify};

/// The ranges that active probing is permitted to touch. Empty by default: nothing is probed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(Vec<IpNet>);

impl Scope {
    /// The union of `ranges`, overlaps joined.
    pub fn new(ranges: &[IpNet]) -> Self {
        Self(IpNet::aggregate(&ranges.to_vec()))
    }

    /// Whether nothing at all may be probed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` may be probed: it lies in a permitted range and is a public address.
    ///
    /// Special-purpose addresses stay out of bounds whatever the configuration says.
    pub fn permits(&self, address: Address) -> bool {
        !self.0.is_empty()
            && classify(address) == AddressClass::Public
            && self.0.iter().any(|range| range.contains(&address.ip()))
    }

    /// The ranges, aggregated and sorted.
    pub fn ranges(&self) -> &[IpNet] {
        &self.0
    }
}
