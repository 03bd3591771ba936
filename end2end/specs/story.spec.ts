import type { Coverage, Host, HostRow, Job, MapAnswer, Page as Listed } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { HostPage, HostsPage } from '../pages/hosts.ts';
import { JobsPage } from '../pages/jobs.ts';
import { MapPage } from '../pages/map.ts';

// One person, one afternoon, in one browser tab: what README promises, in its order.
test('a scan becomes a lit map, and is kept fresh', async ({ page, atlas }) => {
  test.setTimeout(120_000);
  const map = new MapPage(page);
  let located = 0;

  await test.step('the map fills while the scan is imported', async () => {
    await map.open();
    await expect(map.map).toHaveAttribute('data-state', 'empty');
    expect(await atlas.import()).toMatchObject({ hosts_new: 5_000, jobs_queued: 5_000 });
    await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
    located = (await atlas.get<Coverage>('/coverage')).located;
    await expect.poll(() => map.hosts()).toBe(located);
    await map.isReady();
  });

  await test.step('a cluster opens by zooming, a place by its panel', async () => {
    await map.clickCluster();
    await expect.poll(() => map.hosts()).toBeLessThan(located);
    const { clusters } = await atlas.get<MapAnswer>('/map?bbox=-180,-85,180,85&zoom=8');
    const crowded = clusters.filter((mark) => mark.kind === 'place').sort((a, b) => b.hosts - a.hosts)[0];
    await map.open(`/?lat=${crowded?.latitude}&lon=${crowded?.longitude}&zoom=9`);
    await map.isReady();
    await map.twins.filter({ hasText: crowded?.label ?? '' }).first().press('Enter');
    await expect(map.place().heading).toHaveText(crowded?.label ?? '');
    const firstOfFirstPage = (await map.place().host(0).textContent()) ?? '';
    await map.place().next.click();
    await expect(page).toHaveURL(/cursor=/);
    // The address of the page changes before its rows do.
    await expect(map.place().host(0)).not.toHaveText(firstOfFirstPage);
    await expect(map.place().hosts).toHaveCount(50);
  });

  let ip = '';
  await test.step('a host in it is looked up again, and the result appears', async () => {
    const panel = map.place();
    ip = (await panel.host(0).textContent()) ?? '';
    await panel.host(0).click();
    const row = panel.hosts.first();
    await row.getByRole('button', { name: 'Re-geolocate' }).click();
    await expect(row.getByRole('status')).toContainText(/^Located: .+, by mmdb/);
  });

  await test.step('and refreshed by force on its own page', async () => {
    const before = await atlas.get<Host>(`/hosts/${ip}`);
    const host = new HostPage(page);
    await map.place().hosts.first().getByRole('link', { name: 'Open host' }).click();
    await host.forceRefresh.click();
    await expect(host.progress).toContainText(/^Located: .+, by mmdb/);
    const after = await atlas.get<Host>(`/hosts/${ip}`);
    expect(Date.parse(after.location?.located_at ?? '')).toBeGreaterThan(Date.parse(before.location?.located_at ?? ''));
  });

  await test.step('a search finds it among the others', async () => {
    const hosts = new HostsPage(page);
    const { items } = await atlas.get<Listed<HostRow>>(`/hosts?q=${ip}`);
    await hosts.searchFor(`${ip} country:${items[0]?.country_code} port:${items[0]?.ports[0]}`);
    await expect.poll(() => hosts.addresses()).toEqual([ip]);
  });

  await test.step('the admin page queues, cancels, retries, pauses and resumes', async () => {
    const jobs = new JobsPage(page);
    await jobs.open();
    await jobs.pause('geolocation');
    await jobs.queueJobs('All', '', true);
    await expect(jobs.count('Available')).toHaveText('5,000');
    await jobs.open('?state=available');
    await jobs.cancelAll.click();
    await expect(jobs.count('Available')).toHaveText('0');
    await jobs.open('?state=cancelled');
    await jobs.retryAll.click();
    await expect(jobs.count('Available')).toHaveText('5,000');
    await jobs.resume('geolocation');
    await expect(jobs.count('Available')).toHaveText('0');
    const newest = await atlas.get<Listed<Job>>('/jobs?limit=1');
    expect(newest.items[0]).toMatchObject({ state: 'completed', force: true });
  });

  await test.step('the coverage page runs a batch over what is missing', async () => {
    const { unlocated } = await atlas.get<Coverage>('/coverage');
    await page.goto('/coverage');
    await page.getByRole('button', { name: /^Locate what is missing/ }).click();
    await expect(page.getByRole('status').filter({ hasText: `Looked up ${unlocated} hosts` })).toBeVisible();
  });

  // A page that is open would rightly complain about the server that is gone.
  await page.goto('about:blank');
  expect(await atlas.stop(), 'exit code after SIGTERM').toBe(0);
});
