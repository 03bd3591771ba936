use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::Array;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::Path2d;

use super::viewport::{Viewport, WORLD};
use crate::browser::{self, Json};

/// Units of a tile's side, in which its shapes are written.
pub const EXTENT: f64 = 4096.0;
/// More tiles than this are let go, those that were fetched first before others.
const KEPT: usize = 96;

/// What is drawn of one tile of the earth. Its shapes go a little beyond its edges.
pub struct Tile {
    /// Land, to be filled; its edge is the coast.
    pub land: Option<Path2d>,
    /// Lakes.
    pub lakes: Option<Path2d>,
    /// Great rivers.
    pub rivers: Option<Path2d>,
    /// Lesser ones.
    pub streams: Option<Path2d>,
    /// Boundaries of the first order within countries.
    pub states: Option<Path2d>,
    /// Boundaries of countries.
    pub borders: Option<Path2d>,
    /// Those that are not agreed on.
    pub disputed: Option<Path2d>,
    /// Places, greatest first.
    pub towns: Vec<Town>,
}

/// A place where people live.
pub struct Town {
    /// Its name.
    pub name: String,
    /// In units of the square at zoom 0.
    pub at: (f64, f64),
    /// 0 for the greatest.
    pub rank: f64,
    /// Whether a country is governed from it.
    pub capital: bool,
    /// People.
    pub people: f64,
}

/// The tiles of one grid, and from which zoom they are drawn.
struct Level {
    grid: i32,
    from: f64,
    /// A row of `0` and `1` for each row of tiles: whether one is there. Where none is, there is only sea.
    rows: Vec<String>,
}

/// A tile's number: its grid, its column and its row.
type Key = (i32, i32, i32);

/// One tile of a view. Where the view goes around the world, the same tile is seen more than once.
pub struct Seen {
    /// Left, top and side on the screen, in pixels.
    pub place: (f64, f64, f64),
    /// None until it was fetched.
    pub tile: Option<Rc<Tile>>,
}

/// The near map: tiles that are fetched when somebody comes near.
#[derive(Default)]
pub struct Tiles {
    /// Which tiles there are; none until it was fetched.
    index: RefCell<Option<Index>>,
    asked: Cell<bool>,
    /// Those that were asked for; none until they came.
    tiles: RefCell<Vec<(Key, Option<Rc<Tile>>)>>,
}

/// `/basemap/detail.json`.
struct Index {
    folder: String,
    levels: Vec<Level>,
}

impl Index {
    fn read(data: &Json) -> Option<Self> {
        let level = |level: &Json| {
            let rows = level.get("rows").items();
            let rows = rows.iter().filter_map(|row| row.0.as_string()).collect();
            Some(Level { grid: whole(level.number("grid")?), from: level.number("from")?, rows })
        };
        let levels = data.get("levels").items().iter().filter_map(level).collect();
        Some(Self { folder: data.text("folder")?, levels })
    }
}

impl Tiles {
    /// From this zoom on there are tiles.
    pub const LEAST_ZOOM: f64 = 4.0;

    /// The tiles of a view that are not only sea; none where the view is too far away for tiles, or nothing is known of them yet.
    pub fn seen(&self, viewport: &Viewport) -> Option<Vec<Seen>> {
        let keys = self.keys(viewport)?;
        let tiles = self.tiles.borrow();
        let find = |key| tiles.iter().find(|(known, _)| *known == key).and_then(|(_, tile)| tile.clone());
        Some(keys.into_iter().map(|(key, place)| Seen { place, tile: find(key) }).collect())
    }

