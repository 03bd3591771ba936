use hostatlas_domain::CountryCode;

use crate::{
    browser::Json,
    format::{counted, grouped, percent, share},
};

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Several places that stand too close to be told apart at this zoom.
    Cluster,
    /// One place.
    Place,
    /// Hosts of which only the country or region is known.
    Area,
}

/// One mark, as `GET /api/v1/map` answers it.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What it stands for.
    pub kind: MarkKind,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Hosts.
    pub hosts: u64,
    /// Places.
    pub places: u64,
    /// The place, where it is one.
    pub place_id: Option<u64>,
    /// West, south, east, north of its places.
    pub bounds: [f64; 4],
    /// What to call it.
    pub label: String,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
    /// Hosts of it whose location is stale.
    pub stale: u64,
}

impl Mark {
    /// Reads one; what is no mark is none.
    pub fn read(entry: &Json) -> Option<Self> {
        let (latitude, longitude) = (entry.number("latitude")?, entry.number("longitude")?);
        let bounds: Vec<f64> =
            entry.get("bounds").items().iter().filter_map(|degrees| degrees.0.as_f64()).collect();
        Some(Self {
            kind: match entry.text("kind")?.as_str() {
                "cluster" => MarkKind::Cluster,
                "area" => MarkKind::Area,
                _ => MarkKind::Place,
            },
            latitude,
            longitude,
            hosts: entry.count("hosts"),
            places: entry.count("places"),
            place_id: entry.number("place_id").map(|_| entry.count("place_id")),
            bounds: bounds.try_into().unwrap_or([longitude, latitude, longitude, latitude]),
            label: entry.text("label").unwrap_or_default(),
            country_code: entry.text("country_code"),
            stale: entry.count("stale"),
        })
    }
}

/// The least diameter of what can be pointed at (WCAG 2.2, target size).
const LEAST_TARGET: f64 = 24.0;

/// The radius of a mark: grows with the logarithm of its hosts, so that a mark of a million is not twice as wide as
/// one of a thousand.
#[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
pub fn radius(hosts: u64) -> f64 {
    if hosts < 10 {
        return 5.0;
    }
    let size = (hosts as f64 / 10.0).log10();
    (10.0 + 2.0 * size + 0.75 * size * size).min(30.0)
}

/// The radius of any mark: an area is never smaller than its hatching needs.
pub fn mark_radius(entry: &Mark) -> f64 {
    match entry.kind {
        MarkKind::Area => radius(entry.hosts).max(12.0),
        _ => radius(entry.hosts),
    }
}

/// How far from its centre a mark can be pointed at.
pub fn reach(entry: &Mark) -> f64 {
    mark_radius(entry).max(LEAST_TARGET / 2.0)
}

/// `Frankfurt am Main, Germany, 1,204 hosts`
pub fn mark_name(entry: &Mark) -> String {
    let country = entry
        .country_code
        .as_deref()
        .and_then(|code| code.parse::<CountryCode>().ok())
        .map(CountryCode::name);
    let place = match country {
        Some(country) if country != entry.label => format!("{}, {country}", entry.label),
        _ => entry.label.clone(),
    };
    let hosts = format!("{} {}", grouped(entry.hosts), if entry.hosts == 1 { "host" } else { "hosts" });
    match entry.kind {
        MarkKind::Cluster if entry.places > 1 => {
            let more = entry.places - 1;
            format!(
                "{place} and {} more {}, {hosts}",
                grouped(more),
                if more == 1 { "place" } else { "places" }
            )
        }
        MarkKind::Area => format!("{place}, place not known, {hosts}"),
        _ => format!("{place}, {hosts}"),
    }
}

/// The head and the detail of a mark's tooltip.
pub fn tooltip(entry: &Mark) -> (String, String) {
    let head = match entry.kind {
        MarkKind::Cluster if entry.places > 1 => {
            format!("{} and {}", entry.label, counted(entry.places - 1, "more place", "more places"))
        }
        MarkKind::Area => format!("Somewhere in {}", entry.label),
        _ => entry.label.clone(),
    };
    let mut detail = counted(entry.hosts, "host", "hosts");
    if entry.stale > 0 {
        detail = format!("{detail} · {} stale", percent(share(entry.stale, entry.hosts)));
    }
    (head, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_grow_by_the_rule_of_the_design() {
        let drawn = [1, 9, 10, 100, 1_000, 100_000, 100_000_000].map(|hosts| radius(hosts).round());
        assert_eq!(drawn, [5.0, 5.0, 10.0, 13.0, 17.0, 30.0, 30.0]);
    }

    #[test]
    fn a_mark_is_named_by_place_country_and_count() {
        let mut entry = Mark {
            kind: MarkKind::Place,
            latitude: 50.1,
            longitude: 8.7,
            hosts: 1_204,
            places: 1,
            place_id: Some(7),
            bounds: [8.7, 50.1, 8.7, 50.1],
            label: "Frankfurt am Main".to_owned(),
            country_code: Some("DE".to_owned()),
            stale: 0,
        };
        assert_eq!(mark_name(&entry), "Frankfurt am Main, Germany, 1,204 hosts");
        (entry.kind, entry.places) = (MarkKind::Cluster, 3);
        assert_eq!(mark_name(&entry), "Frankfurt am Main, Germany and 2 more places, 1,204 hosts");
    }
}
