import type { HostRow, MapAnswer, Mark, Page as Listed } from '../support/answers.ts';
import type { Page } from '@playwright/test';
import { names, pixelsOf, watchNames } from '../support/canvas.ts';
import { expect, test } from '../support/test.ts';
import { MapPage } from '../pages/map.ts';

test.use({ shared: true });

const pointsOf = (answer: MapAnswer): Mark[] => answer.clusters.filter((mark) => mark.kind !== 'area');

/** Opens the map and waits until what it fetched is drawn. */
async function settled(map: MapPage, address: string): Promise<MapAnswer> {
  const answer = await map.after(() => map.open(address));
  await map.page.waitForLoadState('networkidle');
  await map.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  return answer;
}

test('near by there are rivers, lakes, boundaries and towns, from this server alone and for ever', async ({ page }) => {
  const tiles: string[] = [];
  page.on('response', (response) => {
    if (/\/basemap\/detail-[0-9a-f]+\//.test(response.url())) {
      tiles.push(`${response.status()} ${response.headers()['cache-control']}`);
    }
  });
  await watchNames(page);
  const map = new MapPage(page);
  await settled(map, '/');
  expect(tiles, 'tiles of the first view').toEqual([]);

  await settled(map, '/?q=country:NZ&lat=47.2&lon=8.8&zoom=8');

  expect(tiles.length).toBeGreaterThan(1);
  expect(new Set(tiles)).toEqual(new Set(['200 public, max-age=31536000, immutable']));
  // A blank sheet has two colours: land, and the borders that cross it.
  expect(await pixelsOf(page, '--map-river'), 'rivers').toBeGreaterThan(300);
  expect(await pixelsOf(page, '--map-sea'), 'lakes').toBeGreaterThan(3_000);
  expect(await pixelsOf(page, '--map-border'), 'boundaries of states').toBeGreaterThan(100);
  const written = (await names(page)).map((name) => name.text);
  expect(written).toEqual(expect.arrayContaining(['Zürich', 'Bern', 'Luzern']));
});

for (const zoom of [4, 5, 6]) {
  test(`at zoom ${zoom} the marks with the most hosts have names`, async ({ page, atlas }) => {
    await watchNames(page);
    const world = pointsOf(await atlas.get<MapAnswer>('/map?bbox=-180,-85,180,85&zoom=5'));
    const [most] = world.sort((a, b) => b.hosts - a.hosts);
    const map = new MapPage(page);

    const answer = await settled(map, `/?lat=${most?.latitude}&lon=${most?.longitude}&zoom=${zoom}`);

    const written = new Set((await names(page)).map((name) => name.text));
    // Their twins stand where they are drawn: those at the edge may have no room for a name.
    const shown = pointsOf(answer).filter((mark) => map.isWellInside(mark, most as Mark, zoom));
    const largest = shown.sort((a, b) => b.hosts - a.hosts).slice(0, 5);
    expect(largest.length).toBeGreaterThan(2);
    expect(largest.filter((mark) => !written.has(mark.label)).map((mark) => `${mark.label} ${mark.hosts}`)).toEqual([]);
  });
}

/** Lets the map draw these marks instead of the server's. */
async function draw(page: Page, marks: Partial<Mark>[]): Promise<void> {
  const clusters = marks.map((mark) => ({ kind: 'place', hosts: 1, places: 1, place_id: null, country_code: 'CH', stale: 0, ...mark }));
  const hosts = clusters.reduce((sum, mark) => sum + mark.hosts, 0);
  const answer = { clusters, hosts, places: clusters.length, nearest: null };
  await page.route('**/api/v1/map?**', (route) => route.fulfill({ json: answer }));
}

test('a town has its name once, at its largest mark', async ({ page }) => {
  const around = Array.from({ length: 12 }, (_, index) => ({
    label: 'Zürich', hosts: 40 - index, latitude: 47.38 + 0.04 * Math.sin(index), longitude: 8.54 + 0.06 * Math.cos(index),
  }));
  await draw(page, [...around, { label: 'Zürich', hosts: 5, latitude: 47.38, longitude: 9.6 }]);
  await watchNames(page);
  const map = new MapPage(page);

  await settled(map, '/?lat=47.38&lon=8.9&zoom=10');

  const written = (await names(page)).filter((name) => name.text === 'Zürich').sort((one, other) => one.x - other.x);
  // Once in the town, and once for another of that name far away.
  expect(written).toHaveLength(2);
  const at = await map.pixelOf(/^Zürich, Switzerland, 40 hosts/);
  expect(Math.hypot((written[0]?.x ?? 0) - at.x, (written[0]?.y ?? 0) - at.y)).toBeLessThan(60);
});

test('of marks with as many hosts that of the most people has its name first', async ({ page }) => {
  // South of it, so that the server would list them first, and too close for all to have names.
  const villages = Array.from({ length: 24 }, (_, index) => ({
    label: `Oberunterhinterdorf ${index}`, latitude: 47.38 - 0.03 * Math.floor(index / 6), longitude: 8.41 + 0.05 * (index % 6),
  }));
  await draw(page, [...villages.reverse(), { label: 'Zürich', latitude: 47.38, longitude: 8.55 }]);
  await watchNames(page);

  await settled(new MapPage(page), '/?lat=47.38&lon=8.55&zoom=9.5');

  const written = (await names(page)).map((name) => name.text);
  expect(written).toContain('Zürich');
  expect(written.filter((name) => name.startsWith('Oberunter')).length).toBeLessThan(24);
});

test('the small map of a host shows where in its country the host is, within 250 KB', async ({ page, atlas }) => {
  const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=country:DE&limit=50');
  const host = items.find((item) => item.city !== null) as HostRow;
  await watchNames(page);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  const tile = page.waitForResponse(/\/basemap\/detail-[0-9a-f]+\//);

  await page.goto(`/hosts/${host.ip}`);
  await tile;
  await page.waitForLoadState('networkidle');

  const degrees = (await names(page)).flatMap(({ text, x }) => {
    const match = /^([\d.]+)°.E$/.exec(text);
    return match ? [{ degrees: Number(match[1]), x }] : [];
  });
  const [first, last] = [degrees[0], degrees.at(-1)];
  expect(degrees.length, 'meridians in sight').toBeGreaterThan(1);
  // Germany, from its westernmost to its easternmost point, and not much more.
  const width = (await page.locator('.minimap').boundingBox())?.width ?? 0;
  const pixels = ((last?.x ?? 0) - (first?.x ?? 0)) / ((last?.degrees ?? 0) - (first?.degrees ?? 0));
  const at = (longitude: number): number => (first?.x ?? 0) + (longitude - (first?.degrees ?? 0)) * pixels;
  expect(at(5.9)).toBeGreaterThan(0);
  expect(at(15)).toBeLessThan(width);
  expect(at(15) - at(5.9)).toBeGreaterThan(width / 5);
  expect(await pixelsOf(page, '--map-river'), 'rivers').toBeGreaterThan(5);
  expect(bytes).toBeLessThanOrEqual(250_000);
  console.log(`page of a host: ${bytes} bytes`);
});