    fn keys(&self, viewport: &Viewport) -> Option<Vec<(Key, (f64, f64, f64))>> {
        let index = self.index.borrow();
        let level = index.as_ref()?.levels.iter().rev().find(|level| viewport.zoom >= level.from)?;
        let across = 1 << level.grid;
        let side = viewport.copy_width() / f64::from(across);
        let (left, top) = viewport.origin();
        let number = |pixel: f64, origin: f64| whole(((pixel - origin) / side).floor());
        let mut keys = Vec::new();
        for row in number(0.0, top).max(0)..=number(viewport.height, top).min(across - 1) {
            for column in number(0.0, left)..=number(viewport.width, left) {
                let key = (level.grid, column.rem_euclid(across), row);
                let there = usize::try_from(row).ok().and_then(|row| level.rows.get(row));
                let there = there.zip(usize::try_from(key.1).ok());
                if there.is_some_and(|(row, column)| row.as_bytes().get(column) == Some(&b'1')) {
                    keys.push((key, (left + f64::from(column) * side, top + f64::from(row) * side, side)));
                }
            }
        }
        Some(keys)
    }

    /// Fetches what a view lacks, and calls `came` for all that came: what is in view then may lack more. What failed is
    /// asked for again next time.
    pub fn want(self: &Rc<Self>, viewport: &Viewport, came: &Rc<dyn Fn()>) {
        if viewport.zoom < Self::LEAST_ZOOM {
            return;
        }
        if self.index.borrow().is_none() {
            if !self.asked.replace(true) {
                self.fetch("/basemap/detail.json".to_owned(), None, came);
            }
            return;
        }
        for (key, _) in self.keys(viewport).unwrap_or_default() {
            if self.tiles.borrow().iter().any(|(known, _)| *known == key) {
                continue;
            }
            self.tiles.borrow_mut().push((key, None));
            let folder = self.index.borrow().as_ref().map(|index| index.folder.clone()).unwrap_or_default();
            let (grid, column, row) = key;
            self.fetch(format!("/basemap/{folder}/{grid}/{column}-{row}.json"), Some(key), came);
        }
    }

    /// Fetches a tile, or what tiles there are.
    fn fetch(self: &Rc<Self>, url: String, key: Option<Key>, came: &Rc<dyn Fn()>) {
        let (tiles, came) = (Rc::clone(self), Rc::clone(came));
        spawn_local(async move {
            let data = browser::get_json(&url, None).await.ok();
            let has_come = data.is_some();
            match key {
                Some(key) => tiles.keep(key, data.map(|data| Rc::new(Tile::read(&data, key)))),
                None => {
                    tiles.asked.set(false);
                    tiles.index.replace(data.as_ref().and_then(Index::read));
                }
            }
            if has_come {
                came();
            }
        });
    }

    fn keep(&self, key: Key, tile: Option<Rc<Tile>>) {
        let mut tiles = self.tiles.borrow_mut();
        tiles.retain(|(known, _)| *known != key);
        if tile.is_some() {
            tiles.push((key, tile));
        }
        let surplus = tiles.len().saturating_sub(KEPT);
        tiles.drain(..surplus);
    }
}

impl Tile {
    fn read(data: &Json, (grid, column, row): Key) -> Self {
        let path = |name: &str| data.text(name).and_then(|path| Path2d::new_with_path_string(&path).ok());
        let side = WORLD / f64::from(1 << grid);
        let at =
            |x: f64, y: f64| ((f64::from(column) + x / EXTENT) * side, (f64::from(row) + y / EXTENT) * side);
        let town = |town: Json| {
            let fields: Array = town.0.dyn_into().ok()?;
            let number = |index| fields.get(index).as_f64();
            Some(Town {
                name: fields.get(0).as_string()?,
                at: at(number(1)?, number(2)?),
                rank: number(3)?,
                capital: number(4) == Some(1.0),
                people: number(5).unwrap_or_default(),
            })
        };
        Self {
            land: path("land"),
            lakes: path("lake"),
            rivers: path("river"),
            streams: path("stream"),
            states: path("state"),
            borders: path("border"),
            disputed: path("disputed"),
            towns: data.get("towns").items().into_iter().filter_map(town).collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of tiles, a few thousand at most")]
fn whole(number: f64) -> i32 {
    number as i32
}
