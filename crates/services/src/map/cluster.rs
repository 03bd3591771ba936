use std::collections::HashMap;

use hostatlas_domain::{BoundingBox, PlaceId, Precision};

use super::{
    index::{AreaGroups, PlaceTable},
    marks::{Mark, world_pixels},
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
/// for each country or region, joined only with each other.
pub(super) fn cluster(view: &View<'_>) -> Vec<Mark> {
    let inside = view.places_inside();
    let (areas, points): (Vec<u32>, Vec<u32>) =
        inside.into_iter().partition(|&index| view.places.precision(index) != Precision::City);
    let areas = view.area_marks(&areas);
    let mut marks = space_out(areas, MOST_AREAS);
    let room = MOST_MARKS - marks.len();
    marks.extend(space_out(view.point_marks(&points), room));
    marks
}

impl View<'_> {
    /// The places in the box that have hosts.
    fn places_inside(&self) -> Vec<u32> {
        let BoundingBox { west, south, east, north } = self.bbox;
        let (west, east) = (first_unit(west), last_unit(east));
        let (south, north) = (first_unit(south), last_unit(north));
        let crosses = self.bbox.west > self.bbox.east;
        self.places.select(|latitude, longitude| {
            let across =
                if crosses { longitude >= west || longitude <= east } else { longitude >= west && longitude <= east };
            across && latitude >= south && latitude <= north
        })
    }

    fn mark(&self, index: u32) -> Mark {
        let place = self.places.get(index);
        let world = world_pixels(self.zoom);
        let scale = world / 4_294_967_296.0;
        let (latitude, longitude) = place.coordinate.units();
        // What lies east of the antimeridian in a box that crosses it goes on past 180 degrees.
        let beyond = self.bbox.west > self.bbox.east && longitude < first_unit(self.bbox.west);
        let (x, y) = self.places.projected(index);
        let (turn, turn_units) = if beyond { (world, 36_000_000) } else { (0.0, 0) };
        Mark {
            area: place.precision != Precision::City,
            x: f64::from(x) * scale + turn,
            y: f64::from(y) * scale,
            hosts: place.hosts,
            places: 1,
            stale: self.stale.get(&place.id).map_or(0, |stale| (*stale).min(place.hosts)),
            top: place.id,
            top_hosts: place.hosts,
            precision: place.precision,
            west: longitude + turn_units,
            south: latitude,
            east: longitude + turn_units,
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

    /// A table of cells over the box: a hash for each of 100,000 places would take longer than all the rest.
    fn point_marks_by_table(&self, indexes: &[u32]) -> Vec<Mark> {
        let (mut left, mut top, mut right, mut bottom) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        let world = world_pixels(self.zoom);
        let scale = world / 4_294_967_296.0;
        let first = first_unit(self.bbox.west);
        let crosses = self.bbox.west > self.bbox.east;
        let position = |index: u32| {
            let (x, y) = self.places.projected(index);
            let turn = if crosses && self.places.longitude(index) < first { world } else { 0.0 };
            (f64::from(x) * scale + turn, f64::from(y) * scale)
        };
        for &index in indexes {
            let (x, y) = position(index);
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
        }
        let mut cell = CELL;
        let span = |from: f64, to: f64, cell: f64| (to / cell).floor() - (from / cell).floor() + 1.0;
        while span(left, right, cell) * span(top, bottom, cell) > MOST_CELLS {
            cell *= 2.0;
        }
        let columns = cell_number(span(left, right, cell));
        let (first_column, first_row) = ((left / cell).floor(), (top / cell).floor());
        let mut cells: Vec<Option<Mark>> = vec![None; columns * cell_number(span(top, bottom, cell))];
        for &index in indexes {
            let (x, y) = position(index);
            let column = cell_number((x / cell).floor() - first_column);
            let row = cell_number((y / cell).floor() - first_row);
            let mark = self.mark(index);
            match &mut cells[row * columns + column] {
                Some(known) => known.take(&mark),
                empty => *empty = Some(mark),
            }
        }
        let mut marks: Vec<_> = cells.into_iter().flatten().collect();
        sort(&mut marks);
        marks
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
        let worst = marks
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
            .filter_map(|(index, other)| mark.overlap(other).map(|overlap| (index, overlap)))
            .max_by(|one, other| one.1.total_cmp(&other.1));
        let Some((other, _)) = worst else {
            at += 1;
            continue;
        };
        let other_mark = marks[other].clone();
        marks[at].take(&other_mark);
        marks.remove(other);
        if other < at {
            at -= 1;
        }
    }
}

/// The same places give the same marks, whatever order a map or a table gave them in: most hosts first.
fn sort(marks: &mut [Mark]) {
    marks.sort_unstable_by_key(|mark| (std::cmp::Reverse(mark.hosts), mark.top));
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of two worlds at most, from 0")]
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
