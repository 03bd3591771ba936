//! The online providers. Each file is one of them: what it is asked, and what its documented answers mean.

mod configuration;
mod custom;
mod custom_description;
mod freeipapi;
mod ip_api;
mod ipgeolocation;
mod ipinfo;
mod ipinfo_lite;
mod ipwhois;
mod json;
mod maxmind;
mod reply;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hostatlas_domain::ProviderName;

pub use configuration::{ConfigError, ProviderConfig};
pub use custom::custom;
pub use custom_description::{CustomBatch, CustomConfig, CustomFailure, CustomFields};

use super::OnlineProvider;

/// The provider of this name, asked as its documentation says and as `config` changes it.
///
/// Services that the operator describes are made by [`custom`].
///
/// ```
/// use hostatlas_domain::ProviderName;
/// use hostatlas_geolocation::online::{ProviderConfig, provider};
///
/// let ip_api = provider(ProviderName::IpApi, &ProviderConfig::default()).unwrap();
/// assert_eq!(ip_api.endpoints()[0].batch, 100);
///
/// let error = provider(ProviderName::Maxmind, &ProviderConfig::default()).map(|_| ()).unwrap_err();
/// assert_eq!(error.to_string(), "`maxmind` needs a key: set HOSTATLAS_PROVIDER_MAXMIND_KEY");
/// ```
pub fn provider(name: ProviderName, config: &ProviderConfig) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    match name {
        ProviderName::IpApi => ip_api::provider(config),
        ProviderName::Ipinfo => ipinfo::provider(config),
        ProviderName::IpinfoLite => ipinfo_lite::provider(config),
        ProviderName::Freeipapi => freeipapi::provider(config),
        ProviderName::Ipgeolocation => ipgeolocation::provider(config),
        ProviderName::Ipwhois => ipwhois::provider(config),
        ProviderName::Maxmind => maxmind::provider(config),
        ProviderName::Custom1 | ProviderName::Custom2 | ProviderName::Custom3 | ProviderName::Custom4 => {
            Err(ConfigError::Undescribed(name))
        }
        ProviderName::Mmdb | ProviderName::Manual | ProviderName::Site => Err(ConfigError::NotOnline(name)),
    }
}
