mod answers;
mod cost;
mod status;

use hostatlas_domain::{
    Address, AddressClass, Coordinate, CountryCode, Forecast, Host, HostAnswers, LookupCost, LookupView,
    Place, Precision, ProviderName, ProviderStatus, classify, sanitize,
};
use hostatlas_geolocation::Lookup;
use hostatlas_store::{Attempt, StoreError};
use tokio::time::Instant;

pub use answers::consensus;

use crate::{
    Error, Permission, Selection, Services,
    geolocate::view,
    request::parse_address,
    sites::{Which, place_sites},
};

/// Names of places that people write are cut to this many characters.
const LONGEST_NAME: usize = 256;

/// How providers do, what each says, and where a person says that a host is.
#[derive(Clone)]
pub struct Providers {
    services: Services,
}

/// Where a person says that a host is.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PinLocation {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// City.
    pub city: Option<String>,
    /// Region, state or province.
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
}

impl Providers {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// How every provider does: the configured ones in the order of asking, then those that could be.
    pub async fn list(&self) -> Result<Vec<ProviderStatus>, Error> {
        status::list(&self.services).await
    }

    /// How long locating what is left takes, with each configured provider alone.
    pub async fn forecast(&self) -> Result<Vec<Forecast>, Error> {
        status::forecast(&self.services).await
    }

    /// Asks one configured provider about one address, within its limits, and stores nothing about any host.
    pub async fn test(&self, name: &str, ip: &str) -> Result<LookupView, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let provider = self.configured(name)?;
        let address = public(ip)?;
        let mut answer = view(address, &self.services.locator().ask(provider, address).await);
        answer.provider = Some(provider.name().to_owned());
        Ok(answer)
    }

    /// What each provider said of a host, the location that it has first. The answer of the databases is computed now.
    pub async fn answers(&self, ip: &str) -> Result<HostAnswers, Error> {
        let host = self.services.hosts().get(ip).await?;
        answers::of_host(&self.services, &host, Vec::new()).await
    }

    /// Asks every configured provider about a host, past the cache and within the limits; the host then stands where
    /// [`consensus`] says, unless a person pinned it. Those that could not be asked are among the answers, with why.
    pub async fn ask_all(&self, ip: &str) -> Result<HostAnswers, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = public(ip)?;
        // Before anything is sent: nobody is asked about what is no host.
        self.services.hosts().get(ip).await?;
        let asked = Instant::now();
        let said = self.services.locator().ask_all(address).await;
        self.conclude(address, &said, asked).await?;
        let host = self.services.hosts().get(ip).await?;
        let silent = said
            .into_iter()
            .filter(|(_, lookup)| matches!(lookup, Lookup::Failed { .. } | Lookup::Deferred { .. }));
        let silent = silent.map(|(provider, lookup)| LookupView {
            provider: Some(provider.name().to_owned()),
            ..view(address, &lookup)
        });
        answers::of_host(&self.services, &host, silent.collect()).await
    }

    async fn conclude(
        &self,
        address: Address,
        said: &[(ProviderName, Lookup)],
        asked: Instant,
    ) -> Result<(), Error> {
        let located = said.iter().filter_map(|(provider, lookup)| Some((*provider, lookup.located()?)));
        let order = &self.services.config().providers;
        let miss = said.iter().find_map(|(_, lookup)| match lookup {
            Lookup::Miss(reason) => Some(*reason),
            _ => None,
        });
        let silent =
            said.iter().any(|(_, lookup)| matches!(lookup, Lookup::Failed { .. } | Lookup::Deferred { .. }));
        let attempt = match (consensus(order, located), miss) {
            (Some(located), _) => Attempt::Located(located.clone()),
            (None, Some(reason)) if !silent => {
                Attempt::Unlocated { reason, database_build: self.services.locator().database_build() }
            }
            _ => return Ok(()),
        };
        self.services.geolocate().apply(address, attempt, asked).await
    }

    /// Puts a host where a person says it is, and holds it there: no answer moves it until [`Providers::unpin`]. A
    /// host with a private address may be pinned too.
    pub async fn pin(&self, ip: &str, location: PinLocation) -> Result<Host, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = parse_address(ip)?;
        self.services.store().location_pin(address, place(location)?).await.map_err(unknown_host)?;
        self.services.changed();
        self.services.hosts().get(ip).await
    }

    /// Lets a pinned host go. It stays where it is until it is looked up again, for which a job is queued; a private
    /// host goes where its site is, or has no place.
    pub async fn unpin(&self, ip: &str) -> Result<Host, Error> {
        self.services.authorize(Permission::Geolocate)?;
        let address = parse_address(ip)?;
        if self.services.store().location_unpin(address).await.map_err(unknown_host)? {
            if classify(address).is_public() {
                self.services.jobs().geolocate_host(ip, false).await?;
            } else {
                place_sites(&self.services, Which::New).await;
            }
            self.services.changed();
        }
        self.services.hosts().get(ip).await
    }

    /// How many addresses looking these hosts up would send to whom, past the cache if `force`. Databases are asked;
    /// nothing is sent.
    pub async fn cost(&self, selection: &Selection, force: bool) -> Result<LookupCost, Error> {
        cost::of_selection(&self.services, selection, force).await
    }

    /// What looking one address up would send to whom.
    pub async fn cost_of(&self, ip: &str, force: bool) -> Result<LookupCost, Error> {
        let address = parse_address(ip)?;
        Ok(cost::of_addresses(&self.services, &[address], force).await)
    }

    /// What [`Providers::ask_all`] would send to whom: the address, to each of them.
    pub fn cost_of_asking_all(&self) -> LookupCost {
        let third_parties = cost::third_parties(&self.services);
        let online = u64::from(!third_parties.is_empty());
        LookupCost { hosts: 1, online, exact: true, third_parties }
    }

    fn configured(&self, name: &str) -> Result<ProviderName, Error> {
        let configured = &self.services.config().providers;
        let known = name.parse::<ProviderName>().ok();
        known.filter(|provider| configured.contains(provider)).ok_or_else(|| {
            let names: Vec<_> = configured.iter().map(|provider| provider.name()).collect();
            Error::NotFound {
                detail: format!("the provider `{}` is not configured", sanitize(name, 64)),
                hint: Some(format!(
                    "configured are {}; add it to `HOSTATLAS_PROVIDERS` to have it asked",
                    names.join(", ")
                )),
            }
        })
    }
}

