import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page, TestInfo } from '@playwright/test';
import type { Coverage, Host, Page as Listed } from '../support/answers.ts';
import { violations } from '../support/axe.ts';
import { type Atlas, root } from '../support/server.ts';
import { expect, test } from '../support/test.ts';
import { HostPage } from '../pages/hosts.ts';
import { JobsPage } from '../pages/jobs.ts';

const folder = join(root, 'end2end/output/screenshots');

/** A host of the sample that the databases know to the city, alone, so that no quota is spent before the test. */
async function locatedHost(atlas: Atlas, testInfo: TestInfo): Promise<string> {
  const ip = '1.17.169.129';
  const list = testInfo.outputPath('one.txt');
  writeFileSync(list, `${ip}\n`);
  await atlas.import(list);
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).located).toBe(1);
  return ip;
}

const row = (page: Page, provider: string) => page.locator(`#provider-${provider}`);

test('without an online provider the page says that nothing leaves, and how to name one', async ({ page }) => {
  await page.goto('/providers');

  await expect(row(page, 'mmdb')).toContainText('Database, build 2026-06-01');
  await expect(row(page, 'mmdb')).toContainText('Ready');
  await expect(row(page, 'ip-api')).toContainText('Not set up');
  const saw = page.getByRole('region', { name: 'Who saw which addresses' });
  await expect(saw).toContainText('HOSTATLAS_PROVIDERS=mmdb,ip-api');
});

