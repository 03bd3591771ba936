import type { Coverage } from '../support/answers.ts';
import { grouped } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';

test.describe('without a worker', () => {
  test.use({ choices: { worker: false } });

  test('a batch run locates what is missing, with progress, and the page follows', async ({ page, atlas }) => {
    await atlas.import();
    await page.goto('/coverage');
    const hero = page.getByRole('region', { name: 'Located share' });
    await expect(hero.getByRole('link', { name: /^Pending/ })).toContainText('5,000');

    await page.getByRole('button', { name: /^Locate what is missing/ }).click();

    const status = page.getByRole('status');
    await expect(status.filter({ hasText: 'Looked up 5,000 hosts' })).toBeVisible();
    const coverage = await atlas.get<Coverage>('/coverage');
    expect(coverage.pending).toBe(0);
    await expect(status.filter({ hasText: `${grouped(coverage.located)} located` })).toBeVisible();
    await expect(hero.getByRole('link', { name: /^Pending/ })).toContainText('0');
    await expect(hero.getByRole('link', { name: /^Located/ })).toContainText(grouped(coverage.located));
    // The map and the reasons are of the same count.
    const why = page.getByRole('region', { name: 'Why unlocated' });
    await expect(why.getByRole('listitem').first()).toContainText(grouped(coverage.unlocated));
  });
});

test('every figure leads to its hosts', async ({ page, atlas }) => {
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { unlocated } = await atlas.get<Coverage>('/coverage');
  await page.goto('/coverage');

  await page.getByRole('region', { name: 'Located share' }).getByRole('link', { name: /^Unlocated/ }).click();

  await expect(page.getByText(`${grouped(unlocated)} of 5,000 match, exact count`)).toBeVisible();
});

test('queueing what has a reason asks again', async ({ page, atlas }) => {
  await atlas.import();
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { unlocated } = await atlas.get<Coverage>('/coverage');
  await page.goto('/coverage');

  await page.getByRole('button', { name: /^Queue again/ }).first().click();

  await expect(page).toHaveURL(/\/jobs\?queued=/);
  await expect(page.getByText(`${grouped(unlocated)} jobs queued`)).toBeVisible();
});

test('the page is live while a scan is imported elsewhere', async ({ page, atlas }) => {
  await page.goto('/coverage');
  const hero = page.getByRole('region', { name: 'Located share' });
  await expect(hero.getByRole('link', { name: /^Located/ })).toContainText('0');

  await atlas.import();

  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
  const { located } = await atlas.get<Coverage>('/coverage');
  await expect(hero.getByRole('link', { name: /^Located/ })).toContainText(grouped(located));
});
