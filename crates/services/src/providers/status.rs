use std::collections::BTreeMap;

use hostatlas_domain::{
    BreakerState, Coverage, Forecast, LimitStatus, ProviderName, ProviderStatus, ProviderTally, Timestamp,
    UnlocatedReason, Window,
};
use hostatlas_geolocation::{ProviderInfo, online::published};
use hostatlas_store::ProviderRow;

use crate::{
    Error, Services,
    forecast::{DATABASE_HOSTS_A_SECOND, Way, seconds},
};

/// The configured providers in the order of asking, then the others.
pub(super) async fn list(services: &Services) -> Result<Vec<ProviderStatus>, Error> {
    let rows = rows(services).await?;
    let order = &services.config().providers;
    let infos = services.locator().providers();
    let mut all = Vec::with_capacity(ProviderName::ASKED.len());
    for (position, name) in (1..).zip(order) {
        let info = infos.iter().find(|info| info.name == *name);
        all.push(status(services, *name, position, info, rows.get(name).map_or(&[], Vec::as_slice)));
    }
    for name in ProviderName::ASKED.into_iter().filter(|name| !order.contains(name)) {
        let rows = rows.get(&name).map_or(&[][..], Vec::as_slice);
        let info = published(name);
        // A provider that nobody described and that was never asked is nothing to look at.
        if info.is_some() || !rows.is_empty() {
            all.push(status(services, name, 0, info.as_ref(), rows));
        }
    }
    Ok(all)
}

async fn rows(services: &Services) -> Result<BTreeMap<ProviderName, Vec<ProviderRow>>, Error> {
    let mut rows: BTreeMap<ProviderName, Vec<ProviderRow>> = BTreeMap::new();
    for row in services.store().provider_list().await? {
        rows.entry(row.provider).or_default().push(row);
    }
    Ok(rows)
}

fn status(
    services: &Services,
    name: ProviderName,
    position: u32,
    info: Option<&ProviderInfo>,
    rows: &[ProviderRow],
) -> ProviderStatus {
    let current = info.and_then(|info| rows.iter().find(|row| row.account == info.account));
    let enabled = position > 0;
    let tally = total(rows);
    let last_error = rows.iter().filter(|row| row.last_error.is_some()).max_by_key(|row| row.last_error_at);
    let asked = current.filter(|_| enabled);
    let now = services.now();
    let breaker_until = asked.and_then(|row| row.breaker_until);
    // A process that ended while its breaker was open settles nothing any more.
    let breaker = asked.map_or(BreakerState::Closed, |row| match row.breaker {
        BreakerState::Open if breaker_until.is_some_and(|until| until <= now) => BreakerState::HalfOpen,
        state => state,
    });
    ProviderStatus {
        name: name.name().to_owned(),
        enabled,
        position,
        third_party: info.and_then(|info| info.third_party.clone()),
        clear_text: info.is_some_and(|info| info.clear_text),
        disabled_because: disabled(services, name, info, asked),
        breaker,
        breaker_until,
        limits: info.map(|info| limits(info, current, now)).unwrap_or_default(),
        calls: tally.calls,
        addresses_sent: tally.addresses,
        located: tally.located,
        missed: tally.missed,
        success_percent: percent(&tally),
        p50_ms: tally.latencies.quantile(0.5),
        p95_ms: tally.latencies.quantile(0.95),
        last_error: last_error.and_then(|row| row.last_error.clone()),
        last_error_at: last_error.and_then(|row| row.last_error_at),
        last_call_at: rows.iter().filter_map(|row| row.last_call_at).max(),
        terms: info.map(|info| info.terms.to_owned()).filter(|terms| !terms.is_empty()),
        database_build: (name == ProviderName::Mmdb).then(|| services.locator().database_build()).flatten(),
    }
}

