import type { Atlas } from '../support/server.ts';
import type { MapAnswer, Mark } from '../support/answers.ts';
import { grouped } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { MapPage } from '../pages/map.ts';

test.use({ shared: true });

async function marks(atlas: Atlas, zoom = 8): Promise<Mark[]> {
  const answer = await atlas.get<MapAnswer>(`/map?bbox=-180,-85,180,85&zoom=${zoom}`);
  return answer.clusters;
}

/** The place with the most hosts: more than fit on two pages of the panel. */
async function mostCrowded(atlas: Atlas): Promise<Mark> {
  const places = (await marks(atlas)).filter((mark) => mark.kind === 'place');
  const [most] = places.sort((a, b) => b.hosts - a.hosts);
  expect(most?.hosts, 'hosts of the most crowded place').toBeGreaterThan(100);
  return most as Mark;
}

test('a click on a cluster zooms to what it holds', async ({ page }) => {
  const map = new MapPage(page);
  await map.open();
  await map.isReady();
  const [hosts, entries] = [await map.hosts(), await map.entries()];
  expect(entries).toBeGreaterThan(20);

  await map.clickCluster();

  await expect.poll(() => map.hosts()).toBeLessThan(hosts);
  await expect.poll(() => map.zoomInAddress()).toBeGreaterThan(2);
  await map.isReady();
});

test('a click on a place opens it, and its hosts come page by page', async ({ page, atlas }) => {
  const place = await mostCrowded(atlas);
  const map = new MapPage(page);
  await map.open(`/?lat=${place.latitude}&lon=${place.longitude}&zoom=9`);
  await map.isReady();

  await map.clickMark(new RegExp(`^${escaped(place.label)}`));

  const panel = map.place();
  await expect(panel.heading).toHaveText(place.label);
  await expect(panel.heading).toBeFocused();
  await expect(panel.panel).toContainText(`${grouped(place.hosts)} hosts`);
  await expect(panel.hosts).toHaveCount(50);
  const firstOfFirst = await panel.host(0).textContent();
  await panel.next.click();
  await expect(panel.host(0)).not.toHaveText(firstOfFirst ?? '');
  await expect(panel.hosts).toHaveCount(50);
  await panel.first.click();
  await expect(panel.host(0)).toHaveText(firstOfFirst ?? '');
});

test('a host opens in its place with what is known of it, and both buttons', async ({ page, atlas }) => {
  const place = await mostCrowded(atlas);
  const map = new MapPage(page);
  await map.open(`/?place=${place.place_id}`);
  const panel = map.place();
  const ip = (await panel.host(0).textContent()) ?? '';

  await panel.host(0).click();

  await expect(panel.host(0)).toHaveAttribute('aria-expanded', 'true');
  const row = panel.hosts.first();
  await expect(row.getByRole('button', { name: 'Re-geolocate' })).toBeVisible();
  await expect(row.getByRole('button', { name: 'Force refresh' })).toBeVisible();
  await expect(row).toContainText('mmdb, build');
  await expect(page).toHaveURL(new RegExp(`host=${escaped(ip)}`));
  await row.getByRole('link', { name: 'Open host' }).click();
  await expect(page).toHaveURL(`/hosts/${ip}`);
});

test.describe('narrow', () => {
  test.use({ viewport: { width: 375, height: 812 } });

  for (const zoom of [2, 9]) {
    test(`at zoom ${zoom} a place that opens is not left under its sheet`, async ({ page, atlas }) => {
      const south = (await marks(atlas, 12)).filter((mark) => mark.kind === 'place');
      const place = south.sort((a, b) => a.latitude - b.latitude)[0] as Mark;
      const map = new MapPage(page);

      await map.open(`/?place=${place.place_id}&lat=${place.latitude}&lon=${place.longitude}&zoom=${zoom}`);

      await expect(map.place().heading).toHaveText(place.label);
      await expect.poll(() => map.selectedIsVisible(place)).toBe(true);
    });
  }
});

