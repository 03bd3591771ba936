use std::f64::consts::PI;

/// The side of the Web Mercator square at zoom 0, in pixels, as Leaflet has it.
pub const WORLD: f64 = 256.0;
/// Where the Mercator square ends.
const LATITUDE_LIMIT: f64 = 85.051_128_78;

/// Longitude and latitude to a point of the square at zoom 0.
pub fn project(latitude: f64, longitude: f64) -> (f64, f64) {
    let sine = latitude.clamp(-LATITUDE_LIMIT, LATITUDE_LIMIT).to_radians().sin();
    let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * PI);
    ((longitude + 180.0) / 360.0 * WORLD, y * WORLD)
}

/// A point of the square at zoom 0 to its latitude.
pub fn latitude_of(y: f64) -> f64 {
    (PI * (1.0 - 2.0 * y / WORLD)).sinh().atan().to_degrees()
}

/// What part of the earth is on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// Zoom, fractions allowed.
    pub zoom: f64,
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    center: (f64, f64),
}

impl Viewport {
    /// A viewport around a point.
    pub fn new(latitude: f64, longitude: f64, zoom: f64, width: f64, height: f64) -> Self {
        Self { zoom, width, height, center: project(latitude, longitude) }
    }

    /// The viewport that shows two points, each with `margin` pixels to every side, and is no nearer than `most`.
    pub fn over(
        one: (f64, f64),
        other: (f64, f64),
        most: f64,
        margin: f64,
        (width, height): (f64, f64),
    ) -> Self {
        let (from, to) = (project(one.0, one.1), project(other.0, other.1));
        let (across, down) = (nearest_copy(to.0 - from.0), to.1 - from.1);
        let fit = |room: f64, needed: f64| (room - 2.0 * margin).max(1.0) / needed.abs().max(1e-9);
        let zoom = fit(width, across).min(fit(height, down)).log2().clamp(0.0, most);
        Self { zoom, width, height, center: (from.0 + across / 2.0, from.1 + down / 2.0) }
    }

    /// The least zoom, from this one on, at which a point can lie at a pixel without the screen's foot leaving the
    /// square; and the latitude and longitude that are then in the middle.
    pub fn with_point_at(&self, latitude: f64, longitude: f64, x: f64, y: f64) -> (f64, (f64, f64)) {
        let point = project(latitude, longitude);
        let foot = (WORLD - point.1).max(1e-3);
        let zoom = ((self.height - y) / foot).log2().max(self.zoom);
        // Leaflet's zoom moves in quarters.
        let zoom = if zoom > self.zoom { (zoom * 4.0).ceil() / 4.0 } else { zoom };
        let scale = zoom.exp2();
        let middle = (point.0 + (self.width / 2.0 - x) / scale, point.1 + (self.height / 2.0 - y) / scale);
        (zoom, (latitude_of(middle.1), middle.0 / WORLD * 360.0 - 180.0))
    }

    /// Pixels for one unit of the square at zoom 0.
    pub fn scale(&self) -> f64 {
        self.zoom.exp2()
    }

    /// Where the top left corner of the square at zoom 0 lies on the screen.
    pub fn origin(&self) -> (f64, f64) {
        let scale = self.scale();
        (self.width / 2.0 - self.center.0 * scale, self.height / 2.0 - self.center.1 * scale)
    }

