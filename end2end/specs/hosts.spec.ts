import { readFile } from 'node:fs/promises';
import type { HostRow, Page as Listed } from '../support/answers.ts';
import { grouped } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { HostsPage } from '../pages/hosts.ts';

test.use({ shared: true });

const SEARCHES: { by: string; query: (host: HostRow) => string }[] = [
  { by: 'address', query: (host) => host.ip },
  { by: 'CIDR block', query: (host) => `${host.ip.split('.').slice(0, 2).join('.')}.0.0/16` },
  { by: 'country code', query: (host) => `country:${host.country_code}` },
  { by: 'country name', query: (host) => `country:"${host.country}"` },
  { by: 'city', query: (host) => `city:"${host.city}"` },
  { by: 'port', query: (host) => `port:${host.ports[0]}` },
  { by: 'AS number', query: (host) => `asn:${host.asn}` },
  { by: 'organization', query: (host) => `org:"${host.organization}"` },
  { by: 'several terms', query: (host) => `country:${host.country_code} port:${host.ports[0]} net:${host.ip}/32` },
  { by: 'words without a field', query: (host) => `${host.ip}/24 AS${host.asn?.replace('AS', '')}` },
];

for (const { by, query } of SEARCHES) {
  test(`hosts are found by ${by}`, async ({ page, atlas }) => {
    const { items } = await atlas.get<Listed<HostRow>>('/hosts?q=state:located&limit=50');
    const host = items.find((item) => item.city !== null && item.asn !== null && item.ports.length > 0);
    if (host === undefined) throw new Error('no located host with a city, a network and a port');
    const hosts = new HostsPage(page);
    await hosts.open();

    await hosts.searchFor(query(host));

    const expected = await atlas.get<Listed<HostRow>>(`/hosts?q=${encodeURIComponent(query(host))}&limit=50`);
    expect(expected.items.length).toBeGreaterThan(0);
    await expect.poll(() => hosts.addresses()).toEqual(expected.items.map((item) => item.ip));
    await expect(page.getByText(/ match(es)?, exact count$/)).toBeVisible();
    await expect(hosts.search).toHaveValue(query(host));
  });
}

test('the list is read page by page to its end, each host once', async ({ page, atlas }) => {
  const hosts = new HostsPage(page);
  await hosts.open('country:FR');
  const seen: string[] = [];
  for (;;) {
    seen.push(...(await hosts.addresses()));
    if ((await hosts.next.count()) === 0) break;
    const before = page.url();
    await hosts.next.click();
    await expect(page).not.toHaveURL(before);
  }

  const all = await atlas.get<Listed<HostRow>>('/hosts?q=country:FR&limit=1000');
  expect(seen).toEqual(all.items.map((item) => item.ip));
  expect(seen.length).toBeGreaterThan(100);
});

test('columns sort the whole list, and say so', async ({ page, atlas }) => {
  const hosts = new HostsPage(page);
  await hosts.open();
  await expect(hosts.table.getByRole('columnheader', { name: 'Address' })).toHaveAttribute('aria-sort', 'ascending');

  await hosts.table.getByRole('columnheader', { name: 'Located' }).getByRole('link').click();

  await expect(hosts.table.getByRole('columnheader', { name: 'Located' })).toHaveAttribute('aria-sort', 'descending');
  const expected = await atlas.get<Listed<HostRow>>('/hosts?sort=located_at&limit=50');
  expect(await hosts.addresses()).toEqual(expected.items.map((item) => item.ip));
});

test('a query that is not understood is refused with what was meant, never widened', async ({ page, guard }) => {
  guard.expect(/status of 400/);
  const hosts = new HostsPage(page);

  await hosts.open('prot:443');

  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByText('prot:443 is not supported')).toBeVisible();
  await expect(page.getByText(/port/).first()).toBeVisible();
  await expect(hosts.rows).toHaveCount(0);
});

test('a search without a match says what would match', async ({ page }) => {
  const hosts = new HostsPage(page);

  await hosts.open('city:Atlantis');

  await expect(page.getByRole('heading', { name: 'No host matches' })).toBeVisible();
  await page.getByRole('link', { name: 'country:DE port:443' }).click();
  await expect(hosts.search).toHaveValue('country:DE port:443');
});

test('a facet filters by location state', async ({ page, atlas }) => {
  const { unlocated } = await atlas.get<{ unlocated: number }>('/coverage');
  const hosts = new HostsPage(page);
  await hosts.open();

  await page.getByRole('group', { name: 'Facets' }).getByRole('link', { name: /^Unlocated/ }).click();

  await expect(page.getByText(`${grouped(unlocated)} of 5,000 match, exact count`)).toBeVisible();
});

test('each term of a query is a chip that leads to the query without it', async ({ page }) => {
  const hosts = new HostsPage(page);
  await hosts.open('country:DE city:"Frankfurt am Main" port:443');
  await expect(hosts.chips).toHaveText([/country:\s*DE/, /city:\s*Frankfurt am Main/, /port:\s*443/]);

  await hosts.removeTerm('city:"Frankfurt am Main"');
  await expect(hosts.search).toHaveValue('country:DE port:443');
  await hosts.removeTerm('country:DE');
  await hosts.removeTerm('port:443');

  await expect(page).toHaveURL('/hosts');
  await expect(hosts.chips).toHaveCount(0);
});

test('a term that is not understood is marked, and is taken out', async ({ page, guard }) => {
  guard.expect(/status of 400/);
  const hosts = new HostsPage(page);
  await hosts.open('country:FR prot:443');
  await expect(hosts.chips).toHaveText([/^country:\s*FR/, /^Not understood: prot:\s*443/]);

  await hosts.removeTerm('prot:443');

  await expect(hosts.search).toHaveValue('country:FR');
  await expect(hosts.rows.first()).toBeVisible();
});

test('facets narrow the query, replace their own kind, and are taken back', async ({ page }) => {
  const hosts = new HostsPage(page);
  await hosts.open('port:443');
  const facets = page.getByRole('group', { name: 'Facets' });

  await facets.getByRole('link', { name: /^United States/ }).click();
  await expect(hosts.search).toHaveValue('port:443 country:US');
  await facets.getByRole('link', { name: /^Germany/ }).click();
  await expect(hosts.search).toHaveValue('port:443 country:DE');
  await facets.getByRole('link', { name: /^Located/ }).click();
  await expect(hosts.search).toHaveValue('port:443 country:DE state:located');
  await facets.getByRole('link', { name: /^Germany/ }).click();
  await expect(hosts.search).toHaveValue('port:443 state:located');
});

test('what matches is exported as a file', async ({ page, atlas }) => {
  const hosts = new HostsPage(page);
  await hosts.open('country:FR');
  const all = await atlas.get<Listed<HostRow>>('/hosts?q=country:FR&limit=1000');

  const files = { Addresses: 'addresses.txt', CSV: 'hosts.csv', NDJSON: 'hosts.ndjson' };
  for (const [name, file] of Object.entries(files)) {
    const started = page.waitForEvent('download');
    await page.getByRole('group', { name: 'Export all that match' }).getByRole('link', { name }).click();
    const download = await started;
    expect(download.suggestedFilename()).toBe(file);
    const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\n');
    const heading = name === 'CSV' ? 1 : 0;
    expect(lines.length - heading, name).toBe(all.items.length);
    expect(lines[heading], name).toContain(all.items[0]?.ip);
  }
});
