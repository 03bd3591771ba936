import type { Coverage, MapAnswer } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { MapPage } from '../pages/map.ts';

test('an empty map says why, and what to do', async ({ page }) => {
  const map = new MapPage(page);
  await map.open();

  await expect(map.map).toHaveAttribute('data-state', 'empty');
  await expect(page.getByText(/hostatlas import/).first()).toBeVisible();
});

test('an import fills the open map without a reload', async ({ page, atlas }) => {
  const map = new MapPage(page);
  await map.open();
  await expect(map.map).toHaveAttribute('data-hosts', '0');
  await page.evaluate(() => Object.assign(window, { untouched: true }));

  const report = await atlas.import();

  expect(report).toMatchObject({ hosts_new: 5_000, jobs_queued: 5_000 });
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { located, unlocated } = await atlas.get<Coverage>('/coverage');
  expect(located + unlocated).toBe(5_000);
  expect(unlocated).toBeGreaterThan(0);
  await expect.poll(() => map.hosts()).toBe(located);
  await map.isReady();
  expect(await map.entries()).toBeGreaterThan(20);
  expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
});

test('a map whose server is gone says so, and comes back with it', async ({ page, atlas, guard }) => {
  guard.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|Failed to load/);
  await atlas.import('samples/scans/banners.json');
  const map = new MapPage(page);
  await map.open();
  await atlas.stop();

  await map.zoom.getByRole('button', { name: 'Zoom in' }).click();
  await expect(map.map).toHaveAttribute('data-state', 'error');
  await expect(page.getByRole('alert')).toContainText('server does not answer');

  await atlas.serve();
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(map.map).toHaveAttribute('data-state', /^(ready|empty)$/);
});

test('undoing the only import empties the open map', async ({ page, atlas }) => {
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const map = new MapPage(page);
  await map.open();
  await map.isReady();

  await atlas.run('import', 'undo', '1');

  await expect(map.map).toHaveAttribute('data-state', 'empty');
  await expect(page.getByRole('heading', { name: 'No host has been imported yet' })).toBeVisible();
});

test('paused, the map stays as it is; resumed, it catches up', async ({ page, atlas }) => {
  const map = new MapPage(page);
  await map.open();
  await page.getByRole('button', { name: 'Live: pause updates' }).click();
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  await expect(map.map).toHaveAttribute('data-hosts', '0');

  await page.getByRole('button', { name: 'Paused: resume live updates' }).click();

  const { located } = await atlas.get<Coverage>('/coverage');
  await expect.poll(() => map.hosts()).toBe(located);
});

test('all hosts of a place are refreshed at once, with progress', async ({ page, atlas }) => {
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { clusters } = await atlas.get<MapAnswer>('/map?bbox=-180,-85,180,85&zoom=8');
  const place = clusters.filter((mark) => mark.kind === 'place').sort((a, b) => b.hosts - a.hosts)[0];
  const map = new MapPage(page);
  await map.open(`/?place=${place?.place_id}`);

  await map.panel.getByRole('button', { name: 'Force refresh' }).first().click();

  const status = map.panel.getByRole('status').filter({ hasText: `Looked up ${place?.hosts} hosts` });
  await expect(status).toContainText(`${place?.hosts} located`);
});
