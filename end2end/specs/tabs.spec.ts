import type { Page, Request } from '@playwright/test';
import type { Atlas } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

// Each test has a server of its own. All pages of a test are of one browser, which has six connections to a server.
const TABS = 8;

/** Opens so many pages, all of them visible, one after the other. */
async function open(first: Page, count: number, path: string): Promise<Page[]> {
  const pages = [first];
  while (pages.length < count) {
    pages.push(await first.context().newPage());
  }
  for (const page of pages) {
    await page.goto(path, { timeout: 10_000 });
    await expect(page.getByRole('button', { name: 'Live: pause updates' })).toBeVisible();
  }
  return pages;
}

/** Writes an import of these addresses while the server runs. */
async function importHosts(atlas: Atlas, ...addresses: string[]): Promise<void> {
  await atlas.importText(addresses.join('\n'));
}

function total(page: Page) {
  return page.locator('#coverage-total');
}

/** Counts the streams that open pages hold. A page that closes ends its own without saying so. */
function streams(first: Page): () => number {
  const open = new Set<Request>();
  const note = (request: Request): void => {
    if (new URL(request.url()).pathname === '/api/v1/events') {
      open.add(request);
    }
  };
  const context = first.context();
  context.on('request', note);
  context.on('requestfinished', (request) => open.delete(request));
  context.on('requestfailed', (request) => open.delete(request));
  return () => [...open].filter((request) => !request.frame().page().isClosed()).length;
}

test('eight tabs share one stream, stay usable, and all hear what changes', async ({ page, atlas }) => {
  const held = streams(page);
  const pages = await open(page, TABS, '/coverage');
  await expect.poll(held).toBe(1);

  await importHosts(atlas, '8.8.8.8', '8.8.4.4');

  for (const tab of pages) {
    await expect(total(tab)).toContainText('2 hosts');
  }
  // Any of them may be used: nothing waits for a connection.
  for (const tab of pages) {
    await tab.getByRole('link', { name: 'Jobs', exact: true }).click({ timeout: 5_000 });
    await expect(tab.getByRole('heading', { level: 1 })).toHaveText('Jobs', { timeout: 5_000 });
  }
  await expect.poll(held).toBe(1);
});

test('when the tab with the stream closes another takes over, and nothing is missed', async ({ page, atlas }) => {
  const held = streams(page);
  const pages = await open(page, 4, '/coverage');
  await expect.poll(held).toBe(1);

  // The first page leads. What is imported while no stream is open is announced by no event.
  let hosts = 0;
  while (pages.length > 1) {
    const leader = pages.shift();
    const closed = leader?.close();
    hosts += 1;
    await importHosts(atlas, `8.8.8.${hosts}`);
    await closed;
    for (const tab of pages) {
      await expect(total(tab)).toContainText(hosts === 1 ? '1 host,' : `${hosts} hosts,`);
    }
    await expect.poll(held).toBe(1);
  }
});

test('a tab that is paused gives the stream to another, and catches up when it is resumed', async ({ page, atlas }) => {
  const held = streams(page);
  const [first, second] = (await open(page, 2, '/coverage')) as [Page, Page];
  await first.getByRole('button', { name: 'Live: pause updates' }).click();

  await importHosts(atlas, '8.8.8.8', '8.8.4.4');
  await expect(total(second)).toContainText('2 hosts');
  await expect(total(first)).toContainText('0 hosts');
  await expect.poll(held).toBe(1);

  await first.getByRole('button', { name: 'Paused: resume live updates' }).click();
  await expect(total(first)).toContainText('2 hosts');
  await expect.poll(held).toBe(1);
});

test('all tabs catch up after the server was away', async ({ page, atlas, guard }) => {
  // The browser itself reports that the stream broke.
  guard.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  const pages = await open(page, 3, '/coverage');
  await atlas.stop();
  await importHosts(atlas, '8.8.8.8', '8.8.4.4');
  await atlas.serve();
  for (const tab of pages) {
    await expect(total(tab)).toContainText('2 hosts');
  }
});
