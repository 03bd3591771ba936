import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { everyPage } from '../support/pages.ts';
import { root } from '../support/server.ts';
import { expect, test } from '../support/test.ts';

const SHOWN = ['map', 'map-place', 'hosts', 'host', 'coverage', 'jobs', 'workers', 'schedules', 'providers', 'databases'] as const;
const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 375, height: 812 } } as const;
const folder = join(root, 'end2end/output/screenshots');

for (const theme of ['light', 'dark'] as const) {
  for (const [name, viewport] of Object.entries(SIZES)) {
    test.describe(`${theme}, ${name}`, () => {
      test.use({ shared: true, colorScheme: theme, viewport });

      test('pages are shown as they are', async ({ page, atlas }) => {
        const pages = await everyPage(atlas);
        for (const shown of SHOWN) {
          const [isMap, hasLand] = [shown.startsWith('map'), shown.startsWith('map') || shown === 'host'];
          // The land is fetched beside the marks; a picture without it would be of a moment that nobody sees.
          const land = hasLand ? page.waitForResponse(/\/basemap\/(countries|detail)-/) : undefined;
          await page.goto(pages[shown] ?? '');
          if (isMap) {
            await expect(page.locator('#map')).toHaveAttribute('data-state', 'ready');
          }
          if (land) {
            await (await land).finished();
            await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
          }
          await page.screenshot({ path: join(folder, `${shown}-${theme}-${name}.png`) });
        }
        if (theme === 'light' && name === 'wide') {
          copyFileSync(join(folder, 'map-light-wide.png'), join(root, 'docs/screenshot.png'));
        }
      });
    });
  }
}
