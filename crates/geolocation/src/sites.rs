use std::{cmp::Reverse, sync::Arc};

use hostatlas_domain::{Address, Located, Network, Place, ProviderName};
use ipnet::IpNet;

/// A place that the operator gave a private network: a private address inside it is located there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What it is called; shown as the holder of the network.
    pub name: String,
    /// Which addresses. Public ones inside are not affected.
    pub network: IpNet,
    /// Where it is.
    pub place: Place,
}

/// The sites, the narrowest network first.
#[derive(Default)]
pub(crate) struct Sites(Vec<(IpNet, Arc<Located>)>);

impl Sites {
    pub(crate) fn new(mut sites: Vec<Site>) -> Self {
        sites.sort_by_key(|site| Reverse(site.network.prefix_len()));
        let located = |site: Site| {
            let network = Network { organization: Some(site.name), ..Network::default() };
            let located = Located {
                place: site.place,
                network,
                timezone: None,
                provider: ProviderName::Site,
                accuracy_km: None,
                database_build: None,
            };
            (site.network, Arc::new(located))
        };
        Self(sites.into_iter().map(located).collect())
    }

    /// Where an address that is not public is.
    pub(crate) fn locate(&self, address: Address) -> Option<&Arc<Located>> {
        let ip = address.ip();
        self.0.iter().find(|(network, _)| network.contains(&ip)).map(|(_, located)| located)
    }
}
