import type { Coverage, HostRow, Job, MapAnswer, Page as Listed } from '../support/answers.ts';
import { everyPage } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';
import { HostsPage } from '../pages/hosts.ts';
import { JobsPage } from '../pages/jobs.ts';

// The project that runs this file has JavaScript switched off in the browser.
test.beforeEach(({ guard }) => {
  // Chromium preloads the module that it then may not run, and complains after some seconds.
  guard.expect(/was preloaded using link preload but not used/);
});

test.describe('reading', () => {
  test.use({ shared: true });

  test('every page is whole', async ({ page, atlas, guard }) => {
    guard.expect(/status of 40[04]/);
    for (const [name, address] of Object.entries(await everyPage(atlas))) {
      await page.goto(address);
      await expect(page.getByRole('heading', { level: 1 }), name).toHaveCount(1);
      await expect(page.getByRole('navigation', { name: 'Main' }).getByRole('link'), name).toHaveCount(5);
      // What only scripts could do is not offered.
      for (const control of await page.locator('.needs-script').all()) {
        await expect(control, name).toBeHidden();
      }
    }
  });

  test('the map is a picture with links, and a table of places', async ({ page, atlas }) => {
    const { clusters } = await atlas.get<MapAnswer>('/map?bbox=-180,-85,180,85&zoom=1');
    const listed = await atlas.get<MapAnswer>('/map?bbox=-180,-90,180,90&zoom=5');
    const borders = page.waitForResponse(/\/basemap\/borders\.svg$/);
    await page.goto('/');
    // The outline of the land, and the borders over it in a colour of their own.
    expect(await (await borders).text()).toMatch(/<path [^>]*stroke="#000"/);
    const over = await page.locator('.map__world').evaluate((world) => getComputedStyle(world, '::after').backgroundColor);
    const land = await page.locator('.map__world').evaluate((world) => getComputedStyle(world, '::before').backgroundColor);
    expect(over).not.toBe(land);
    const links = page.locator('.map--still').getByRole('link');
    await expect(links).toHaveCount(Math.min(clusters.length, 60));
    await expect(links.first()).toBeVisible();

    await page.getByRole('link', { name: /^Places in view/ }).click();

    const table = page.getByRole('table', { name: /^Places in view/ });
    await expect(table.locator('tbody').getByRole('row')).toHaveCount(listed.clusters.length);
  });

  test('a place opens with its hosts, page by page, and a host in it', async ({ page, atlas }) => {
    const pages = await everyPage(atlas);
    await page.goto(pages['map-place'] ?? '');
    const panel = page.getByRole('complementary');
    const hosts = panel.getByRole('region', { name: 'Hosts of this place' }).getByRole('listitem');
    await expect(hosts).toHaveCount(50);
    const first = (await hosts.first().getByRole('link').first().textContent()) ?? '';

    await panel.getByRole('link', { name: 'Next 50' }).click();
    await expect(hosts.first().getByRole('link').first()).not.toHaveText(first);
    await panel.getByRole('link', { name: 'First 50' }).click();
    await panel.getByRole('link', { name: first, exact: true }).click();
    await expect(panel.getByRole('button', { name: 'Re-geolocate' }).last()).toBeVisible();
    await panel.getByRole('link', { name: 'Open host' }).click();
    await expect(page).toHaveURL(`/hosts/${first}`);
  });

  test('hosts are searched and paged', async ({ page, atlas }) => {
    const hosts = new HostsPage(page);
    await hosts.open();
    await hosts.searchFor('country:US');
    const expected = await atlas.get<Listed<HostRow>>('/hosts?q=country:US&limit=100');
    expect(await hosts.addresses()).toEqual(expected.items.slice(0, 50).map((host) => host.ip));
    await hosts.next.click();
    expect(await hosts.addresses()).toEqual(expected.items.slice(50).map((host) => host.ip));
    await hosts.removeTerm('country:US');
    await expect(page).toHaveURL('/hosts');
  });
});

test.describe('changing', () => {
  test.use({ choices: { worker: false } });

  test('a host is looked up by its form, which leads to the job', async ({ page, atlas }) => {
    await atlas.import('samples/scans/public-5k.json');
    await atlas.run('worker', '--drain');
    const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:located&limit=1');
    await page.goto(`/hosts/${items[0]?.ip}`);

    await page.getByRole('button', { name: 'Force refresh' }).click();

    await expect(page).toHaveURL(/\/(jobs\/\d+|hosts\/)/);
    const jobs = await atlas.get<Listed<Job>>(`/jobs?ip=${items[0]?.ip}&state=available`);
    expect(jobs.items).toMatchObject([{ force: true }]);
  });

  test('jobs are queued, cancelled, retried, paused and resumed by forms', async ({ page, atlas }) => {
    await atlas.import();
    const jobs = new JobsPage(page);
    await jobs.open('?state=available');
    await jobs.rows.first().getByRole('checkbox').check();
    await page.getByRole('group', { name: 'Ticked jobs' }).getByRole('button', { name: 'Cancel' }).click();
    await expect(page.getByText('1 job changed')).toBeVisible();
    await jobs.open('?state=cancelled');
    await jobs.retryAll.click();
    await expect(page.getByText('1 job changed')).toBeVisible();
    await jobs.open();
    await jobs.pause('geolocation');
    await jobs.resume('geolocation');
    await jobs.queueJobs('What is due');
    await expect(page.getByText('0 jobs queued')).toBeVisible();
  });

  test('a batch run is started by its form', async ({ page, atlas }) => {
    await atlas.import();
    await page.goto('/coverage');

    await page.getByRole('button', { name: /^Locate what is missing/ }).click();

    await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  });
});

test.describe('providers', () => {
  test.use({ asked: 'mmdb,ip-api' });

  test('a test, asking all and a fixed location are plain forms', async ({ page, atlas }) => {
    await atlas.import();
    const { items } = await atlas.get<Listed<HostRow>>('/hosts?limit=1');
    const ip = items[0]?.ip ?? '';
    await page.goto('/providers');
    await page.getByRole('textbox', { name: 'Address to test' }).fill(ip);
    await page.getByRole('button', { name: 'Test ip-api' }).click();
    const told = page.getByRole('table', { name: 'What each provider answered to the test' });
    await expect(told.getByRole('rowheader')).toHaveText('ip-api');

    await page.goto(`/hosts/${ip}`);
    await page.getByRole('button', { name: 'Ask all now' }).click();
    await expect(page.getByText('All providers were asked')).toBeVisible();
    await page.getByText('Set position').click();
    await page.getByRole('spinbutton', { name: 'Latitude' }).fill('48.85');
    await page.getByRole('spinbutton', { name: 'Longitude' }).fill('2.35');
    await page.getByRole('button', { name: 'Fix this location' }).click();
    await expect(page.getByText('Fixed by a person')).toBeVisible();
    await page.getByRole('button', { name: 'Let providers decide again' }).click();
    await expect(page.getByText('Providers decide again', { exact: true })).toBeVisible();
  });
});
