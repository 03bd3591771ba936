import { violations } from '../support/axe.ts';
import { expect, test } from '../support/test.ts';
import { HostsPage } from '../pages/hosts.ts';

test.use({ shared: true });

test('keys lead to the search box and to the pages', async ({ page }) => {
  const hosts = new HostsPage(page);
  await page.goto('/coverage');
  for (const [key, path] of Object.entries({ m: '/', h: '/hosts', c: '/coverage', j: '/jobs', p: '/providers' })) {
    // The page listens once its scripts run; a key before that is lost, as it is for people.
    await expect(async () => {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await expect(page).toHaveURL((url) => url.pathname === path, { timeout: 1_000 });
    }).toPass();
  }

  await expect(async () => {
    await page.keyboard.press('/');
    await expect(hosts.search).toBeFocused({ timeout: 500 });
  }).toPass();
  await page.keyboard.type('g h?/');

  await expect(hosts.search).toHaveValue(/g h\?\/$/);
  await expect(page).toHaveURL('/providers');
  await expect(page.getByRole('dialog')).toBeHidden();
});

test('a letter alone, or with Control, is no shortcut', async ({ page }) => {
  await page.goto('/hosts');
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
  await page.keyboard.press('Escape');
  await page.locator('#main').focus();

  await page.keyboard.press('j');
  await page.keyboard.press('g');
  await page.keyboard.press('x');
  await page.keyboard.press('j');
  await page.keyboard.press('Control+/');

  await expect(page).toHaveURL('/hosts');
  await expect(page.locator('#main')).toBeFocused();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the list of keys opens, closes and turns them off for good, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await page.goto('/hosts');
    const list = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    const use = list.getByRole('checkbox', { name: 'Use these shortcuts in this browser' });
    await expect(async () => {
      await page.keyboard.press('?');
      await expect(list).toBeVisible({ timeout: 500 });
    }).toPass();
    await expect(list.getByRole('term')).toHaveCount(7);
    expect(await violations(page)).toEqual([]);

    await use.uncheck();
    await list.getByRole('button', { name: 'Close' }).click();
    await expect(list).toBeHidden();
    await page.reload();
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await expect(use).not.toBeChecked();
    await page.keyboard.press('Escape');
    await page.locator('#main').focus();
    await page.keyboard.press('/');
    await page.keyboard.press('?');
    await expect(list).toBeHidden();
    await expect(page.locator('#main')).toBeFocused();

    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    await use.check();
    await page.keyboard.press('Escape');
    await page.locator('#main').focus();
    await page.keyboard.press('/');
    await expect(page.getByRole('searchbox', { name: 'Search hosts' })).toBeFocused();
  });
}
