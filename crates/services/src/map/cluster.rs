use std::collections::HashMap;

use hostatlas_domain::{BoundingBox, Coordinate, PlaceId, Precision};

use super::{
    marks::{Mark, radius, world_pixels},
    places::{AreaGroups, PlaceTable},
};

/// Zooms above this show the same as this.
pub(super) const LARGEST_ZOOM: u8 = 18;
/// Marks in an answer, whatever the box.
pub(super) const MOST_MARKS: usize = 500;
/// Of those, how many may be areas.
const MOST_AREAS: usize = 200;
/// Pixels of a cell. Cells are anchored in the world and not in the box, so that panning moves no mark.
const CELL: f64 = 64.0;
/// Up to so many places are put into cells by a map of cells; more, into a table that covers the box.
const FEW_PLACES: usize = 2_000;
/// Cells in that table at most: a box that spans more gets larger cells.
const MOST_CELLS: f64 = 4_096.0;
/// An area that would cover a point moves aside in rings of so many pixels, and in so many directions.
const ASIDE_STEP: f64 = 12.0;
const ASIDE_RINGS: u32 = 12;
const ASIDE_TURNS: u32 = 16;
/// Comparing every mark with every other is quick enough up to so many.
const MOST_COMPARED: usize = 1_000;

/// What is asked for.
pub(super) struct View<'a> {
    pub(super) places: &'a PlaceTable,
    /// Stale hosts by place, where there are any.
    pub(super) stale: &'a HashMap<PlaceId, u64>,
    pub(super) areas: &'a AreaGroups,
    pub(super) bbox: BoundingBox,
    pub(super) zoom: u8,
}

/// The marks of a view: points first by cells, then joined until none covers another; areas apart from points, one
/// for each country or region, joined only with each other, and moved aside where they would cover a point.
pub(super) fn cluster(view: &View<'_>) -> Vec<Mark> {
    let (areas, points) = view.inside();
    let areas = space_out(view.area_marks(&areas), MOST_AREAS);
    let mut marks = space_out(view.point_marks(&points), MOST_MARKS - areas.len());
    for (at, area) in areas.iter().enumerate() {
        let mut area = area.clone();
        step_aside(&mut area, &marks, &areas[at + 1..], view.zoom);
        marks.push(area);
    }
    marks
}

/// The place with hosts that is nearest to the middle of the box, that middle, and where the place is.
pub(super) fn nearest(view: &View<'_>) -> Option<(Mark, Coordinate, Coordinate)> {
    let (latitude, longitude) = view.bbox.middle();
    let middle = Coordinate::new(latitude, longitude).ok()?;
    let (areas, points) = view.places.select(|_, _| true);
    let all = points.into_iter().chain(areas);
    let places = all.map(|index| (index, view.places.get(index).coordinate));
    let distances = places.map(|(index, place)| (index, place, middle.distance_km(place)));
    let (index, place, _) = distances.min_by(|one, other| one.2.total_cmp(&other.2))?;
    Some((view.mark(index), middle, place))
}

/// Moves an area to the nearest spot where it covers no mark, if there is one nearby. Its centre is nowhere in
/// particular, whereas a point is where it is; and what is covered cannot be clicked.
fn step_aside(area: &mut Mark, placed: &[Mark], others: &[Mark], zoom: u8) {
    let is_free = |spot: &Mark| placed.iter().chain(others).all(|mark| mark.overlap(spot).is_none());
    if is_free(area) {
        return;
    }
    let world = world_pixels(zoom);
    let mut spot = area.clone();
    for ring in 1..=ASIDE_RINGS {
        let distance = ASIDE_STEP * f64::from(ring);
        for turn in 0..ASIDE_TURNS {
            let angle = std::f64::consts::TAU * f64::from(turn) / f64::from(ASIDE_TURNS);
            (spot.x, spot.y) = (area.x + distance * angle.cos(), area.y + distance * angle.sin());
            let on_the_map = (0.0..world * 2.0).contains(&spot.x)
                && (spot.x < world) == (area.x < world)
                && (0.0..world).contains(&spot.y);
            if on_the_map && is_free(&spot) {
                area.move_to(spot.x, spot.y, zoom);
                return;
            }
        }
    }
}

/// The places of one cell, summed up: a mark for each of 100,000 places would take longer than all the rest.
#[derive(Clone)]
struct Cell {
    x: f64,
    y: f64,
    hosts: u64,
    places: u64,
    stale: u64,
    top: u32,
    top_hosts: u64,
    west: i32,
    south: i32,
    east: i32,
    north: i32,
}