    /// Where a point of the square at zoom 0 lies on the screen.
    pub fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (scale, origin) = (self.scale(), self.origin());
        (origin.0 + x * scale, origin.1 + y * scale)
    }

    /// How far apart two copies of the world are, in pixels.
    pub fn copy_width(&self) -> f64 {
        WORLD * self.scale()
    }

    /// The shifts, in pixels, of every copy in which something at `x` and `reach` wide can be seen.
    pub fn copies(&self, x: f64, reach: f64) -> impl Iterator<Item = f64> + use<> {
        let (width, copy) = (self.width, self.copy_width());
        let first = ((-reach - x) / copy).ceil();
        (0..8)
            .map(move |step| (first + f64::from(step)) * copy)
            .take_while(move |shift| x + shift <= width + reach)
    }

    /// The longitude at a pixel; not brought into ±180.
    pub fn longitude_at(&self, x: f64) -> f64 {
        (x - self.origin().0) / self.scale() / WORLD * 360.0 - 180.0
    }

    /// The latitude at a pixel.
    pub fn latitude_at(&self, y: f64) -> f64 {
        latitude_of((y - self.origin().1) / self.scale())
    }

    /// West, south, east, north.
    pub fn bounds(&self) -> [f64; 4] {
        [
            self.longitude_at(0.0),
            self.latitude_at(self.height).max(-90.0),
            self.longitude_at(self.width),
            self.latitude_at(0.0).min(90.0),
        ]
    }
}

/// A distance along the equator of the square, the short way round.
pub fn nearest_copy(across: f64) -> f64 {
    (across + WORLD / 2.0).rem_euclid(WORLD) - WORLD / 2.0
}

/// A longitude brought into ±180.
pub fn wrap(longitude: f64) -> f64 {
    if (-180.0..=180.0).contains(&longitude) {
        longitude
    } else {
        (longitude + 180.0).rem_euclid(360.0) - 180.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_in_the_middle_and_the_way_back_is_the_same() {
        let viewport = Viewport::new(50.1, 8.7, 5.25, 800.0, 600.0);
        let (x, y) = viewport.place(project(50.1, 8.7));
        assert!((x - 400.0).abs() < 1e-6 && (y - 300.0).abs() < 1e-6);
        assert!(
            (viewport.latitude_at(y) - 50.1).abs() < 1e-9 && (viewport.longitude_at(x) - 8.7).abs() < 1e-9
        );
    }

    #[test]
    fn a_mark_at_the_antimeridian_is_seen_in_every_visible_copy() {
        let viewport = Viewport::new(0.0, 0.0, 2.0, 1_300.0, 600.0);
        let (x, _) = viewport.place(project(-17.7, 179.9));
        let seen: Vec<f64> = viewport.copies(x, 12.0).map(|shift| (x + shift).round()).collect();
        assert_eq!(seen, [138.0, 1162.0]);
    }

    #[test]
    fn two_points_are_both_shown_also_across_the_antimeridian() {
        let viewport = Viewport::over((-17.7, 178.0), (-13.8, -171.8), 6.0, 40.0, (400.0, 260.0));
        let (x, _) = viewport.place(project(-17.7, 178.0));
        let (other, y) = viewport.place(project(-13.8, 188.2));
        assert!((x - 40.0).abs() < 1e-6 && (other - 360.0).abs() < 1e-6 && (40.0..220.0).contains(&y));
    }

    #[test]
    fn two_points_of_one_town_are_not_looked_at_from_nearer_than_asked() {
        let viewport = Viewport::over((50.11, 8.68), (50.12, 8.69), 5.5, 40.0, (400.0, 260.0));
        assert!((viewport.zoom - 5.5).abs() < 1e-9);
    }

    #[test]
    fn a_point_in_the_far_south_is_brought_up_by_coming_nearer() {
        let viewport = Viewport::new(20.0, 0.0, 1.25, 375.0, 640.0);
        let (zoom, (latitude, longitude)) = viewport.with_point_at(-41.3, 174.8, 190.0, 120.0);
        let moved = Viewport::new(latitude, longitude, zoom, 375.0, 640.0);
        let (x, y) = moved.place(project(-41.3, 174.8));
        assert!((x - 190.0).abs() < 1e-6 && (y - 120.0).abs() < 1e-6, "{x} {y}");
        assert!(zoom > 1.25 && moved.place((0.0, WORLD)).1 >= 640.0 - 1e-6);
    }
}
