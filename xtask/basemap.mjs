// Makes public/basemap/ from world-atlas (Natural Earth). Run by `cargo xtask basemap`; the results are committed.
//
// world-atlas is stitched for a sphere: its rings cross the antimeridian and the poles, and drawn flat they
// become bands across the whole map. So every shape is clipped once, here, on an equirectangular plane whose
// units are degrees.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { geoArea, geoEquirectangular } from 'd3-geo';
import { geoProject } from 'd3-geo-projection';
import { feature, mesh } from 'topojson-client';
import { alpha2, fullNames, seas, withoutNumber } from './basemap-names.mjs';

const OUTPUT = 'public/basemap';
/** `cargo xtask borders` reads it; no page does. */
const OUTLINES = 'xtask/data';
/** Coordinates are kept to what they are for: tenths of a degree in the world view, hundredths for borders. */
const SCALES = { '110m': { units: 10, precision: 0.5 }, '50m': { units: 100, precision: 0.1 } };
const round = (degrees, units) => Math.round(degrees * units) / units;

/** A plane in degrees, north up as in GeoJSON. `precision` is how far a resampled edge may stray, in degrees. */
const degrees = (precision) =>
  geoEquirectangular().scale(180 / Math.PI).translate([0, 0]).reflectY(true).precision(precision);

const atlas = (scale) => JSON.parse(readFileSync(`node_modules/world-atlas/countries-${scale}.json`, 'utf8'));

function ring(points, units) {
  const rounded = [];
  for (const [x, y] of points) {
    const point = [round(x, units), round(y, units)];
    const last = rounded.at(-1);
    if (!last || last[0] !== point[0] || last[1] !== point[1]) rounded.push(point);
  }
  return rounded;
}

function flatten(geometry, units) {
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
  const kept = polygons
    .map((rings) => rings.map((points) => ring(points, units)).filter((points) => points.length > 3))
    .filter((rings) => rings.length > 0);
  return { type: 'MultiPolygon', coordinates: kept };
}

function identity(source) {
  const short = source.properties.name;
  const name = fullNames[short] ?? short;
  if (source.id === undefined || (source.id === '036' && short !== 'Australia')) {
    return { id: '', a2: withoutNumber[short] ?? '', name };
  }
  const a2 = alpha2[source.id];
  if (!a2) throw new Error(`no alpha-2 code for ${source.id} ${short}`);
  return { id: source.id, a2, name };
}

function countries(scale) {
  const { units, precision } = SCALES[scale];
  const topology = atlas(scale);
  const sphere = feature(topology, topology.objects.countries);
  const features = sphere.features.map((source) => ({
    type: 'Feature',
    properties: identity(source),
    geometry: flatten(geoProject(source.geometry, degrees(precision)), units),
  }));
  features.sort((a, b) => a.properties.name.localeCompare(b.properties.name, 'en'));
  return { flat: { type: 'FeatureCollection', features }, topology, sphere };
}

const planarArea = (points) =>
  Math.abs(points.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    return sum + (x * nextY - nextX * y);
  }, 0)) / 2;

/** Distance from a point to the outline in degrees, negative outside. */
function depth([x, y], points) {
  let inside = false;
  let nearest = Infinity;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [ax, ay] = points[i];
    const [bx, by] = points[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length));
    nearest = Math.min(nearest, Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)));
  }
  return inside ? nearest : -nearest;
}

/** The point deepest inside an outline: a name centred there stays clear of the coast, where a centroid may lie in the sea. */
function deepest(points) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  let [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  let best = { at: points[0], depth: -Infinity };
  for (let pass = 0; pass < 4; pass++) {
    const stepX = (east - west) / 16;
    const stepY = (north - south) / 16;
    for (let x = west; x <= east; x += stepX || 1) {
      for (let y = south; y <= north; y += stepY || 1) {
        const found = depth([x, y], points);
        if (found > best.depth) best = { at: [x, y], depth: found };
      }
    }
    [west, east] = [best.at[0] - stepX, best.at[0] + stepX];
    [south, north] = [best.at[1] - stepY, best.at[1] + stepY];
  }
  return best.at;
}

/** Parts of a country that lie nearer to each other than this are looked at together, in degrees. */
const APART = 5;