impl Cell {
    const EMPTY: Self = Self {
        x: 0.0,
        y: 0.0,
        hosts: 0,
        places: 0,
        stale: 0,
        top: 0,
        top_hosts: 0,
        west: i32::MAX,
        south: i32::MAX,
        east: i32::MIN,
        north: i32::MIN,
    };
}

/// A place where it falls on the map, its longitude past 180 degrees where the box crosses the antimeridian.
struct Point {
    x: f64,
    y: f64,
    longitude: i32,
}

/// What turns places into points of this view.
struct Frame {
    /// Pixels of the world.
    world: f64,
    /// Pixels for each step of a projected coordinate.
    scale: f64,
    /// Longitudes below this lie past the antimeridian.
    beyond: i32,
}

impl View<'_> {
    /// The places in the box that have hosts: those that stand for an area, and the others.
    fn inside(&self) -> (Vec<u32>, Vec<u32>) {
        let BoundingBox { west, south, east, north } = self.bbox;
        let crosses = west > east;
        let (west, east) = (first_unit(west), last_unit(east));
        let (south, north) = (first_unit(south), last_unit(north));
        self.places.select(|latitude, longitude| {
            let (after, before) = (longitude >= west, longitude <= east);
            let across = if crosses { after || before } else { after && before };
            across && latitude >= south && latitude <= north
        })
    }

    fn frame(&self) -> Frame {
        let world = world_pixels(self.zoom);
        let crosses = self.bbox.west > self.bbox.east;
        let beyond = if crosses { first_unit(self.bbox.west) } else { i32::MIN };
        Frame { world, scale: world / 4_294_967_296.0, beyond }
    }

    fn point(&self, index: u32, frame: &Frame) -> Point {
        let longitude = self.places.longitude(index);
        let (x, y) = self.places.projected(index);
        let (x, y) = (f64::from(x) * frame.scale, f64::from(y) * frame.scale);
        if longitude < frame.beyond {
            return Point { x: x + frame.world, y, longitude: longitude + 36_000_000 };
        }
        Point { x, y, longitude }
    }

    fn stale(&self, id: PlaceId, hosts: u64) -> u64 {
        if self.stale.is_empty() { 0 } else { self.stale.get(&id).map_or(0, |stale| (*stale).min(hosts)) }
    }

    fn mark(&self, index: u32) -> Mark {
        let place = self.places.get(index);
        let latitude = place.coordinate.units().0;
        let Point { x, y, longitude } = self.point(index, &self.frame());
        Mark {
            area: place.precision != Precision::City,
            x,
            y,
            hosts: place.hosts,
            places: 1,
            stale: self.stale(place.id, place.hosts),
            top: place.id,
            top_hosts: place.hosts,
            precision: place.precision,
            radius: radius(place.hosts),
            west: longitude,
            south: latitude,
            east: longitude,
            north: latitude,
        }
    }

    fn area_marks(&self, indexes: &[u32]) -> Vec<Mark> {
        let mut groups: HashMap<u32, Mark> = HashMap::new();
        let mut alone = Vec::new();
        for &index in indexes {
            let mark = self.mark(index);
            match self.areas.group(mark.top) {
                Some(group) => {
                    groups.entry(group).and_modify(|known| known.take(&mark)).or_insert(mark);
                }
                None => alone.push(mark),
            }
        }
        let mut marks: Vec<_> = groups.into_values().chain(alone).collect();
        sort(&mut marks);
        marks
    }

    fn point_marks(&self, indexes: &[u32]) -> Vec<Mark> {
        if indexes.len() <= FEW_PLACES {
            let marks = indexes.iter().map(|&index| self.mark(index)).collect();
            return join_cells(marks, CELL);
        }
        self.point_marks_by_table(indexes)
    }

    /// Sums the places up in a table of cells that covers them.
    fn point_marks_by_table(&self, indexes: &[u32]) -> Vec<Mark> {
        let frame = self.frame();
        let (mut left, mut top, mut right, mut bottom) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        for &index in indexes {
            let Point { x, y, .. } = self.point(index, &frame);
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        let mut size = CELL;
        let span = |from: f64, to: f64, size: f64| (to / size).floor() - (from / size).floor() + 1.0;
        while span(left, right, size) * span(top, bottom, size) > MOST_CELLS {
            size *= 2.0;
        }
        let columns = cell_number(span(left, right, size));
        let (first_column, first_row) = (cell_number(left / size), cell_number(top / size));
        let mut cells = vec![Cell::EMPTY; columns * cell_number(span(top, bottom, size))];
        let cells_per_pixel = 1.0 / size;
        for &index in indexes {
            let point = self.point(index, &frame);
            let column = cell_number(point.x * cells_per_pixel) - first_column;
            let row = cell_number(point.y * cells_per_pixel) - first_row;
            self.add(&mut cells[row * columns + column], index, &point);
        }
        let occupied = cells.iter().filter(|cell| cell.places > 0);
        let mut marks: Vec<_> = occupied.map(|cell| self.cell_mark(cell)).collect();
        sort(&mut marks);
        marks
    }

    fn add(&self, cell: &mut Cell, index: u32, point: &Point) {
        let hosts = self.places.hosts_at(index);
        let latitude = self.places.latitude(index);
        #[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
        let weight = hosts as f64;
        cell.x += point.x * weight;
        cell.y += point.y * weight;
        cell.hosts += hosts;
        cell.places += 1;
        if hosts > cell.top_hosts {
            (cell.top, cell.top_hosts) = (index, hosts);
        }
        if !self.stale.is_empty() {
            cell.stale += self.stale(self.places.id(index), hosts);
        }
        cell.west = cell.west.min(point.longitude);
        cell.east = cell.east.max(point.longitude);
        cell.south = cell.south.min(latitude);
        cell.north = cell.north.max(latitude);
    }

    fn cell_mark(&self, cell: &Cell) -> Mark {
        if cell.places == 1 {
            return self.mark(cell.top);
        }
        #[expect(clippy::cast_precision_loss, reason = "host counts stay far below 2^53")]
        let weight = cell.hosts as f64;
        Mark {
            x: cell.x / weight,
            y: cell.y / weight,
            hosts: cell.hosts,
            places: cell.places,
            stale: cell.stale,
            radius: radius(cell.hosts),
            west: cell.west,
            south: cell.south,
            east: cell.east,
            north: cell.north,
            ..self.mark(cell.top)
        }
    }
}

