import { expect, test } from '../support/test.ts';

test('the process behind the page is listed with what it has done', async ({ page, atlas }) => {
  await atlas.import();
  await page.goto('/jobs');
  await page.getByRole('navigation', { name: 'Queue' }).getByRole('link', { name: 'Workers' }).click();

  await expect(page.getByRole('heading', { level: 1, name: 'Workers' })).toBeVisible();
  await expect(page.getByText('1 process on 1 machine')).toBeVisible();
  const row = page.getByRole('table', { name: 'Processes that run jobs' }).locator('tbody').getByRole('row');
  await expect(row).toHaveCount(1);
  await expect(row).toContainText('serve');
  await expect(row).toContainText('geolocation');
  // Without a load of the page: it looks again by itself, and a worker reports every ten seconds.
  await expect(row).toContainText('5,000', { timeout: 20_000 });
});

test.describe('without a worker', () => {
  test.use({ choices: { worker: false } });

  test('the page says that nobody works, and how to start somebody', async ({ page }) => {
    await page.goto('/workers');

    await expect(page.getByRole('heading', { name: 'Nobody works' })).toBeVisible();
    await expect(page.getByText('hostatlas worker', { exact: true })).toBeVisible();
  });

  test('a kind is bounded and freed on the jobs page', async ({ page, atlas }) => {
    await page.goto('/jobs');
    const kind = page.getByRole('region', { name: 'geolocation' });
    await kind.getByText('As many at once as the workers like').click();
    await kind.getByRole('spinbutton', { name: 'At most' }).fill('12');
    await kind.getByRole('button', { name: 'Save the bound of geolocation' }).click();

    await expect(kind.getByText('At most 12 at once')).toBeVisible();
    const cap = async () => {
      const { items } = await atlas.get<{ items: { kind: string; cap: number | null }[] }>('/jobs/kinds');
      return items.find((item) => item.kind === 'geolocation')?.cap;
    };
    expect(await cap()).toBe(12);

    await kind.getByText('At most 12 at once').click();
    await kind.getByRole('spinbutton', { name: 'At most' }).fill('');
    await kind.getByRole('button', { name: 'Save the bound of geolocation' }).click();
    await expect(kind.getByText('As many at once as the workers like')).toBeVisible();
    expect(await cap()).toBeNull();
  });
});
