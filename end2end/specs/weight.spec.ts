import { expect, test } from '../support/test.ts';
import { MapPage } from '../pages/map.ts';

test.use({ shared: true });

test('the first view of the map weighs at most 300 KB, 150 of them the program', async ({ page }) => {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const urls = new Map<string, string>();
  const bytes = new Map<string, number>();
  session.on('Network.responseReceived', ({ requestId, response }) => urls.set(requestId, new URL(response.url).pathname));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = urls.get(requestId) ?? '';
    bytes.set(path, (bytes.get(path) ?? 0) + encodedDataLength);
  });
  const labels = page.waitForResponse(/\/basemap\/labels/);

  await new MapPage(page).open();
  await (await labels).finished();

  const sum = (wanted: (path: string) => boolean): number =>
    [...bytes].filter(([path]) => wanted(path)).reduce((total, [, count]) => total + count, 0);
  const parts = JSON.stringify(Object.fromEntries(bytes), null, 1);
  const program = sum((path) => /^\/pkg\/.*\.(wasm|js)$/.test(path));
  expect(program, parts).toBeGreaterThan(10_000);
  expect(program, parts).toBeLessThanOrEqual(150_000);
  expect(sum(() => true), parts).toBeLessThanOrEqual(300_000);
  test.info().annotations.push({ type: 'bytes', description: parts });
  console.log(`first view: ${sum(() => true)} bytes, of them ${program} of WASM and glue`);
});
