use hostatlas_domain::{MapEntry, MapEntryKind, Place, PlaceId, Precision};

/// Pixels of the world at zoom 0, as in every Web Mercator map.
pub(super) const TILE: f64 = 256.0;
/// Centres are at least so many pixels apart: every mark can be hit with a finger.
pub(super) const LEAST_DISTANCE: f64 = 24.0;
/// Rounding of coordinates may move two centres towards each other by this much.
const ROUNDING: f64 = 1.5;
/// Web Mercator ends here; what lies beyond is drawn at the edge.
const LAST_LATITUDE: f64 = 85.051_128_779_806_6;

/// Where longitude and latitude (units of 0.00001 degree) fall on the world, both from 0 to 2^32.
pub(super) fn project(latitude_e5: i32, longitude_e5: i32) -> (u32, u32) {
    let latitude = (f64::from(latitude_e5) / 1e5).clamp(-LAST_LATITUDE, LAST_LATITUDE).to_radians();
    let x = (f64::from(longitude_e5) / 1e5 + 180.0) / 360.0;
    let y = 0.5 - (latitude.tan() + 1.0 / latitude.cos()).ln() / (2.0 * std::f64::consts::PI);
    (to_fixed(x), to_fixed(y))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
fn to_fixed(share: f64) -> u32 {
    (share * 4_294_967_296.0).clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Pixels of the whole world at a zoom.
pub(super) fn world_pixels(zoom: u8) -> f64 {
    TILE * f64::from(1_u32 << zoom)
}

/// Hosts that are drawn as one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Whether it stands for areas and not for points.
    pub(super) area: bool,
    /// Its centre in pixels of the world; more than a world where the box crosses the antimeridian.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) hosts: u64,
    pub(super) places: u64,
    pub(super) stale: u64,
    /// The most crowded place, and how many hosts stand on it.
    pub(super) top: PlaceId,
    pub(super) top_hosts: u64,
    /// The coarsest precision.
    pub(super) precision: Precision,
    /// The radius of its circle in pixels, kept since every pair of marks is compared by it.
    pub(super) radius: f64,
    /// Units of 0.00001 degree; longitudes go on past 180 degrees where the box crosses the antimeridian.
    pub(super) west: i32,
    pub(super) south: i32,
    pub(super) east: i32,
    pub(super) north: i32,
}

impl Mark {
    /// Takes `other` in; the centre is the mean of the hosts.
    pub(super) fn take(&mut self, other: &Self) {
        #[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
        let share = other.hosts as f64 / (self.hosts + other.hosts).max(1) as f64;
        self.x += (other.x - self.x) * share;
        self.y += (other.y - self.y) * share;
        self.hosts += other.hosts;
        self.radius = radius(self.hosts);
        self.places += other.places;
        self.stale += other.stale;
        if (other.top_hosts, std::cmp::Reverse(other.top)) > (self.top_hosts, std::cmp::Reverse(self.top)) {
            (self.top, self.top_hosts) = (other.top, other.top_hosts);
        }
        self.precision = self.precision.max(other.precision);
        self.west = self.west.min(other.west);
        self.south = self.south.min(other.south);
        self.east = self.east.max(other.east);
        self.north = self.north.max(other.north);
    }

    /// Draws it elsewhere; its bounds hold its centre all the same.
    pub(super) fn move_to(&mut self, x: f64, y: f64, zoom: u8) {
        (self.x, self.y) = (x, y);
        let (latitude, longitude) = self.centre(zoom);
        self.west = self.west.min(longitude);
        self.east = self.east.max(longitude);
        self.south = self.south.min(latitude);
        self.north = self.north.max(latitude);
    }

    /// By how much the two are closer than they may be, in square pixels; none if they are far enough apart.
    pub(super) fn overlap(&self, other: &Self) -> Option<f64> {
        let needed = (self.radius + other.radius).max(LEAST_DISTANCE) + ROUNDING;
        let (across, down) = (self.x - other.x, self.y - other.y);
        let overlap = needed * needed - (across * across + down * down);
        (overlap > 0.0).then_some(overlap)
    }

    /// The mark as it is sent.
    pub(super) fn entry(&self, zoom: u8, top: Option<&Place>) -> MapEntry {
        let kind = match (self.area, self.places) {
            (true, _) => MapEntryKind::Area,
            (false, 1) => MapEntryKind::Place,
            (false, _) => MapEntryKind::Cluster,
        };
        // One place keeps its exact point. The rest is rounded, centres to a tenth of a pixel and bounds outwards to one,
        // which halves the answer.
        let (units, edge) =
            if self.places == 1 { (1, 1) } else { (rounding_units(zoom), 10 * rounding_units(zoom)) };
        let (west, east) = (floor_to(self.west, edge), ceil_to(self.east, edge));
        let (south, north) = (floor_to(self.south, edge), ceil_to(self.north, edge));
        // Rounding must not leave the earth, nor go once around it.
        let (south, north) = (south.max(-9_000_000), north.min(9_000_000));
        let (west, east) =
            (west.max(-18_000_000), east.min(if self.east > 18_000_000 { 54_000_000 } else { 18_000_000 }));
        let (latitude, longitude) = self.centre(zoom);
        let latitude = round_to(latitude, units).clamp(south, north);
        let longitude = round_to(longitude, units).clamp(west, east);
        MapEntry {
            kind,
            latitude: degrees(latitude),
            longitude: degrees(wrap(longitude)),
            hosts: self.hosts,
            places: self.places,
            place_id: (self.places == 1).then_some(self.top),
            precision: self.precision,
            bounds: [degrees(wrap(west)), degrees(south), degrees(wrap(east)), degrees(north)],
            label: top.map(Place::label).unwrap_or_default(),
            country_code: top.and_then(|place| place.country).map(|country| country.to_string()),
            stale: self.stale,
        }
    }

    /// Its centre in units of 0.00001 degree, latitude first.
    #[expect(clippy::cast_possible_truncation, reason = "at most two turns of 36,000,000 units")]
    fn centre(&self, zoom: u8) -> (i32, i32) {
        let world = world_pixels(zoom);
        let latitude = (std::f64::consts::PI * (1.0 - 2.0 * self.y / world)).sinh().atan().to_degrees();
        let longitude = self.x / world * 360.0 - 180.0;
        ((latitude * 1e5).round() as i32, (longitude * 1e5).round() as i32)
    }
}

/// The radius of a circle for so many hosts in pixels, as `design/README.md` gives it.
pub(super) fn radius(hosts: u64) -> f64 {
    if hosts < 10 {
        return 5.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
    let decades = (hosts as f64 / 10.0).log10();
    (10.0 + 2.0 * decades + 0.75 * decades * decades).min(30.0)
}

/// How many units of 0.00001 degree make about a tenth of a pixel: a power of ten from 1 to 10,000.
fn rounding_units(zoom: u8) -> i32 {
    match zoom {
        0..=1 => 10_000,
        2..=4 => 1_000,
        5..=7 => 100,
        8..=10 => 10,
        _ => 1,
    }
}

fn floor_to(value: i32, units: i32) -> i32 {
    value.div_euclid(units) * units
}

fn ceil_to(value: i32, units: i32) -> i32 {
    -floor_to(-value, units)
}

fn round_to(value: i32, units: i32) -> i32 {
    floor_to(value + units / 2, units)
}

/// Brings a longitude that went on past the antimeridian back into ±180 degrees.
fn wrap(longitude: i32) -> i32 {
    if longitude > 18_000_000 { longitude - 36_000_000 } else { longitude }
}

fn degrees(units: i32) -> f64 {
    f64::from(units) / 1e5
}
