import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { violations } from '../support/axe.ts';
import { folderWithCandidates } from '../support/databases.ts';
import { root } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

const screenshots = join(root, 'end2end/output/screenshots');
const folder = mkdtempSync(join(tmpdir(), 'hostatlas-e2e-databases-'));
test.use({ choices: { worker: false, environment: { HOSTATLAS_MMDB_DIR: folderWithCandidates(folder) } } });
test.afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SIZES = {
  wide: { width: 1280, height: 800 },
  narrow: { width: 375, height: 812 },
  narrowest: { width: 360, height: 740 },
} as const;

test('a candidate is compared without a reload, and what would change is told', async ({ page, atlas }) => {
  await atlas.import();
  await atlas.run('worker', '--drain');
  await page.goto('/providers');
  await page.getByRole('link', { name: 'Database files' }).click();
  await expect(page.getByRole('navigation', { name: 'Main' }).getByRole('link')).toHaveCount(5);
  await expect(page.getByRole('table', { name: 'Installed database files' })).not.toContainText('city-new.mmdb');
  await expect(page.getByText('Nothing was compared since the server started.')).toBeVisible();
  await page.evaluate(() => Object.assign(window, { untouched: true }));

  await page.getByRole('button', { name: 'Compare city-new.mmdb' }).click();

  await expect(page.locator('#comparison-state')).toContainText(/city-new\.mmdb would move [\d,]+ of [\d,]+.hosts/);
  const distances = page.getByRole('table', { name: 'Hosts by how far they would move' });
  await expect(distances.getByRole('row', { name: /^same place [1-9]/ })).toBeVisible();
  await expect(distances.getByRole('row', { name: /^100 to 500 km [1-9]/ })).toBeVisible();
  const farthest = page.getByRole('table', { name: 'The farthest moves' });
  await expect(farthest.locator('tbody').getByRole('row')).toHaveCount(20);
  expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [name, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      expect.soft(await violations(page), `${colorScheme}, ${name}`).toEqual([]);
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect.soft(overflow, `${colorScheme}, ${name} scrolls sideways`).toBeLessThanOrEqual(0);
      await page.screenshot({ path: join(screenshots, `databases-${colorScheme}-${name}.png`), fullPage: true });
    }
  }
  const host = farthest.locator('tbody').getByRole('rowheader').first().getByRole('link');
  const ip = (await host.textContent()) ?? '';
  await host.click();
  await expect(page).toHaveURL(`/hosts/${ip.trim()}`);
});

test('what is no database is refused in words', async ({ page }) => {
  await page.goto('/databases');

  await page.getByRole('button', { name: 'Compare no-database.mmdb' }).click();

  await expect(page.locator('#comparison-state')).toContainText('no-database.mmdb was not compared');
  await expect(page.locator('#comparison-progress')).toContainText('is no MMDB file');
  expect(await violations(page)).toEqual([]);
});

test.describe('without scripts', () => {
  test.use({ javaScriptEnabled: false });

  test('a comparison is a form, and its result a reload away', async ({ page, atlas, guard }) => {
    guard.expect(/was preloaded using link preload but not used/);
    await atlas.import();
    await atlas.run('worker', '--drain');
    await page.goto('/databases');

    await page.getByRole('button', { name: 'Compare city-new.mmdb' }).click();

    await expect(page).toHaveURL('/databases');
    await expect(async () => {
      await page.reload();
      await expect(page.locator('#comparison-state')).toContainText('would move', { timeout: 1_000 });
    }).toPass();
    await expect(page.getByRole('table', { name: 'The farthest moves' })).toBeVisible();
  });
});
