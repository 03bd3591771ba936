use hostatlas_domain::{Coordinate, MapEntryKind};
use hostatlas_store::PlaceHosts;
use proptest::prelude::*;

use super::*;

fn table(places: &[(f64, f64, u64, Precision)]) -> PlaceTable {
    let rows = places.iter().zip(1..).filter_map(|((latitude, longitude, hosts, precision), id)| {
        let coordinate = Coordinate::new(*latitude, *longitude).ok()?;
        Some(PlaceHosts { id: PlaceId(id), coordinate, precision: *precision, hosts: *hosts })
    });
    let mut table = PlaceTable::default();
    table.apply(rows.collect());
    table
}

fn marks(places: &PlaceTable, bbox: BoundingBox, zoom: u8) -> Vec<Mark> {
    cluster(&View { places, stale: &HashMap::new(), areas: &AreaGroups::default(), bbox, zoom })
}

fn any_place() -> impl Strategy<Value = (f64, f64, u64, Precision)> {
    let precision =
        prop_oneof![8 => Just(Precision::City), 1 => Just(Precision::Region), 1 => Just(Precision::Country)];
    // Cities lie in heaps: some anywhere, some close together.
    let anywhere = (-85.0..85.0_f64, -180.0..=180.0_f64);
    let heap = (50.0..50.5_f64, 8.0..9.0_f64);
    (prop_oneof![anywhere, heap], 0..2_000_000_u64, precision)
        .prop_map(|((latitude, longitude), hosts, precision)| (latitude, longitude, hosts, precision))
}