test('position, filter and open place are in the address, and a reload shows the same', async ({ page, atlas }) => {
  const place = await mostCrowded(atlas);
  const map = new MapPage(page);
  await map.open(`/?q=port%3A443&lat=${place.latitude}&lon=${place.longitude}&zoom=7`);
  await map.isReady();
  const filtered = await map.hosts();
  const { hosts } = await map.after(() => map.zoom.getByRole('button', { name: 'Zoom out' }).click());
  expect(hosts).toBeGreaterThanOrEqual(filtered);
  await expect.poll(() => map.zoomInAddress()).toBe(6);
  const address = page.url();

  await map.after(() => page.reload());

  expect(await map.hosts()).toBe(hosts);
  expect(page.url()).toBe(address);
  await expect(page.getByRole('searchbox', { name: 'Search hosts' })).toHaveValue('port:443');
});

test('a filter narrows the map to what matches', async ({ page, atlas }) => {
  const answer = await atlas.get<MapAnswer>(`/map?bbox=-180,-85,180,85&zoom=2&q=${encodeURIComponent('country:JP')}`);
  const map = new MapPage(page);
  await map.open();

  await page.getByRole('searchbox', { name: 'Search hosts' }).fill('country:JP');
  await page.getByRole('searchbox', { name: 'Search hosts' }).press('Enter');

  await expect.poll(() => map.hosts()).toBe(answer.hosts);
  expect(answer.hosts).toBeGreaterThan(10);
});

test('the keyboard moves, zooms, opens and closes', async ({ page }) => {
  const map = new MapPage(page);
  await map.open('/?lat=30&lon=10&zoom=3');
  await map.isReady();

  await map.map.focus();
  await page.keyboard.press('+');
  await expect.poll(() => map.zoomInAddress()).toBe(4);
  await page.keyboard.press('-');
  await expect.poll(() => map.zoomInAddress()).toBe(3);
  const longitude = () => Number(new URL(page.url()).searchParams.get('lon'));
  const before = longitude();
  await page.keyboard.press('ArrowRight');
  await expect.poll(longitude).toBeGreaterThan(before);

  // The largest marks are reached with Tab; Enter does what a click on the mark does.
  await page.keyboard.press('0');
  await map.isReady();
  const all = await map.hosts();
  await page.keyboard.press('Tab');
  const cluster = map.twins.filter({ hasText: / more places?, / }).first();
  await cluster.focus();
  await page.keyboard.press('Enter');
  await expect.poll(() => map.hosts()).toBeLessThan(all);

  await map.placesInView.focus();
  await page.keyboard.press('Enter');
  await expect(map.panel.getByRole('heading', { name: 'Places in view' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(map.panel).toHaveCount(0);
  await expect(map.map).toBeFocused();
});

test('Places in view lists what the map draws, and opens it', async ({ page }) => {
  const map = new MapPage(page);
  await map.open();
  await map.isReady();
  const entries = await map.entries();

  await map.placesInView.click();

  const rows = map.panel.getByRole('table').locator('tbody').getByRole('row');
  await expect(rows).toHaveCount(entries);
  const counts = await rows.locator('td:last-child').allTextContents();
  const sum = counts.map((count) => Number(count.replaceAll(',', ''))).reduce((total, count) => total + count, 0);
  expect(sum).toBe(await map.hosts());
});

test('hosts known by country alone are areas and not pins', async ({ page }) => {
  const map = new MapPage(page);
  const { clusters } = await map.after(() => map.open());
  const areas = clusters.filter((mark) => mark.kind === 'area');
  expect(areas.length).toBeGreaterThan(0);

  await map.placesInView.click();

  await expect(map.panel.getByRole('link', { name: /\(area\)$/ })).toHaveCount(areas.length);
});

// The city database of these tests is invented, so its licence asks for no word; the ASN table has the type of a real one.
test('the map names the sources of the data in use and of the land, and no others', async ({ page }) => {
  await new MapPage(page).open();

  await expect(page.getByRole('link', { name: /^Autonomous systems by RouteViews/ })).toBeVisible();
  await expect(page.getByRole('link', { name: 'IP Geolocation by DB-IP' })).toHaveCount(0);
  await expect(page.getByText(/Natural Earth/).first()).toBeVisible();
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
