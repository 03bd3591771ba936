import { expect, test } from '../support/test.ts';

test('a task is run now, and the page shows how it went', async ({ page }) => {
  await page.goto('/schedules');
  const check = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Check' }) });
  await expect(check).toContainText('Not done yet');

  await page.getByRole('button', { name: 'Run now: check' }).click();

  await expect(page.getByText('check is asked for')).toBeVisible();
  await expect(check).toContainText('nothing wrong');
  await expect(check).toContainText('Done');
});

test.describe('read elsewhere than in Greenwich', () => {
  test.use({ timezoneId: 'Asia/Kolkata', choices: { worker: false } });

  test('the next time is told in the time of the reader, and in UTC to who points at it', async ({ page, atlas }) => {
    const { items } = await atlas.get<{ items: { task: string; next_at: string }[] }>('/schedules');
    const next = new Date(items.find((schedule) => schedule.task === 'check')?.next_at ?? '');
    const local = new Date(next.getTime() + 5.5 * 3_600_000).toISOString();
    await page.goto('/schedules');

    const clock = page.locator('#check-state time[data-local]');
    await expect(clock).toHaveText(`${local.slice(0, 10)} ${local.slice(11, 19)} UTC+5:30`);
    await expect(clock).toHaveAttribute('title', /UTC$/);
    await clock.hover();
    await expect(clock).toHaveAttribute('title', /UTC\n.+ UTC\+5:30$/);
  });
});

test.describe('without a worker', () => {
  test.use({ choices: { worker: false } });

  test('a rule is changed, and one that never comes is refused with the reason', async ({ page }) => {
    await page.goto('/schedules');
    const rule = page.getByRole('textbox', { name: 'When to refresh' });
    await expect(rule).toHaveValue('every 1d');

    await rule.fill('30 3 * * 1');
    await page.getByRole('button', { name: 'Save the rule of refresh' }).click();
    await expect(page.getByText('refresh has a new rule')).toBeVisible();

    await rule.fill('0 0 30 2 *');
    await page.getByRole('button', { name: 'Save the rule of refresh' }).click();
    await expect(page.getByRole('alert')).toContainText('never comes due');

    await page.goto('/schedules');
    await expect(rule).toHaveValue('30 3 * * 1');
  });

  test('a task is paused and resumed, also by another process', async ({ page, atlas }) => {
    await page.goto('/schedules');
    const prune = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'Prune' }) });
    await page.getByRole('button', { name: 'Pause prune' }).click();
    await expect(prune).toContainText('Paused');
    await expect(page.getByRole('button', { name: 'Resume prune' })).toBeVisible();

    await atlas.run('schedules', 'resume', 'prune');

    await expect(prune).toContainText('Waits');
    await expect(page.getByRole('button', { name: 'Pause prune' })).toBeVisible();
  });
});
