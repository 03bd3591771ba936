//! Walking through many hosts by address, for jobs and batches.

use std::{collections::HashSet, fmt::Write as _};

use hostatlas_domain::{Address, DuePolicy, PlaceId, ProviderName, UnlocatedReason};
use hostatlas_store::{HostSelection, LocatedHost, SelectedHost, StoreError, backend::next_selected};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    filter::{self, literal, millis},
    plan,
};
use crate::{
    error::{corrupt, engine},
    rows::byte,
};

/// The next hosts of a selection, by address.
pub(crate) async fn select(
    connection: &mut PgConnection,
    now: i64,
    selection: &HostSelection,
    after: Option<Address>,
    limit: u32,
) -> Result<Vec<SelectedHost>, StoreError> {
    let conditions = match selection {
        HostSelection::Due(policy) => format!(" AND class = 0 AND {}", due_condition(now, policy)),
        HostSelection::All => " AND class = 0".to_owned(),
        HostSelection::Addresses(addresses) => addresses_condition(addresses, after),
        HostSelection::Hosts(hosts) => return Ok(next_selected(hosts, after, limit)),
        HostSelection::Special { first, last, sited } => special_condition(*first, *last, *sited),
        HostSelection::Filter { filter, max_age, due } => {
            let resolved = filter::resolve(connection, now, filter, *max_age).await?;
            let due = due.as_ref().map(|policy| due_condition(now, policy));
            return select_filtered(connection, &resolved, due.as_deref(), after, limit).await;
        }
    };
    let after =
        after.map(|address| format!(" AND address > {}", literal(address.to_key()))).unwrap_or_default();
    let sql =
        format!("SELECT id, address FROM host WHERE true{after}{conditions} ORDER BY address LIMIT {limit}");
    plan::walk_by_index(connection).await?;
    let hosts = plan::fetch(connection, sql).await?;
    Ok(hosts.iter().map(|host| SelectedHost { id: host.id, address: Address::from_key(host.key) }).collect())
}

/// Those of a block whose address is special: on no place, or placed by a site.
fn special_condition(first: Address, last: Address, sited: bool) -> String {
    let state = if sited {
        format!("location_state = 1 AND provider = {} AND pinned = 0", ProviderName::Site.number())
    } else {
        "location_state = 3".to_owned()
    };
    let (first, last) = (literal(first.to_key()), literal(last.to_key()));
    format!(" AND address BETWEEN {first} AND {last} AND class <> 0 AND {state}")
}

/// See [`hostatlas_store::HostStore::hosts_located`].
pub(super) async fn located(
    connection: &mut PgConnection,
    after: Option<Address>,
    limit: u32,
) -> Result<Vec<LocatedHost>, StoreError> {
    let after =
        after.map(|address| format!(" AND address > {}", literal(address.to_key()))).unwrap_or_default();
    let sql = format!(
        "SELECT address, place, provider FROM host WHERE location_state = 1{after} ORDER BY address LIMIT {limit}"
    );
    plan::walk_by_index(connection).await?;
    let rows: Vec<(Vec<u8>, i64, i16)> =
        sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.map_err(engine)?;
    rows.into_iter()
        .map(|(key, place, provider)| {
            let key = <[u8; 16]>::try_from(key.as_slice()).map_err(|_| corrupt("an address"))?;
            let provider = ProviderName::from_number(byte(provider, "a provider")?);
            let provider = provider.ok_or_else(|| corrupt("a provider"))?;
            Ok(LocatedHost { address: Address::from_key(key), place: PlaceId(place), provider })
        })
        .collect()
}

/// Pages of a filtered list until `limit` hosts with a public address are found; only those that are `due`, if that
/// condition is given.
async fn select_filtered(
    connection: &mut PgConnection,
    resolved: &filter::Resolved,
    due: Option<&str>,
    after: Option<Address>,
    limit: u32,
) -> Result<Vec<SelectedHost>, StoreError> {
    let mut hosts: Vec<SelectedHost> = Vec::new();
    let mut after = after.map(Address::to_key);
    loop {
        let wanted = limit - u32::try_from(hosts.len()).unwrap_or(limit);
        let page = plan::page(connection, resolved, after, wanted.max(1)).await?;
        let public = page.hosts.iter().filter_map(|host| {
            let address = Address::from_key(host.key);
            let is_public = hostatlas_domain::classify(address) == hostatlas_domain::AddressClass::Public;
            is_public.then_some(SelectedHost { id: host.id, address })
        });
        match due {
            None => hosts.extend(public),
            Some(condition) => hosts.extend(only_due(connection, condition, public.collect()).await?),
        }
        after = page.next;
        if after.is_none() || hosts.len() >= limit as usize {
            return Ok(hosts);
        }
    }
}

/// Those of `hosts` that meet a condition of [`due_condition`], in their order.
async fn only_due(
    connection: &mut PgConnection,
    condition: &str,
    mut hosts: Vec<SelectedHost>,
) -> Result<Vec<SelectedHost>, StoreError> {
    let ids: Vec<i64> = hosts.iter().map(|host| host.id.0).collect();
    let sql = format!("SELECT id FROM host WHERE id = ANY($1) AND {condition}");
    let due: HashSet<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(ids)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(engine)?
        .into_iter()
        .collect();
    hosts.retain(|host| due.contains(&host.id.0));
    Ok(hosts)
}

/// `hostatlas_domain::due` in SQL, over the columns of `host`.
fn due_condition(now: i64, policy: &DuePolicy) -> String {
    let misses: Vec<_> = UnlocatedReason::ALL
        .into_iter()
        .filter(|reason| reason.is_miss())
        .map(|reason| reason.number().to_string())
        .collect();
    let stale = |column: &str| {
        if policy.max_age.is_zero() {
            "true".to_owned()
        } else {
            format!("{column} < {}", now.saturating_sub(millis(policy.max_age)))
        }
    };
    let failed_before = now.saturating_sub(millis(policy.failure_retry_after));
    let build = policy
        .database_build
        .map_or("false".to_owned(), |build| format!("coalesce(database_build, -1) < {}", build.as_millis()));
    format!(
        "CASE WHEN location_state = 3 THEN false WHEN attempted_at IS NULL OR location_state = 0 THEN true \
         WHEN location_state = 1 THEN {} \
         WHEN reason IN ({}) THEN {} OR {build} \
         ELSE attempted_at < {failed_before} END",
        stale("coalesce(located_at, attempted_at)"),
        misses.join(","),
        stale("attempted_at"),
    )
}

fn addresses_condition(addresses: &[Address], after: Option<Address>) -> String {
    let mut keys: Vec<_> =
        addresses.iter().filter(|address| after.is_none_or(|after| **address > after)).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut text = " AND class = 0 AND address IN (".to_owned();
    for (index, address) in keys.iter().enumerate() {
        let _ = write!(text, "{}{}", if index > 0 { "," } else { "" }, literal(address.to_key()));
    }
    text.push(')');
    text
}
