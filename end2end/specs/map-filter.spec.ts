import type { MapAnswer } from '../support/answers.ts';
import { grouped } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { MapPage } from '../pages/map.ts';

test.use({ shared: true });

/** In the South Pacific, where no scan finds anything. */
const NOWHERE = 'lat=-55&lon=-135&zoom=6';

test('a filtered map opens on its result, with the terms and the counts of the filter', async ({ page, atlas }) => {
  const all = await atlas.get<MapAnswer>('/map?bbox=-180,-90,180,90&zoom=2&q=country:DE');
  const map = new MapPage(page);

  const asked = page.waitForRequest((request) => new URL(request.url()).pathname === '/api/v1/map');
  await map.open('/?q=country:DE');

  // Near enough to tell places apart, and nothing of the result out of sight.
  expect(Number(new URL((await asked).url()).searchParams.get('zoom'))).toBeGreaterThanOrEqual(4);
  await expect.poll(() => map.hosts()).toBe(all.hosts);
  expect(await map.entries()).toBeGreaterThan(3);
  const terms = page.getByRole('list', { name: 'Terms of the query' });
  await expect(terms.getByRole('listitem')).toHaveText('country:DE');
  const strip = page.getByRole('region', { name: 'Coverage' });
  await expect(strip).toContainText(`${grouped(all.hosts)} hosts match`);
  await expect(strip).toContainText(`Located ${grouped(all.hosts)}`);

  await terms.getByRole('link', { name: 'Remove country:DE' }).click();

  await expect(page).toHaveURL(/\/(\?lat.*)?$/);
  await expect.poll(() => map.hosts()).toBeGreaterThan(all.hosts);
  await expect(strip).not.toContainText('match');
});

test('a filtered map with a position stays at that position', async ({ page }) => {
  const map = new MapPage(page);
  const asked = page.waitForRequest((request) => new URL(request.url()).pathname === '/api/v1/map');
  await map.open('/?q=country:DE&lat=20&lon=0&zoom=3');
  expect(new URL((await asked).url()).searchParams.get('zoom')).toBe('3');
});

test('a view with nothing in it says so, and leads to the nearest hosts or to all', async ({ page, atlas }) => {
  const world = await atlas.get<MapAnswer>('/map?bbox=-180,-90,180,90&zoom=2');
  const map = new MapPage(page);
  await map.open(`/?${NOWHERE}`);
  const note = page.locator('#map-nothing');
  await expect(note).toContainText(/^No host is in this view\. The nearest is .+\skm to the .+, with [\d,]+.hosts?\./);

  await note.getByRole('link', { name: 'Go to the nearest hosts' }).click();
  await expect(note).toBeHidden();
  await expect.poll(() => map.hosts()).toBeGreaterThan(0);

  await map.open(`/?${NOWHERE}`);
  await note.getByRole('button', { name: 'Show all hosts' }).click();
  await expect(note).toBeHidden();
  await expect.poll(() => map.hosts()).toBe(world.hosts);
});

test('of a filtered map all that match are shown again', async ({ page, atlas }) => {
  const all = await atlas.get<MapAnswer>('/map?bbox=-180,-90,180,90&zoom=2&q=country:DE');
  const map = new MapPage(page);
  await map.open(`/?q=country:DE&${NOWHERE}`);

  await page.getByRole('button', { name: 'Show all that match' }).click();

  await expect.poll(() => map.hosts()).toBe(all.hosts);
  await expect.poll(() => map.zoomInAddress()).toBeGreaterThanOrEqual(4);
});

test('an empty list of places says where the nearest is, and leads there', async ({ page }) => {
  const map = new MapPage(page);
  await map.open(`/?list=1&${NOWHERE}`);
  await expect(map.panel).toContainText('No place is in this view.');
  await expect(map.panel).toContainText(/The nearest is .+\skm to the /);
  await expect(map.panel.getByRole('table')).toHaveCount(0);

  await map.panel.getByRole('link', { name: /^Go to / }).click();

  const rows = map.panel.getByRole('table').locator('tbody').getByRole('row');
  await expect(rows.first()).toBeVisible();
  await expect(map.panel).not.toContainText('No place is in this view.');
});

test('the tooltip of a mark goes with the mark', async ({ page }) => {
  const map = new MapPage(page);
  await map.open();
  await map.isReady();
  const at = await map.pixelOf(/ more places?, /);
  const tip = page.locator('.maptip');
  await map.map.hover({ position: at });
  await expect(tip).toBeVisible();
  const hosts = await map.hosts();

  await map.map.click({ position: at });

  await expect.poll(() => map.hosts()).toBeLessThan(hosts);
  await expect(tip).toBeHidden();
});
