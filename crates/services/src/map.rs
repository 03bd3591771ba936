mod cluster;
mod index;
mod marks;
mod places;

use std::collections::HashMap;

use hostatlas_domain::{
    BoundingBox, HostFilter, HostSort, HostSummary, MapAnswer, MapEntry, Nearest, NotShown, Page, Place,
    PlaceId,
};
use hostatlas_store::SearchHosts;

use self::cluster::{LARGEST_ZOOM, View, cluster, nearest};
pub(crate) use self::index::MapIndex;
use crate::{
    Error, Services,
    request::{parse_cursor, parse_limit, parse_query},
};

/// The map: marks for a box and a zoom, and what stands on a place.
#[derive(Clone)]
pub struct Map {
    services: Services,
}

/// A place and what stands on it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlaceView {
    /// The place.
    pub place_id: PlaceId,
    /// What a person calls it.
    pub label: String,
    /// Its point and names.
    #[serde(flatten)]
    pub place: Place,
    /// Located hosts on it.
    pub hosts: u64,
}

impl Map {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// The marks of a box at a zoom (0 to 18; more counts as 18), for the hosts that match `q` (empty: all).
    ///
    /// At most 500 marks whatever the box; the sum of their hosts is the number of located hosts in it. A box that holds
    /// none names the place that is nearest to it.
    pub async fn answer(&self, bbox: BoundingBox, zoom: u8, q: &str) -> Result<MapAnswer, Error> {
        let query = parse_query(q)?;
        let snapshot = self.services.map_index().fresh(&self.services).await?;
        let zoom = zoom.min(LARGEST_ZOOM);
        let index = self.services.map_index();
        let areas = &snapshot.areas;
        if !query.is_empty() {
            let matching = index.matching(&self.services, &snapshot, &query).await?;
            let (places, stale) = (&matching.places, &matching.stale);
            let answer = self.mark(&View { places, stale, areas, bbox, zoom }).await?;
            return Ok(MapAnswer { not_shown: matching.not_shown, ..answer });
        }
        let stale = index.stale();
        let view = View { places: &snapshot.places, stale: &stale, areas, bbox, zoom };
        // Every page of the map begins with the whole world, which takes longest.
        let answer = if bbox != BoundingBox::WORLD {
            self.mark(&view).await?
        } else if let Some(known) = index.known_world(zoom, &snapshot, &stale) {
            known
        } else {
            let answer = self.mark(&view).await?;
            index.keep_world(zoom, &snapshot, &stale, answer.clone());
            answer
        };
        Ok(MapAnswer { not_shown: snapshot.not_shown, ..answer })
    }

    /// The marks of a view, largest first, with the names they show.
    async fn mark(&self, view: &View<'_>) -> Result<MapAnswer, Error> {
        let (marks, zoom) = (cluster(view), view.zoom);
        let names = self.names(marks.iter().map(|mark| mark.top)).await?;
        let mut clusters: Vec<MapEntry> =
            marks.iter().map(|mark| mark.entry(zoom, names.get(&mark.top))).collect();
        clusters.sort_by(|one, other| {
            other
                .hosts
                .cmp(&one.hosts)
                .then(one.latitude.total_cmp(&other.latitude))
                .then(one.longitude.total_cmp(&other.longitude))
        });
        Ok(MapAnswer {
            hosts: marks.iter().map(|mark| mark.hosts).sum(),
            places: marks.iter().map(|mark| mark.places).sum(),
            clusters,
            not_shown: NotShown::default(),
            nearest: if marks.is_empty() { self.nearest(view).await? } else { None },
        })
    }

    /// The place nearest to the middle of a view that holds none.
    async fn nearest(&self, view: &View<'_>) -> Result<Option<Nearest>, Error> {
        let Some((mark, from, to)) = nearest(view) else { return Ok(None) };
        let names = self.names(std::iter::once(mark.top)).await?;
        Ok(Some(Nearest {
            place: mark.entry(view.zoom, names.get(&mark.top)),
            distance_km: from.distance_km(to).round(),
            direction: from.direction_to(to).to_owned(),
        }))
    }

    async fn names(&self, ids: impl Iterator<Item = PlaceId>) -> Result<HashMap<PlaceId, Place>, Error> {
        self.services.map_index().names(self.services.store().as_ref(), ids).await
    }

    /// One place. [`Error::NotFound`] if there is none.
    pub async fn place(&self, id: PlaceId) -> Result<PlaceView, Error> {
        let snapshot = self.services.map_index().fresh(&self.services).await?;
        let place = self.names(std::iter::once(id)).await?.remove(&id).ok_or_else(|| Error::NotFound {
            detail: format!("there is no place {}", id.0),
            hint: Some("open a place on the map: its address has the id".to_owned()),
        })?;
        Ok(PlaceView { place_id: id, label: place.label(), place, hosts: snapshot.places.hosts_on(id) })
    }

    /// The hosts of a place, by address; `limit` is 1 to 1000.
    pub async fn place_hosts(
        &self,
        id: PlaceId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<HostSummary>, Error> {
        let params = SearchHosts {
            filter: HostFilter { place: Some(id), ..HostFilter::default() },
            sort: HostSort::Address,
            cursor: parse_cursor(cursor)?,
            limit: parse_limit(limit)?,
            max_age: self.services.config().max_age,
        };
        Ok(self.services.store().hosts_search(params).await?)
    }
}
