//! Providers: how they do, what each says of a host, and where a person says that a host is.

use hostatlas_domain::{Forecast, Host, HostAnswers, LookupCost, LookupView, ProviderStatus};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::{
    api::{authorize, services, told},
    format::address,
};
#[cfg(feature = "ssr")]
use hostatlas_services::{Permission, PinLocation};

/// How every provider does, in the order of asking.
#[server(prefix = "/api/fn", endpoint = "providers/list")]
pub async fn list_providers() -> Result<Vec<ProviderStatus>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.providers().list().await?)
}

/// How long locating what is left takes with each provider alone.
#[server(prefix = "/api/fn", endpoint = "providers/forecast")]
pub async fn forecast_providers() -> Result<Vec<Forecast>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.providers().forecast().await?)
}

/// What each provider said of a host, the location that it has first.
#[server(prefix = "/api/fn", endpoint = "providers/answers")]
pub async fn get_host_answers(ip: String) -> Result<HostAnswers, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.providers().answers(&ip).await?)
}

/// To whom looking a host up, past the cache if `force`, would send its address.
#[server(prefix = "/api/fn", endpoint = "providers/cost")]
pub async fn get_lookup_cost(ip: String, #[server(default)] force: bool) -> Result<LookupCost, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.providers().cost_of(&ip, force).await?)
}

/// Asks one provider, or each that is asked where `provider` is empty, about an address; stores nothing. A form is led
/// to the page that shows what they said.
#[server(prefix = "/api/fn", endpoint = "providers/test")]
pub async fn test_providers(
    ip: String,
    #[server(default)] provider: String,
) -> Result<Vec<LookupView>, ApiError> {
    authorize(Permission::Geolocate)?;
    let providers = services()?.providers();
    let asked = match provider.as_str() {
        "" => providers.list().await?.into_iter().filter(|one| one.enabled).map(|one| one.name).collect(),
        _ => vec![provider],
    };
    let mut said = Vec::with_capacity(asked.len());
    for provider in asked {
        let started = std::time::Instant::now();
        let answer = providers.test(&provider, ip.trim()).await?;
        said.push(told::Told { answer, took: Some(started.elapsed()) });
    }
    let answers = said.iter().map(|one| one.answer.clone()).collect();
    let kept = told::keep(said).to_string();
    leptos_axum::redirect(&address("/providers", &[("ip", ip.trim()), ("told", &kept)]));
    Ok(answers)
}

/// Asks every provider about a host, past the cache and within the limits. A form is led back to the host.
#[server(prefix = "/api/fn", endpoint = "providers/ask_all")]
pub async fn ask_all_providers(ip: String) -> Result<HostAnswers, ApiError> {
    authorize(Permission::Geolocate)?;
    let answers = services()?.providers().ask_all(&ip).await?;
    let kept = told::keep(told::silent(&answers)).to_string();
    leptos_axum::redirect(&address(&format!("/hosts/{ip}"), &[("asked", "all"), ("told", &kept)]));
    Ok(answers)
}

/// Puts a host where a person says that it is: no answer moves it. A form is led back to the host.
#[server(prefix = "/api/fn", endpoint = "providers/pin")]
pub async fn pin_host(
    ip: String,
    latitude: f64,
    longitude: f64,
    #[server(default)] city: String,
    #[server(default)] region: String,
    #[server(default)] country_code: String,
) -> Result<Host, ApiError> {
    authorize(Permission::Geolocate)?;
    let [city, region, country_code] =
        [city, region, country_code].map(|text| Some(text).filter(|text| !text.is_empty()));
    let location = PinLocation { latitude, longitude, city, region, country_code };
    let host = services()?.providers().pin(&ip, location).await?;
    leptos_axum::redirect(&format!("/hosts/{ip}?fixed=here"));
    Ok(host)
}

/// Lets providers decide again where a host is. A form is led back to the host.
#[server(prefix = "/api/fn", endpoint = "providers/unpin")]
pub async fn unpin_host(ip: String) -> Result<Host, ApiError> {
    authorize(Permission::Geolocate)?;
    let host = services()?.providers().unpin(&ip).await?;
    leptos_axum::redirect(&format!("/hosts/{ip}?fixed=no"));
    Ok(host)
}