/** The boxes (west, south, east, north) that show a country, the greatest first: its mainland with the islands before it, and what lies far from that. */
function frames(outlines) {
  const boxes = outlines
    .map((points) => [points.map(([x]) => x), points.map(([, y]) => y)])
    .map(([xs, ys]) => [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)])
    .sort((a, b) => size(b) - size(a));
  const groups = [];
  for (const box of boxes) {
    // Held to the first part alone: from island to island one comes across every ocean.
    const near = groups.find(({ first }) => apart(first, box) < APART)?.all;
    if (near) {
      near.splice(0, 4, Math.min(near[0], box[0]), Math.min(near[1], box[1]), Math.max(near[2], box[2]), Math.max(near[3], box[3]));
    } else {
      groups.push({ first: box, all: [...box] });
    }
  }
  return groups.map(({ all }) => all.map((value) => round(value, 10)));
}
const size = ([west, south, east, north]) => (east - west) * (north - south);
const apart = (a, b) => Math.max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]);

function labels({ flat, sphere }) {
  const area = new Map(sphere.features.map((source) => [identity(source).name, geoArea(source)]));
  const named = flat.features
    .filter(({ properties }) => properties.a2 !== '')
    .map(({ properties, geometry }) => {
      const outlines = geometry.coordinates.map(([outline]) => outline);
      const largest = outlines.reduce((a, b) => (planarArea(b) > planarArea(a) ? b : a));
      const [lon, lat] = deepest(largest).map((value) => round(value, 100));
      return { a2: properties.a2, name: properties.name, lat, lon, frames: frames(outlines), area: area.get(properties.name) };
    })
    .sort((a, b) => b.area - a.area)
    .map(({ area: _, ...label }, index) => ({ ...label, rank: index + 1 }));
  return { countries: named, seas };
}

/** An SVG path in tenths of a degree from the north-west corner, relative and whole-numbered to be small. */
function path(lines, closed) {
  return lines
    .map((points) => {
      const whole = points.map(([x, y]) => [Math.round((x + 180) * 10), Math.round((90 - y) * 10)]);
      let [lastX, lastY] = whole[0];
      let text = `M${lastX} ${lastY}l`;
      let steps = 0;
      for (const [x, y] of whole.slice(1)) {
        if (x === lastX && y === lastY) continue;
        const [dx, dy] = [x - lastX, y - lastY];
        text += `${steps > 0 && dx >= 0 ? ' ' : ''}${dx}${dy >= 0 ? ' ' : ''}${dy}`;
        [lastX, lastY, steps] = [x, y, steps + 1];
      }
      return steps > (closed ? 2 : 0) ? text + (closed ? 'z' : '') : '';
    })
    .join('');
}

function world({ topology }) {
  const plane = degrees(0.5);
  const land = geoProject(feature(topology, topology.objects.land), plane);
  const shapes = land.type === 'FeatureCollection' ? land.features.map((f) => f.geometry) : [land.geometry];
  const rings = shapes.flatMap((g) => (g.type === 'Polygon' ? g.coordinates : g.coordinates.flat()));
  const inner = mesh(topology, topology.objects.countries, (a, b) => a !== b);
  const borders = geoProject(inner, plane).coordinates;
  const svg = (drawn) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3600 1800">${drawn}</svg>\n`;
  // Two files: a page shows each as a mask in a colour of its own, and in a mask of both no border is seen on its land.
  return {
    land: svg(`<path d="${path(rings, true)}"/>`),
    borders: svg(`<path fill="none" stroke="#000" stroke-width="3" stroke-linejoin="round" d="${path(borders, false)}"/>`),
  };
}

function write(name, text, folder = OUTPUT) {
  writeFileSync(`${folder}/${name}`, text);
  console.log(`${name}: ${text.length} bytes, ${gzipSync(text, { level: 9 }).length} gzip`);
}

mkdirSync(OUTPUT, { recursive: true });
mkdirSync(OUTLINES, { recursive: true });
const coarse = countries('110m');
const fine = countries('50m');
write('countries-110m.json', JSON.stringify(coarse.flat));
write('countries-50m.json', JSON.stringify(fine.flat), OUTLINES);
write('labels.json', JSON.stringify(labels(fine)));
const { land, borders } = world(coarse);
write('world.svg', land);
write('borders.svg', borders);
