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
}
