//! How far a point lies outside a country, by outlines made from Natural Earth (`cargo xtask borders`).
//!
//! Good to about 10 km: enough to tell a wrong answer from a disputed border, and for nothing finer.

use std::sync::LazyLock;

use hostatlas_domain::{Coordinate, CountryCode};

/// See `xtask/src/borders.rs` for its form.
static DATA: &[u8] = include_bytes!("../../data/borders.bin");

static OUTLINES: LazyLock<Vec<Outline>> = LazyLock::new(|| read(DATA));

/// As in [`Coordinate::distance_km`].
const EARTH_RADIUS_KM: f64 = 6371.0;

/// Longest edge, in hundredths of a degree. Borders run along parallels, great circles do not: an edge of this length
/// strays from its parallel by a kilometre or two.
const LONGEST_EDGE: i32 = 200;

/// How many kilometres `point` lies outside `country`: 0 within it, `None` for the few territories that have no
/// outline.
pub fn kilometres_outside(country: CountryCode, point: Coordinate) -> Option<f64> {
    let outlines = &*OUTLINES;
    let index = outlines.binary_search_by_key(&country.bytes(), |outline| outline.code).ok()?;
    let rings = &outlines[index].rings;
    let (x, y) = (point.longitude() * 100.0, point.latitude() * 100.0);
    if rings.iter().filter(|ring| ring.crossed_odd_times(x, y)).count() % 2 == 1 {
        return Some(0.0);
    }
    let place = unit_vector(x, y);
    let nearest = rings
        .iter()
        .flat_map(|ring| ring.edges().map(|(from, to)| distance(place, ring.vectors[from], ring.vectors[to])))
        .fold(std::f64::consts::PI, f64::min);
    Some(nearest * EARTH_RADIUS_KM)
}

/// All that belongs to a country.
struct Outline {
    code: [u8; 2],
    rings: Vec<Ring>,
}

/// A coast, an island, or the border of a hole. No ring crosses the antimeridian.
struct Ring {
    /// Longitude and latitude in hundredths of a degree. The last is joined to the first.
    points: Vec<(i32, i32)>,
    /// The same points on the unit sphere.
    vectors: Vec<[f32; 3]>,
    west: i32,
    east: i32,
    south: i32,
    north: i32,
}

impl Ring {
    fn new(points: Vec<(i32, i32)>) -> Self {
        let xs = || points.iter().map(|(x, _)| *x);
        let ys = || points.iter().map(|(_, y)| *y);
        let (west, east) = (xs().min().unwrap_or(0), xs().max().unwrap_or(0));
        let (south, north) = (ys().min().unwrap_or(0), ys().max().unwrap_or(0));
        let vectors =
            points.iter().map(|&(x, y)| unit_vector(f64::from(x), f64::from(y)).map(narrow)).collect();
        Self { points, vectors, west, east, south, north }
    }

    /// The positions of the points that each edge joins.
    fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.points.len();
        (0..count).map(move |index| (index, if index + 1 == count { 0 } else { index + 1 }))
    }

    /// Whether a line from the point to the east crosses this ring an odd number of times.
    fn crossed_odd_times(&self, x: f64, y: f64) -> bool {
        let beside = x < f64::from(self.west) || x > f64::from(self.east);
        if beside || y < f64::from(self.south) || y > f64::from(self.north) {
            return false;
        }
        let crossed = |(from, to): &(usize, usize)| {
            let [(ax, ay), (bx, by)] =
                [self.points[*from], self.points[*to]].map(|(x, y)| (f64::from(x), f64::from(y)));
            (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax
        };
        self.edges().filter(crossed).count() % 2 == 1
    }
}

/// A point on the unit sphere from hundredths of a degree.
fn unit_vector(x: f64, y: f64) -> [f64; 3] {
    let (longitude, latitude) = ((x / 100.0).to_radians(), (y / 100.0).to_radians());
    [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a metre of the earth is more than such a float's last digit"
)]
fn narrow(number: f64) -> f32 {
    number as f32
}