/// Why a configured provider is not asked: it has no key, or its key was refused.
fn disabled(
    services: &Services,
    name: ProviderName,
    info: Option<&ProviderInfo>,
    row: Option<&ProviderRow>,
) -> Option<String> {
    let problems = &services.config().provider_problems;
    let missing = problems.iter().find(|problem| problem.provider == name);
    let missing = missing.map(|problem| problem.detail.clone());
    let refused_here = || info.and_then(|info| info.disabled_because.clone());
    missing.or_else(refused_here).or_else(|| row.and_then(|row| row.disabled_because.clone()))
}

fn total(rows: &[ProviderRow]) -> ProviderTally {
    let mut total = ProviderTally::default();
    for ProviderRow { tally, .. } in rows {
        total.calls += tally.calls;
        total.failed_calls += tally.failed_calls;
        total.addresses += tally.addresses;
        total.located += tally.located;
        total.missed += tally.missed;
        total.latencies.add(&tally.latencies);
    }
    total
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn percent(tally: &ProviderTally) -> Option<f64> {
    let answered = tally.calls.saturating_sub(tally.failed_calls);
    (tally.calls > 0).then(|| 100.0 * answered as f64 / tally.calls as f64)
}

fn window<'a>(row: Option<&'a ProviderRow>, name: &str) -> Option<&'a Window> {
    row?.windows.iter().find(|(of, _)| of == name).map(|(_, window)| window)
}

/// Every limit once, however many ways of asking count against it.
fn limits(info: &ProviderInfo, row: Option<&ProviderRow>, now: Timestamp) -> Vec<LimitStatus> {
    let mut all: Vec<LimitStatus> = Vec::new();
    for limit in info.endpoints.iter().flat_map(|endpoint| &endpoint.limits) {
        if all.iter().any(|known| known.name == limit.name) {
            continue;
        }
        let window = window(row, &limit.name);
        all.push(LimitStatus {
            name: limit.name.clone().into_owned(),
            permits: limit.permits,
            left: window.map_or(limit.permits, |window| window.left(limit, now)),
            resets_at: window.and_then(|window| window.resets_at(now)),
            closed_until: window.map(|window| window.closed_until).filter(|until| now < *until),
        });
    }
    all
}

/// How long what is left takes, with each configured provider alone.
pub(super) async fn forecast(services: &Services) -> Result<Vec<Forecast>, Error> {
    let coverage = services.coverage().get().await?;
    let hosts = left(&coverage);
    let rows = rows(services).await?;
    let infos = services.locator().providers();
    let now = services.now();
    let of_one = |name: &ProviderName| {
        let seconds = match infos.iter().find(|info| info.name == *name) {
            _ if *name == ProviderName::Mmdb => {
                services.locator().database_build().map(|_| hosts.div_ceil(DATABASE_HOSTS_A_SECOND))
            }
            Some(info) => {
                let row = rows.get(name).and_then(|rows| rows.iter().find(|row| row.account == info.account));
                let asked = row.is_none_or(|row| row.disabled_because.is_none());
                asked.then(|| of_info(info, row, hosts, now)).flatten()
            }
            None => None,
        };
        Forecast { provider: name.name().to_owned(), hosts, seconds }
    };
    Ok(services.config().providers.iter().map(of_one).collect())
}

fn of_info(info: &ProviderInfo, row: Option<&ProviderRow>, hosts: u64, now: Timestamp) -> Option<u64> {
    let ways: Vec<Way<'_>> = info
        .endpoints
        .iter()
        .map(|endpoint| Way {
            batch: endpoint.batch,
            limits: endpoint.limits.iter().map(|limit| (limit, window(row, &limit.name))).collect(),
        })
        .collect();
    let typical = row.and_then(|row| row.tally.latencies.quantile(0.5));
    seconds(&ways, hosts, typical, now)
}

/// Hosts that wait to be located: never looked up, stale, or failed. A miss was answered.
fn left(coverage: &Coverage) -> u64 {
    let failed = UnlocatedReason::ALL.into_iter().filter(|reason| !reason.is_miss());
    let failed: u64 =
        failed.filter_map(|reason| coverage.unlocated_reasons.get(reason.slug())).copied().sum();
    coverage.pending + coverage.stale + failed
}
