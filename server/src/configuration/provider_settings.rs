//! What is set about online providers, and where private networks are.

use std::{collections::BTreeMap, net::IpAddr};

use hostatlas_domain::{Coordinate, CountryCode, Place, Precision, ProviderName, classify};
use hostatlas_services::{CustomConfig, OnlineConfig, OnlineProviderConfig, ProviderConfig, Site};
use secrecy::SecretString;

use super::{
    Key, ProviderField, Reader,
    key::is_custom,
    sources::SiteTable,
    values::{limit, provider_url, range, secret, text, truth, url_template},
};
use crate::failure::Failure;

/// Takes the settings of all online providers and gives those of `providers`.
pub fn read(
    reader: &mut Reader,
    providers: &[ProviderName],
    mut described: BTreeMap<ProviderName, CustomConfig>,
) -> Result<Vec<OnlineProviderConfig>, Failure> {
    let ipinfo = reader.optional(Key::IpinfoToken, secret)?;
    let ipgeolocation = reader.optional(Key::IpgeolocationApiKey, secret)?;
    let mut all = Vec::new();
    for name in ProviderName::ASKED.into_iter().filter(|provider| provider.is_online()) {
        // The names that people already have in their environment; a key of the provider's own wins.
        let common = match name {
            ProviderName::Ipinfo | ProviderName::IpinfoLite => ipinfo.as_ref(),
            ProviderName::Ipgeolocation => ipgeolocation.as_ref(),
            _ => None,
        };
        let config = if is_custom(name) {
            OnlineConfig::Custom(Box::new(custom(reader, name, described.remove(&name).unwrap_or_default())?))
        } else {
            OnlineConfig::Known(known(reader, name, common)?)
        };
        let allow_private = reader.optional(Key::Provider(name, ProviderField::AllowPrivate), truth)?;
        if providers.contains(&name) {
            let allow_private = allow_private.unwrap_or(false);
            all.push(OnlineProviderConfig { name, config, allow_private });
        }
    }
    Ok(all)
}

fn known(
    reader: &mut Reader,
    name: ProviderName,
    common: Option<&SecretString>,
) -> Result<ProviderConfig, Failure> {
    let key = |field| Key::Provider(name, field);
    Ok(ProviderConfig {
        base_url: reader.optional(key(ProviderField::Url), provider_url)?,
        key: reader.optional(key(ProviderField::Key), secret)?.or_else(|| common.cloned()),
        account_id: reader.optional(key(ProviderField::Account), text)?,
        plan: reader.optional(key(ProviderField::Plan), text)?,
        limits: reader.optional_list(key(ProviderField::Limits), limit)?,
    })
}

fn custom(
    reader: &mut Reader,
    name: ProviderName,
    mut config: CustomConfig,
) -> Result<CustomConfig, Failure> {
    let key = |field| Key::Provider(name, field);
    if let Some(url) = reader.optional(key(ProviderField::Url), url_template)? {
        config.url = url;
    }
    if let Some(secret) = reader.optional(key(ProviderField::Key), secret)? {
        config.key = Some(secret);
    }
    if let Some(limits) = reader.optional_list(key(ProviderField::Limits), limit)? {
        config.limits = limits;
    }
    Ok(config)
}

/// Reads a `[[site]]` table.
pub fn site(table: &SiteTable) -> Result<Site, Failure> {
    let wrong = |reason: &str| {
        let name = hostatlas_domain::sanitize(&table.name, 64);
        Failure::error(format!("the site `{name}`: {}", reason.lines().next().unwrap_or_default()))
            .with_hint("a site has name, network (as 10.1.0.0/16), latitude and longitude in degrees")
    };
    let network = range(&table.network).map_err(|reason| wrong(&reason))?;
    let public = |address: IpAddr| classify(address.into()).is_public();
    if public(network.network()) || public(network.broadcast()) {
        return Err(wrong("its network holds public addresses, which providers are asked about"));
    }
    let coordinate =
        Coordinate::new(table.latitude, table.longitude).map_err(|error| wrong(&error.to_string()))?;
    let country = table.country_code.as_deref().map(str::parse::<CountryCode>).transpose();
    let country = country.map_err(|error| wrong(&error.to_string()))?;
    let name = |text: &Option<String>| {
        text.as_deref().map(|text| hostatlas_domain::sanitize(text, 256)).filter(|text| !text.is_empty())
    };
    let city = name(&table.city).or_else(|| name(&Some(table.name.clone())));
    let place = Place { coordinate, precision: Precision::City, city, region: name(&table.region), country };
    Ok(Site { name: table.name.clone(), network, place })
}
