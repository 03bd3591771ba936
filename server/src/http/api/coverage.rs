use axum::{Json, Router, extract::State, routing::get};
use hostatlas_domain::{CountryCoverage, Coverage, Forecast, ProviderCoverage, RecentResult};
use hostatlas_services::{Error, Services};
use serde::{Deserialize, Serialize};

use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/coverage", get(show))
        .route("/coverage/recent", get(recent))
        .route("/coverage/countries", get(countries))
        .route("/coverage/providers", get(providers))
}

/// The counts, and how long what is left takes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CoverageAnswer {
    #[serde(flatten)]
    pub coverage: Coverage,
    /// With each configured provider alone, in the order of asking.
    pub forecast: Vec<Forecast>,
}

impl CoverageAnswer {
    /// As things stand.
    pub async fn of(services: &Services) -> Result<Self, Error> {
        let coverage = services.coverage().get().await?;
        let forecast = services.providers().forecast().await?;
        Ok(Self { coverage, forecast })
    }
}

/// How much of what was found is located, and how long the rest takes.
#[utoipa::path(get, path = "/api/v1/coverage", tag = "coverage", responses((status = 200, description = "the counts", body = CoverageAnswer)))]
pub async fn show(State(services): State<Services>) -> Result<Json<CoverageAnswer>, Refusal> {
    Ok(Json(CoverageAnswer::of(&services).await?))
}

/// How many.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecentParameters {
    /// 1 to 1000, default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// A list that has no further page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Items<T> {
    items: Vec<T>,
}

impl<T> Items<T> {
    /// A list of these.
    pub fn new(items: Vec<T>) -> Self {
        Self { items }
    }
}

/// The latest attempts, newest first.
#[utoipa::path(get, path = "/api/v1/coverage/recent", tag = "coverage", params(RecentParameters), responses(
    (status = 200, description = "the attempts", body = Items<RecentResult>),
))]
pub async fn recent(
    State(services): State<Services>,
    Query(parameters): Query<RecentParameters>,
) -> Result<Json<Items<RecentResult>>, Refusal> {
    let limit = extract::limit(parameters.limit.as_deref())?;
    Ok(Json(Items::new(services.coverage().recent(limit).await?)))
}

/// Located hosts by country, most first.
#[utoipa::path(get, path = "/api/v1/coverage/countries", tag = "coverage", responses(
    (status = 200, description = "the countries", body = Items<CountryCoverage>),
))]
pub async fn countries(State(services): State<Services>) -> Result<Json<Items<CountryCoverage>>, Refusal> {
    Ok(Json(Items::new(services.coverage().countries().await?)))
}

/// Located hosts by provider, most first.
#[utoipa::path(get, path = "/api/v1/coverage/providers", tag = "coverage", responses(
    (status = 200, description = "the providers", body = Items<ProviderCoverage>),
))]
pub async fn providers(State(services): State<Services>) -> Result<Json<Items<ProviderCoverage>>, Refusal> {
    Ok(Json(Items::new(services.coverage().providers().await?)))
}