/// Joins marks until none covers another and there are at most `most`.
fn space_out(mut marks: Vec<Mark>, most: usize) -> Vec<Mark> {
    let mut cell = CELL;
    while marks.len() > MOST_COMPARED {
        cell *= 2.0;
        marks = join_cells(marks, cell);
    }
    loop {
        join_overlapping(&mut marks);
        if marks.len() <= most {
            return marks;
        }
        cell *= 2.0;
        marks = join_cells(marks, cell);
    }
}

/// Joins the marks whose centres lie in the same cell.
fn join_cells(marks: Vec<Mark>, cell: f64) -> Vec<Mark> {
    let mut cells: HashMap<(usize, usize), Mark> = HashMap::new();
    for mark in marks {
        let key = (cell_number(mark.x / cell), cell_number(mark.y / cell));
        cells.entry(key).and_modify(|known| known.take(&mark)).or_insert(mark);
    }
    let mut marks: Vec<_> = cells.into_values().collect();
    sort(&mut marks);
    marks
}

/// Joins each mark with the one it overlaps most, until it overlaps none.
///
/// A joined mark is compared with all others again, so in the end every pair was compared after both stood still.
fn join_overlapping(marks: &mut Vec<Mark>) {
    let mut at = 0;
    while at < marks.len() {
        let mark = &marks[at];
        let mut worst: Option<(usize, f64)> = None;
        for (index, other) in marks.iter().enumerate() {
            let Some(overlap) = mark.overlap(other).filter(|_| index != at) else { continue };
            if worst.is_none_or(|(_, most)| overlap > most) {
                worst = Some((index, overlap));
            }
        }
        let Some((other, _)) = worst else {
            at += 1;
            continue;
        };
        let other_mark = marks.remove(other);
        if other < at {
            at -= 1;
        }
        marks[at].take(&other_mark);
    }
}

/// The same places give the same marks, whatever order a map or a table gave them in: most hosts first.
fn sort(marks: &mut [Mark]) {
    marks.sort_unstable_by_key(|mark| (std::cmp::Reverse(mark.hosts), mark.top));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels of two worlds at most, from 0"
)]
fn cell_number(cells: f64) -> usize {
    cells as usize
}

/// The first unit of 0.00001 degree that is not before `degrees`; a billionth of a unit is rounding.
#[expect(clippy::cast_possible_truncation, reason = "180 degrees are 18,000,000 units")]
fn first_unit(degrees: f64) -> i32 {
    (degrees * 1e5 - 1e-6).ceil() as i32
}

/// The last unit of 0.00001 degree that is not after `degrees`.
#[expect(clippy::cast_possible_truncation, reason = "180 degrees are 18,000,000 units")]
fn last_unit(degrees: f64) -> i32 {
    (degrees * 1e5 + 1e-6).floor() as i32
}

#[cfg(test)]
mod tests;