/// An address that may be asked about.
fn public(ip: &str) -> Result<Address, Error> {
    let address = parse_address(ip)?;
    match classify(address) {
        AddressClass::Public => Ok(address),
        class => Err(Error::NotApplicable { ip: address, class }),
    }
}

fn place(location: PinLocation) -> Result<Place, Error> {
    let coordinate = Coordinate::new(location.latitude, location.longitude).map_err(|error| {
        Error::invalid(
            error.to_string(),
            "give degrees north from -90 to 90 and degrees east from -180 to 180",
        )
    })?;
    let name = |text: Option<String>| {
        text.map(|text| sanitize(text.trim(), LONGEST_NAME)).filter(|text| !text.is_empty())
    };
    let code = location.country_code.filter(|code| !code.trim().is_empty());
    let country = code.map(|code| code.trim().to_uppercase().parse::<CountryCode>()).transpose();
    let country = country.map_err(|error| {
        Error::invalid(error.to_string(), "give the two letters of ISO 3166-1, as in `DE`")
    })?;
    let (city, region) = (name(location.city), name(location.region));
    Ok(Place { coordinate, precision: Precision::City, city, region, country })
}

fn unknown_host(error: StoreError) -> Error {
    match error {
        StoreError::UnknownHost(address) => Error::NotFound {
            detail: format!("there is no host `{address}`"),
            hint: Some("no scan has seen it: import it first".to_owned()),
        },
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_on_earth_in_a_country_that_exists_and_empty_names_are_none() {
        let at = |latitude, country: &str| PinLocation {
            latitude,
            longitude: 8.68,
            city: Some(" Frankfurt\u{7} ".to_owned()),
            region: Some(" ".to_owned()),
            country_code: Some(country.to_owned()),
        };
        let sound = place(at(50.11, "de")).expect("sound");
        assert_eq!(
            (sound.region, sound.country.map(|country| country.to_string())),
            (None, Some("DE".to_owned()))
        );
        assert!(sound.city.is_some_and(|city| city.starts_with("Frankfurt") && !city.contains('\u{7}')));
        assert!(place(at(90.5, "DE")).is_err() && place(at(f64::NAN, "DE")).is_err());
        assert!(place(at(50.11, "XY")).is_err());
        assert_eq!(place(at(50.11, "")).expect("no country").country, None);
    }
}
