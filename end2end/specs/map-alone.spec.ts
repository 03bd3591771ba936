import type { Coverage } from '../support/answers.ts';
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
