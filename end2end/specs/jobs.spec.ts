import type { Coverage, Job, Page as Listed } from '../support/answers.ts';
import { expect, test } from '../support/test.ts';
import { JobsPage } from '../pages/jobs.ts';

test.describe('a queue that waits', () => {
  test.use({ choices: { worker: false } });

  test.beforeEach(async ({ atlas }) => {
    await atlas.import();
  });

  test('the form queues jobs for what matches, and says what was there already', async ({ page, atlas }) => {
    await atlas.post('/jobs/cancel', { all: true });
    const jobs = new JobsPage(page);
    await jobs.open();

    await jobs.queueJobs('Those that match', 'net:64.0.0.0/4');
    const { items } = await atlas.get<Listed<Job>>('/jobs?state=available&limit=1000');
    expect(items.length).toBeGreaterThan(50);
    await expect(page.getByText(`${items.length} jobs queued`)).toBeVisible();

    await jobs.queueJobs('Those that match', 'net:64.0.0.0/4');
    await expect(page.getByText('0 jobs queued')).toBeVisible();
    await expect(page.getByText(`${items.length} jobs were already waiting`)).toBeVisible();
  });

  test('a form without hosts is refused with what is missing', async ({ page }) => {
    const jobs = new JobsPage(page);
    await jobs.open();

    await jobs.queueJobs('Those that match');

    await expect(page.getByRole('alert')).toContainText('the query is empty');
  });

  test('ticked jobs are cancelled and retried', async ({ page }) => {
    const jobs = new JobsPage(page);
    await jobs.open('?state=available');
    await expect(jobs.count('Available')).toHaveText('5,000');
    await jobs.rows.nth(0).getByRole('checkbox').check();
    await jobs.rows.nth(2).getByRole('checkbox').check();

    await page.getByRole('group', { name: 'Ticked jobs' }).getByRole('button', { name: 'Cancel' }).click();

    await expect(page.getByText('2 jobs changed')).toBeVisible();
    await expect(jobs.count('Available')).toHaveText('4,998');
    await jobs.show('Cancelled');
    await expect(jobs.rows).toHaveCount(2);
    await page.getByRole('checkbox', { name: 'Select all on this page' }).check();
    await page.getByRole('group', { name: 'Ticked jobs' }).getByRole('button', { name: 'Retry' }).click();
    await expect(page.getByText('2 jobs changed')).toBeVisible();
    await expect(jobs.count('Cancelled')).toHaveText('0');
  });

  test('Retry all matching acts on what matches, and on nothing else', async ({ page, atlas }) => {
    const jobs = new JobsPage(page);
    await jobs.open('?kind=geolocation');
    await jobs.cancelAll.click();
    await expect(page.getByText('5000 jobs changed').or(page.getByText('5,000 jobs changed'))).toBeVisible();
    const { items } = await atlas.get<Listed<Job>>('/jobs?state=cancelled&limit=1');
    const ip = items[0]?.ip ?? '';

    await jobs.open(`?state=cancelled&ip=${ip}`);
    await jobs.retryAll.click();
    await expect(page.getByText('1 job changed')).toBeVisible();

    await jobs.open('?state=cancelled');
    await expect(jobs.count('Cancelled')).toHaveText('4,999');
    await jobs.retryAll.click();
    await expect(jobs.count('Available')).toHaveText('5,000');
  });

  test('a job is cancelled and retried on its own page', async ({ page }) => {
    const jobs = new JobsPage(page);
    await jobs.open();
    await jobs.rows.first().getByRole('rowheader').getByRole('link').click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText(/Geolocation|geolocation/);

    await page.getByRole('button', { name: /^Cancel/ }).click();
    await expect(page.getByText('Cancelled').first()).toBeVisible();

    await page.getByRole('button', { name: /^Retry/ }).click();
    await expect(page.getByText('Available').first()).toBeVisible();
  });

  test('jobs are filtered by host and kind, and listed page by page', async ({ page, atlas }) => {
    const jobs = new JobsPage(page);
    await jobs.open();
    await expect(jobs.rows).toHaveCount(50);
    const newest = await jobs.rows.first().getAttribute('id');
    await page.getByRole('link', { name: 'Older' }).click();
    await expect(page).toHaveURL(/cursor=/);
    await expect(jobs.rows.first()).not.toHaveAttribute('id', newest ?? '');
    await page.getByRole('link', { name: 'Newest' }).click();
    await expect(jobs.rows.first()).toHaveAttribute('id', newest ?? '');

    const { items } = await atlas.get<Listed<Job>>('/jobs?limit=1');
    await page.getByRole('textbox', { name: 'Address of the host' }).fill(items[0]?.ip ?? '');
    await page.getByRole('combobox', { name: 'Kind' }).selectOption('geolocation');
    await page.getByRole('button', { name: 'Filter' }).click();
    await expect(jobs.rows).toHaveCount(1);
    await expect(jobs.rows.first()).toContainText(items[0]?.ip ?? '');
  });

  test('kinds that nothing serves say so', async ({ page }) => {
    const jobs = new JobsPage(page);
    await jobs.open();

    for (const kind of ['banner_grab', 'domain_enum', 'ssl_cert'] as const) {
      await expect(jobs.kind(kind)).toContainText('No worker serves this kind yet');
    }
    await expect(jobs.kind('geolocation')).not.toContainText('No worker serves');
  });

  test('rows stay where they are while jobs arrive and end', async ({ page, atlas }) => {
    const jobs = new JobsPage(page);
    await jobs.open();
    const order = () => jobs.rows.evaluateAll((rows) => rows.map((row) => row.id));
    const before = await order();

    // Another process finishes every job on the page and adds one.
    await atlas.run('worker', '--drain');
    await atlas.run('jobs', 'enqueue', (await atlas.get<Listed<Job>>('/jobs?limit=1')).items[0]?.ip ?? '', '--force');

    await expect(jobs.rows.first()).toContainText('Completed');
    await expect(page.getByRole('link', { name: '1 new, show them' })).toBeVisible();
    expect(await order()).toEqual(before);
    await page.getByRole('link', { name: '1 new, show them' }).click();
    await expect(jobs.rows.first()).not.toHaveAttribute('id', before[0] ?? '');
  });
});

test('a paused kind waits until it is resumed', async ({ page, atlas }) => {
  const jobs = new JobsPage(page);
  await jobs.open();
  await jobs.pause('geolocation');
  await atlas.import();
  await expect(jobs.kind('geolocation')).toContainText('5,000 waiting');
  expect((await atlas.get<Coverage>('/coverage')).pending).toBe(5_000);

  await jobs.resume('geolocation');

  await expect(jobs.kind('geolocation')).toContainText('0 waiting, 0 running');
  await expect.poll(async () => (await atlas.get<Coverage>('/coverage')).pending).toBe(0);
});

test('a kind that another process pauses and resumes shows it, and offers the other', async ({ page, atlas }) => {
  const jobs = new JobsPage(page);
  await jobs.open();
  await expect(page.getByRole('button', { name: 'Pause geolocation' })).toBeVisible();

  await atlas.run('jobs', 'pause', 'geolocation');
  // The focus is handed on to the button that takes the place of this one.
  await page.getByRole('button', { name: /^(Pause|Resume) geolocation/ }).focus();

  await expect(jobs.kind('geolocation')).toContainText('Paused');
  await expect(page.getByRole('button', { name: 'Resume geolocation' })).toBeFocused();
  await atlas.run('jobs', 'resume', 'geolocation');
  await expect(page.getByRole('button', { name: 'Pause geolocation' })).toBeFocused();
});