test.describe('with online providers', () => {
  test.use({ asked: 'mmdb,ip-api,freeipapi' });

  test('providers stand in the order of asking, with who sees addresses and what is left', async ({ page }) => {
    await page.goto('/providers');

    const names = await page.locator('.prov h3').allTextContents();
    expect(names.slice(0, 3)).toEqual(['mmdb', 'ip-api', 'freeipapi']);
    await expect(row(page, 'ip-api')).toContainText('Addresses travel in clear text');
    await expect(row(page, 'ip-api')).toContainText(/0 of 15 .+, 15 left/);
    await expect(row(page, 'ip-api')).toContainText('never asked');
  });

  test('a test says who is told first, asks, shows what was said and what is left of the quota', async ({ page }) => {
    await page.goto('/providers');
    await expect(page.getByText('sends it to 2 third parties, in clear text')).toBeVisible();
    await page.evaluate(() => Object.assign(window, { untouched: true }));
    await page.getByRole('textbox', { name: 'Address to test' }).fill('8.8.4.4');

    await page.getByRole('button', { name: 'Test ip-api' }).click();

    const told = page.getByRole('table', { name: 'What each provider answered to the test' });
    await expect(told.locator('tbody').getByRole('row')).toHaveCount(1);
    await expect(told.getByRole('rowheader')).toHaveText('ip-api');
    await expect(row(page, 'ip-api')).toContainText('1 address sent');
    await page.getByRole('button', { name: 'Ask all' }).click();
    await expect(told.locator('tbody').getByRole('row')).toHaveCount(3);
    expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
  });

  test('an address that is none is refused with what is wrong', async ({ page }) => {
    await page.goto('/providers');
    await page.getByRole('textbox', { name: 'Address to test' }).fill('not an address');

    await page.getByRole('button', { name: 'Ask all' }).click();

    await expect(page.getByRole('alert')).toContainText('not an address');
  });

  test('the answer to a form outlives a refresh that was on its way before it', async ({ page }) => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let first = true;
    await page.route('**/providers', async (route) => {
      if (route.request().resourceType() === 'fetch' && first) {
        first = false;
        const late = await route.fetch();
        await held;
        await route.fulfill({ response: late });
      } else {
        await route.continue();
      }
    });
    const asked = page.waitForRequest((request) => request.resourceType() === 'fetch' && request.url().endsWith('/providers'));
    await page.goto('/providers');
    await asked;
    await page.getByRole('textbox', { name: 'Address to test' }).fill('not an address');
    await page.getByRole('button', { name: 'Ask all' }).click();
    await expect(page.getByRole('alert')).toContainText('not an address');

    const refreshed = page.waitForResponse((response) => /\/providers$/.test(response.url()));
    release();
    await refreshed;
    // A refresh that follows shows the page with its answer again.
    await page.waitForResponse((response) => /\/providers\?/.test(response.url()));

    await expect(page.getByRole('alert')).toContainText('not an address');
  });

  test('asking all shows the cost first, then every answer beside the chosen one', async ({ page, atlas }, testInfo) => {
    const ip = await locatedHost(atlas, testInfo);
    const host = new HostPage(page);
    await host.open(ip);
    await expect(page.getByText(/^Sends this address to 2.third parties, in clear text to ip-api/)).toBeVisible();
    const table = page.getByRole('table', { name: 'What each provider says' });
    await expect(table.locator('tbody').getByRole('row')).toHaveCount(1);
    await page.evaluate(() => Object.assign(window, { untouched: true }));

    await page.getByRole('button', { name: 'Ask all now' }).click();

    await expect(page.getByRole('status').filter({ hasText: 'All providers were asked' })).toBeVisible();
    await expect(table.locator('tbody').getByRole('row')).toHaveCount(3);
    await expect(table.locator('tr.chosen').getByRole('img', { name: 'Chosen' })).toBeVisible();
    await expect(table.locator('tr.chosen')).toContainText('mmdb');
    expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const [name, viewport] of [['wide', { width: 1280, height: 800 }], ['narrow', { width: 375, height: 812 }]] as const) {
        await page.setViewportSize(viewport);
        expect.soft(await violations(page), `host, ${colorScheme}, ${name}`).toEqual([]);
        await page.screenshot({ path: join(folder, `host-answers-${colorScheme}-${name}.png`), fullPage: true });
      }
    }
    await page.goto('/providers');
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const [name, viewport] of [['wide', { width: 1280, height: 800 }], ['narrow', { width: 375, height: 812 }]] as const) {
        await page.setViewportSize(viewport);
        expect.soft(await violations(page), `providers, ${colorScheme}, ${name}`).toEqual([]);
        await page.screenshot({ path: join(folder, `providers-${colorScheme}-${name}.png`), fullPage: true });
      }
    }
  });

  test('providers that disagree are told apart by their distance', async ({ page, atlas }, testInfo) => {
    const ip = await locatedHost(atlas, testInfo);
    const host = new HostPage(page);
    await host.open(ip);

    await page.getByRole('button', { name: 'Ask all now' }).click();

    // The stand-in and the invented databases know nothing of each other.
    await expect(page.getByText(/^\d of 3 disagrees? by [\d,]+.km$/)).toBeVisible();
  });

  test('one that does not answer is said so, and the page of providers has its error', async ({ page, atlas, standIn }, testInfo) => {
    const ip = await locatedHost(atlas, testInfo);
    await standIn?.turn({ provider: 'freeipapi', down: true });
    const host = new HostPage(page);
    await host.open(ip);

    await page.getByRole('button', { name: 'Ask all now' }).click();

    const table = page.getByRole('table', { name: 'What each provider says' });
    const silent = table.getByRole('row').filter({ hasText: 'freeipapi' });
    await expect(silent.locator('.badge')).toBeVisible();
    await page.goto('/providers');
    await expect(row(page, 'freeipapi')).toContainText('Last error');
  });

  test('a location that a person fixes survives every refresh, until providers may decide again', async ({ page, atlas }, testInfo) => {
    const ip = await locatedHost(atlas, testInfo);
    const before = await atlas.get<Host>(`/hosts/${ip}`);
    const host = new HostPage(page);
    await host.open(ip);
    await page.getByText('Set position').click();
    await page.getByRole('spinbutton', { name: 'Latitude' }).fill('-33.45');
    await page.getByRole('spinbutton', { name: 'Longitude' }).fill('-70.66');
    await page.getByRole('textbox', { name: 'City' }).fill('Santiago');
    await page.getByRole('textbox', { name: /^Country/ }).fill('cl');

    await page.getByRole('button', { name: 'Fix this location' }).click();

    const location = page.getByRole('region', { name: 'Location' });
    await expect(location).toContainText('Fixed by a person');
    await expect(location.locator('#position')).toContainText('Santiago');
    // The move is drawn, and said: from where, and how far.
    await expect(location.locator('#position')).toContainText(/Before.+km away/);
    await expect(location.locator('#position')).toHaveAttribute('data-moved', /^\d+$/);
    await page.screenshot({ path: join(folder, 'host-fixed-light-wide.png'), fullPage: true });
    await host.forceRefresh.click();
    await expect(host.progress).toContainText(/Santiago/);

    await page.getByRole('button', { name: 'Let providers decide again' }).click();

    await expect(page.getByText('Providers decide again', { exact: true })).toBeVisible();
    await expect(location).not.toContainText('1970');
    await expect(location.locator('#position')).toContainText(before.location?.city ?? '-');
  });
});

test.describe('with more hosts than a provider allows', () => {
  test.use({ asked: 'ip-api' });

  test('a job that waits says for whom, and coverage says how long the rest takes', async ({ page, atlas }) => {
    await atlas.import();
    await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).located).toBeGreaterThan(1_000);
    const jobs = new JobsPage(page);
    await expect
      .poll(async () => (await atlas.get<Listed<{ state: string }>>('/jobs?state=scheduled&limit=5')).items.length)
      .toBeGreaterThan(0);

    await jobs.open('?state=scheduled');

    await expect(jobs.rows.first()).toContainText('ip-api');
    await jobs.rows.first().getByRole('rowheader').getByRole('link').click();
    await expect(page.getByRole('region', { name: /^Waits for its time/ })).toContainText('ip-api');
    await page.goto('/coverage');
    await expect(page.locator('#coverage-hero')).toContainText(/left: .+ with ip-api/);
    await expect(page.locator('#run-costs')).toContainText('Asks ip-api (third party, clear text)');
  });
});