/// The angle between a point and the nearest point of an edge, all on the unit sphere.
fn distance(place: [f64; 3], from: [f32; 3], to: [f32; 3]) -> f64 {
    let (from, to) = (from.map(f64::from), to.map(f64::from));
    let normal = cross(from, to);
    let length = dot(normal, normal).sqrt();
    let beside = dot(cross(normal, from), place) > 0.0 && dot(cross(to, normal), place) > 0.0;
    if length > 1e-7 && beside {
        return (dot(normal, place) / length).clamp(-1.0, 1.0).asin().abs();
    }
    dot(place, from).max(dot(place, to)).clamp(-1.0, 1.0).acos()
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Reads the outlines. What this program carries is whole, which a test holds; a damaged end would end the list.
fn read(data: &[u8]) -> Vec<Outline> {
    let mut bytes = data;
    let mut outlines = Vec::new();
    while let Some(outline) = outline(&mut bytes) {
        outlines.push(outline);
    }
    outlines
}

fn outline(bytes: &mut &[u8]) -> Option<Outline> {
    let (code, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    let count = unsigned(bytes)?;
    let mut last = (0_i32, 0_i32);
    let mut rings = Vec::new();
    for _ in 0..count {
        let mut points = Vec::new();
        for _ in 0..unsigned(bytes)? {
            last = (last.0.checked_add(signed(bytes)?)?, last.1.checked_add(signed(bytes)?)?);
            points.push(last);
        }
        rings.push(Ring::new(with_short_edges(&points)));
    }
    Some(Outline { code: *code, rings })
}

fn with_short_edges(points: &[(i32, i32)]) -> Vec<(i32, i32)> {
    let next = points.iter().cycle().skip(1);
    points
        .iter()
        .zip(next)
        .flat_map(|(&(ax, ay), &(bx, by))| {
            let (dx, dy) = (bx - ax, by - ay);
            let pieces = (dx.abs().max(dy.abs()) / LONGEST_EDGE).max(0) + 1;
            (0..pieces).map(move |piece| (ax + dx * piece / pieces, ay + dy * piece / pieces))
        })
        .collect()
}

fn signed(bytes: &mut &[u8]) -> Option<i32> {
    let number = unsigned(bytes)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

fn unsigned(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::country_centre;

    fn outside(country: &str, latitude: f64, longitude: f64) -> f64 {
        let point = Coordinate::new(latitude, longitude).expect("on earth");
        kilometres_outside(country.parse().expect("a code"), point).expect("an outline")
    }

    #[test]
    fn all_of_the_outlines_are_read() {
        let without: Vec<&str> = CountryCode::all()
            .filter(|code| OUTLINES.binary_search_by_key(&code.bytes(), |outline| outline.code).is_err())
            .map(CountryCode::as_str)
            .collect();
        assert_eq!((OUTLINES.len(), without), (246, vec!["BV", "GI", "TV", "UM"]));
        assert!(OUTLINES.is_sorted_by_key(|outline| outline.code));
    }

    #[test]
    fn no_country_is_far_from_its_own_centre() {
        // Malaysia's lies at sea between its halves.
        let far: Vec<(&str, f64)> = CountryCode::all()
            .filter_map(|code| {
                Some((code.as_str(), kilometres_outside(code, country_centre(code)?)?))
                    .filter(|(_, far)| *far > 200.0)
            })
            .collect();
        assert_eq!(far, []);
    }

    #[test]
    fn cities_lie_in_their_countries_and_with_swapped_numbers_far_outside() {
        let cities = [
            ("DE", 50.1155, 8.6842),
            ("US", 37.386, -122.0838),
            ("CA", 45.4995, -73.5848),
            ("CN", 39.9175, 116.362),
            ("JP", 35.6895, 139.6917),
            ("BR", -23.5475, -46.6361),
            ("ZA", -33.9258, 18.4232),
            ("AU", -33.8678, 151.2073),
            ("IN", 19.0728, 72.8826),
            ("RU", 55.7522, 37.6156),
            ("GB", 51.5085, -0.1257),
            ("SG", 1.2897, 103.8501),
        ];
        for (country, latitude, longitude) in cities {
            assert!(outside(country, latitude, longitude) < 10.0, "{country}");
            if longitude.abs() <= 90.0 {
                assert!(outside(country, longitude, latitude) > 500.0, "{country} swapped");
            }
        }
    }

    #[test]
    fn what_lies_across_the_antimeridian_is_near() {
        let places = [
            ("RU", 66.16, -169.81),  // Uelen
            ("FJ", -16.8, -179.98),  // Taveuni
            ("US", 52.9, 173.2),     // Attu
            ("US", 51.88, -176.65),  // Adak
            ("NZ", -43.95, -176.56), // Chatham
            ("KI", 1.87, -157.43),   // Kiritimati
        ];
        for (country, latitude, longitude) in places {
            let away = outside(country, latitude, longitude);
            assert!(away < 20.0, "{country} {latitude} {longitude}: {away}");
        }
        let (west, east) = (outside("FJ", -17.0, 179.99), outside("FJ", -17.0, -179.99));
        assert!((west - east).abs() < 5.0, "{west} {east}");
    }

    #[test]
    fn territories_count_for_the_country_that_they_belong_to() {
        let places = [
            ("GF", 4.92, -52.31),
            ("FR", 4.92, -52.31),
            ("MA", 23.7, -15.93),
            ("US", 18.46, -66.1),
            ("SJ", 78.22, 15.64),
            ("CX", -10.42, 105.68),
            ("SO", 9.56, 44.06),
            ("CY", 35.33, 33.32),
        ];
        for (country, latitude, longitude) in places {
            assert!(outside(country, latitude, longitude) < 15.0, "{country} {latitude}");
        }
        assert!(outside("GF", 48.85, 2.35) > 6_000.0);
    }

    #[test]
    fn distances_are_those_on_the_globe() {
        // Warsaw to the German border at the Oder, Reykjavik to Norway's coast, the North Pole to Svalbard.
        let measured = [outside("DE", 52.23, 21.01), outside("NO", 64.14, -21.94), outside("SJ", 89.99, 0.0)];
        let expected = [435.0, 850.0, 1020.0];
        for (measured, expected) in measured.iter().zip(expected) {
            assert!((measured - expected).abs() < 0.12 * expected, "{measured} {expected}");
        }
    }

    #[test]
    fn a_border_along_a_parallel_stays_on_it() {
        // Some 111 km north of the 49th, which a great circle between its ends would pass by 250 km.
        let away = outside("US", 50.0, -110.0);
        assert!((away - 111.0).abs() < 8.0, "{away}");
    }

    #[test]
    fn damaged_outlines_end_the_list_and_nothing_else() {
        for end in (0..DATA.len()).step_by(9_973) {
            assert!(read(&DATA[..end]).len() <= OUTLINES.len());
        }
        read(&[0xff; 64]);
    }
}
