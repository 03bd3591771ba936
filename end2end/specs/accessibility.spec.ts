import type { Page } from '@playwright/test';
import { violations } from '../support/axe.ts';
import { everyPage } from '../support/pages.ts';
import { expect, test } from '../support/test.ts';

const WIDTHS = [1280, 375] as const;
const THEMES = ['light', 'dark'] as const;

/** Waits until what comes to life after the load is there. */
async function settled(page: Page): Promise<void> {
  const map = page.locator('#map');
  if ((await map.count()) > 0) {
    await expect(map).toHaveAttribute('data-state', /^(ready|empty)$/);
  }
}

/** Whether the page scrolls sideways as a whole. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

for (const theme of THEMES) {
  for (const width of WIDTHS) {
    test.describe(`${theme}, ${width} px`, () => {
      test.use({ shared: true, colorScheme: theme, viewport: { width, height: 800 } });

      test('axe finds nothing on any page, and none scrolls sideways', async ({ page, atlas, guard }) => {
        test.setTimeout(180_000);
        guard.expect(/status of 40[04]/);
        for (const [name, address] of Object.entries(await everyPage(atlas))) {
          await page.goto(address);
          await settled(page);
          expect.soft(await violations(page), `${name} (${address})`).toEqual([]);
          expect.soft(await overflow(page), `${name} scrolls sideways`).toBeLessThanOrEqual(0);
        }
      });
    });
  }
}

test('axe finds nothing on an empty map', async ({ page }) => {
  for (const colorScheme of THEMES) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto('/');
      await settled(page);
      expect.soft(await violations(page), `${colorScheme}, ${width} px`).toEqual([]);
    }
  }
});

test.describe('narrow', () => {
  test.use({ shared: true, viewport: { width: 360, height: 740 } });

  test('no page scrolls sideways at 360 px', async ({ page, atlas, guard }) => {
    guard.expect(/status of 40[04]/);
    for (const [name, address] of Object.entries(await everyPage(atlas))) {
      await page.goto(address);
      await settled(page);
      expect.soft(await overflow(page), name).toBeLessThanOrEqual(0);
    }
  });
});

test.describe('by keyboard', () => {
  test.use({ shared: true });

  test('the skip link is first, and leads to the content', async ({ page }) => {
    for (const address of ['/', '/hosts', '/coverage', '/jobs', '/providers']) {
      await page.goto(address);
      await page.keyboard.press('Tab');
      await expect(page.locator(':focus')).toHaveText(/^Skip to/);
      await page.keyboard.press('Enter');
      await expect(page.locator('#main')).toBeFocused();
    }
  });

  test('the theme is chosen, kept and sent with the next page', async ({ page }) => {
    await page.goto('/hosts');
    const root = page.locator('html');
    await expect(root).not.toHaveAttribute('data-theme');

    await page.getByRole('button', { name: 'Theme: system' }).press('Enter');
    await expect(root).toHaveAttribute('data-theme', 'light');
    await page.getByRole('button', { name: 'Theme: light' }).press('Enter');
    await expect(root).toHaveAttribute('data-theme', 'dark');
    await page.goto('/coverage');

    await expect(root).toHaveAttribute('data-theme', 'dark');
    expect(await page.evaluate(() => document.cookie)).toBe('theme=dark');
  });
});
