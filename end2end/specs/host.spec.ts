import type { Coverage, Host, HostRow, Job, Page as Listed } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { HostPage } from '../pages/hosts.ts';

test.describe('a located host', () => {
  test.beforeEach(async ({ atlas }) => {
    await atlas.import('samples/scans/public-5k.json');
    await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  });

  for (const { button, force } of [
    { button: 'Re-geolocate', force: false },
    { button: 'Force refresh', force: true },
  ]) {
    test(`${button} queues a job, follows it and shows its result without a reload`, async ({ page, atlas }) => {
      const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:located&limit=1');
      const ip = items[0]?.ip ?? '';
      const before = await atlas.get<Host>(`/hosts/${ip}`);
      const host = new HostPage(page);
      await host.open(ip);
      await page.evaluate(() => Object.assign(window, { untouched: true }));

      await page.getByRole('button', { name: button }).click();

      await expect(host.progress).toContainText(/^Located: .+, by mmdb/);
      const after = await atlas.get<Host>(`/hosts/${ip}`);
      expect(Date.parse(after.attempted_at ?? '')).toBeGreaterThan(Date.parse(before.attempted_at ?? ''));
      const jobs = await atlas.get<Listed<Job>>(`/jobs?ip=${ip}&kind=geolocation`);
      expect(jobs.items[0]).toMatchObject({ state: 'completed', force });
      // The page's own list of jobs is live as well.
      const link = page.getByRole('table', { name: 'Latest jobs of this host' }).getByRole('link');
      await expect(link.first()).toHaveText(String(jobs.items[0]?.id));
      expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
    });
  }

  test('it shows where it is, who says so, its services and its jobs', async ({ page, atlas }) => {
    const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:located&limit=50');
    const row = items.find((item) => item.city !== null && item.ports.length > 0);
    const host = new HostPage(page);

    await host.open(row?.ip ?? '');

    const location = page.getByRole('region', { name: 'Location' });
    await expect(location).toContainText(row?.city ?? '');
    await expect(location).toContainText(row?.country ?? '');
    await expect(location).toContainText('mmdb, build 2026-06-01');
    await expect(location.getByRole('img', { name: /^Map: / })).toBeVisible();
    await expect(page.getByRole('region', { name: 'Services' })).toContainText(String(row?.ports[0]));
    await expect(page.getByRole('region', { name: 'Timeline' })).toContainText('Last seen');
    await location.getByRole('link', { name: 'Show on the map' }).click();
    await expect(page.locator('#map')).toHaveAttribute('data-state', 'ready');
    await expect(page.getByRole('complementary').getByRole('link', { name: row?.ip ?? '', exact: true })).toHaveAttribute(
      'aria-expanded',
      'true',
    );
  });
});

test.describe('a host that waits', () => {
  test.use({ choices: { worker: false } });

  test('a page that was opened before its host was located shows the place when it is', async ({ page, atlas }) => {
    await atlas.import();
    const { items } = await atlas.get<Listed<HostRow>>('/hosts?limit=50');
    const host = new HostPage(page);
    await host.open(items[7]?.ip ?? '');
    const location = page.getByRole('region', { name: 'Location' });
    await expect(location).toContainText('No provider was asked yet');
    await expect(location.locator('.minimap')).toBeHidden();
    await page.evaluate(() => Object.assign(window, { untouched: true }));

    await atlas.run('worker', '--drain');

    await expect(location.getByRole('img', { name: /^Map: .+/ })).toBeVisible();
    await expect(location).toContainText('mmdb, build 2026-06-01');
    await expect(location).toContainText(/Located .+ by mmdb/);
    expect(await page.evaluate(() => 'untouched' in window)).toBe(true);
  });
});

test('a host whose lookup found nothing says so, and so does its button', async ({ page, atlas }) => {
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:unlocated&limit=1');
  const host = new HostPage(page);
  await host.open(items[0]?.ip ?? '');

  await host.forceRefresh.click();

  await expect(host.progress.getByRole('paragraph')).not.toBeEmpty();
  await expect(host.progress).not.toContainText('Located');
  await expect(host.progress).not.toContainText(/Asking|Queued|Running/);
});

test('hostile banners are text', async ({ page, atlas }) => {
  await atlas.import('samples/scans/banners.json');
  const { items } = await atlas.get<Listed<HostRow>>('/hosts?limit=50');
  for (const { ip } of items) {
    await page.goto(`/hosts/${ip}`);
    await expect(page.getByRole('heading', { level: 1 })).toContainText(ip);
    // What a banner brings as markup would be an element inside it.
    expect(await page.locator('pre.banner *').count()).toBe(0);
  }
  expect(items.length).toBeGreaterThan(0);
});

test('an address that has no place is told apart, and is never looked up', async ({ page, atlas }) => {
  await atlas.import('samples/scans/banners.json');
  const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:not_applicable&limit=1');
  const host = new HostPage(page);

  await host.open(items[0]?.ip ?? '');

  await expect(page.getByRole('region', { name: 'Location' })).toContainText('never sent to a provider');
  await expect(page.getByText('Not applicable').first()).toBeVisible();
});

test('a host that no scan saw is a problem with a remedy', async ({ page, guard }) => {
  guard.expect(/status of 404/);

  const answer = await page.goto('/hosts/9.9.9.9');

  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Not found');
  await expect(page.getByText(/import/).first()).toBeVisible();
});

test('an IPv6 host has its page', async ({ page, atlas }) => {
  await atlas.import('samples/scans/v6.json');
  const { items } = await atlas.get<Listed<HostRow>>('/hosts?limit=50');
  const ip = items.find((item) => item.ip.includes(':'))?.ip ?? '';
  expect(ip).toContain(':');
  await page.goto('/hosts');

  await page.getByRole('link', { name: ip, exact: true }).click();

  await expect(page.getByRole('heading', { level: 1 })).toContainText(ip);
  await page.getByRole('link', { name: /::\/48$/ }).click();
  await expect(page.getByRole('link', { name: ip, exact: true })).toBeVisible();
});