fn any_box() -> impl Strategy<Value = BoundingBox> {
    (-180.0..180.0_f64, -90.0..90.0_f64, -180.0..180.0_f64, -90.0..90.0_f64).prop_map(
        |(west, one, east, other)| BoundingBox { west, south: one.min(other), east, north: one.max(other) },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_hosts_of_the_marks_are_the_hosts_in_the_box(
        places in prop::collection::vec(any_place(), 0..3_000), bbox in any_box(), zoom in 0..=18_u8
    ) {
        let expected: u64 = places
            .iter()
            .filter_map(|(latitude, longitude, hosts, _)| {
                let point = Coordinate::new(*latitude, *longitude).ok()?;
                bbox.contains(point.latitude(), point.longitude()).then_some(*hosts)
            })
            .sum();
        let marks = marks(&table(&places), bbox, zoom);
        prop_assert_eq!(marks.iter().map(|mark| mark.hosts).sum::<u64>(), expected);
        prop_assert!(marks.len() <= MOST_MARKS);
    }

    #[test]
    fn no_mark_covers_another_of_its_kind(
        places in prop::collection::vec(any_place(), 0..1_500), zoom in 0..=18_u8
    ) {
        let marks = marks(&table(&places), BoundingBox::WORLD, zoom);
        let entries: Vec<_> = marks.iter().map(|mark| (mark, mark.entry(zoom, None))).collect();
        for (index, (mark, entry)) in entries.iter().enumerate() {
            for (other_mark, other) in entries[..index].iter().filter(|(other, _)| other.area == mark.area) {
                let [(x, y), (other_x, other_y)] = [entry, other].map(|entry| pixels(entry.latitude, entry.longitude, zoom));
                let distance = (x - other_x).hypot(y - other_y);
                let needed = (radius(mark.hosts) + radius(other_mark.hosts)).max(24.0);
                prop_assert!(distance >= needed, "{distance} < {needed}: {entry:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_mark_lies_within_its_bounds_and_its_bounds_hold_its_places(
        places in prop::collection::vec(any_place(), 1..400), bbox in any_box(), zoom in 0..=18_u8
    ) {
        let table = table(&places);
        let marks = marks(&table, bbox, zoom);
        let entries: Vec<_> = marks.iter().map(|mark| mark.entry(zoom, None)).collect();
        for entry in &entries {
            let [west, south, east, north] = entry.bounds;
            let bounds = BoundingBox { west, south, east, north };
            prop_assert!(bounds.contains(entry.latitude, entry.longitude), "{entry:?}");
        }
        for (latitude, longitude, hosts, _) in places {
            let Ok(point) = Coordinate::new(latitude, longitude) else { continue };
            if hosts > 0 && bbox.contains(point.latitude(), point.longitude()) {
                let held = entries.iter().any(|entry| {
                    let [west, south, east, north] = entry.bounds;
                    BoundingBox { west, south, east, north }.contains(point.latitude(), point.longitude())
                });
                prop_assert!(held, "{point} is in no mark");
            }
        }
    }

    #[test]
    fn areas_and_points_are_never_mixed(places in prop::collection::vec(any_place(), 0..500), zoom in 0..=18_u8) {
        for mark in marks(&table(&places), BoundingBox::WORLD, zoom) {
            let entry = mark.entry(zoom, None);
            prop_assert_eq!(entry.kind == MapEntryKind::Area, entry.precision != Precision::City);
        }
    }
}

/// Pixels of the world, by the textbook and not by the code under test.
fn pixels(latitude: f64, longitude: f64, zoom: u8) -> (f64, f64) {
    let world = 256.0 * 2_f64.powi(i32::from(zoom));
    let y = (1.0 - latitude.to_radians().tan().asinh() / std::f64::consts::PI) / 2.0;
    ((longitude + 180.0) / 360.0 * world, y * world)
}

#[test]
fn an_area_steps_aside_for_a_city_and_the_city_stays() {
    let table = table(&[(50.1155, 8.6842, 1204, Precision::City), (50.2, 8.7, 70, Precision::Country)]);
    let marks = marks(&table, BoundingBox::WORLD, 5);
    let entries: Vec<_> = marks.iter().map(|mark| mark.entry(5, None)).collect();
    let [(x, y), (area_x, area_y)] = [0, 1].map(|at| pixels(entries[at].latitude, entries[at].longitude, 5));
    assert_eq!(
        (entries[0].latitude, entries[0].longitude, entries[1].kind),
        (50.1155, 8.6842, MapEntryKind::Area)
    );
    assert!((24.0..80.0).contains(&(x - area_x).hypot(y - area_y)), "{entries:?}");
}

#[test]
fn two_far_cities_are_two_exact_places() {
    let table = table(&[(50.1155, 8.6842, 1204, Precision::City), (-33.8688, 151.2093, 3, Precision::City)]);
    let marks = marks(&table, BoundingBox::WORLD, 3);
    let entries: Vec<_> = marks.iter().map(|mark| mark.entry(3, None)).collect();
    let shown: Vec<_> =
        entries.iter().map(|entry| (entry.kind, entry.latitude, entry.longitude, entry.hosts)).collect();
    assert_eq!(
        shown,
        [(MapEntryKind::Place, 50.1155, 8.6842, 1204), (MapEntryKind::Place, -33.8688, 151.2093, 3)]
    );
}

#[test]
fn neighbours_across_the_antimeridian_are_one_mark_in_a_box_that_crosses_it() {
    let table = table(&[(-17.0, 179.9, 10, Precision::City), (-17.0, -179.9, 10, Precision::City)]);
    let fiji = BoundingBox { west: 170.0, south: -30.0, east: -170.0, north: 0.0 };
    let marks = marks(&table, fiji, 4);
    let entry = marks[0].entry(4, None);
    assert_eq!(
        (marks.len(), entry.hosts, entry.longitude.abs(), entry.bounds),
        (1, 20, 180.0, [179.9, -17.0, -179.9, -17.0])
    );
}

#[test]
fn panning_moves_no_mark() {
    let places: Vec<_> = (0..400)
        .map(|index| {
            (40.0 + f64::from(index % 20) * 0.31, 5.0 + f64::from(index / 20) * 0.37, 50, Precision::City)
        })
        .collect();
    let table = table(&places);
    let whole = BoundingBox { west: 0.0, south: 30.0, east: 20.0, north: 60.0 };
    let panned = BoundingBox { west: 1.0, south: 31.0, east: 21.0, north: 61.0 };
    assert_eq!(marks(&table, whole, 6), marks(&table, panned, 6));
}
