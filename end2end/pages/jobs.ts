import { expect, type Locator, type Page } from '@playwright/test';

export type Kind = 'banner_grab' | 'domain_enum' | 'geolocation' | 'ssl_cert';

/** The job table with its filters, its bulk actions and the form that queues jobs. */
export class JobsPage {
  readonly table: Locator;
  readonly rows: Locator;
  readonly states: Locator;
  readonly queue: Locator;
  readonly retryAll: Locator;
  readonly cancelAll: Locator;

  constructor(readonly page: Page) {
    this.table = page.getByRole('table', { name: /^Jobs/ });
    this.rows = this.table.locator('tbody').getByRole('row');
    this.states = page.getByRole('navigation', { name: 'Jobs by state' });
    this.queue = page.getByRole('button', { name: 'Queue jobs' });
    this.retryAll = page.getByRole('button', { name: /^Retry all (jobs|matching)/ });
    this.cancelAll = page.getByRole('button', { name: /^Cancel all (jobs|matching)/ });
  }

  async open(query = ''): Promise<void> {
    await this.page.goto(`/jobs${query}`);
    await expect(this.page.getByRole('heading', { level: 1, name: 'Jobs' })).toBeVisible();
  }

  kind(kind: Kind): Locator {
    return this.page.getByRole('region', { name: kind });
  }

  /** Pauses a kind by its button. */
  async pause(kind: Kind): Promise<void> {
    await this.page.getByRole('button', { name: `Pause ${kind}` }).click();
    await expect(this.kind(kind)).toContainText('Paused');
  }

  /** Resumes a kind by its button. */
  async resume(kind: Kind): Promise<void> {
    await this.page.getByRole('button', { name: `Resume ${kind}` }).click();
    await expect(this.kind(kind)).not.toContainText('Paused');
  }

  /** Follows the tab of a state. */
  async show(state: string): Promise<void> {
    await this.states.getByRole('link', { name: new RegExp(`^${state}`) }).click();
    await expect(this.states.getByRole('link', { name: new RegExp(`^${state}`) })).toHaveAttribute('aria-current', 'page');
  }

  /** The count on the tab of a state. */
  count(state: string): Locator {
    return this.states.getByRole('link', { name: new RegExp(`^${state}`) }).locator('.count');
  }

  /** Queues jobs by the form. */
  async queueJobs(which: 'What is due' | 'All' | 'Those that match', query = '', force = false): Promise<void> {
    await this.page.getByRole('radio', { name: which }).check();
    await this.page.getByRole('textbox', { name: 'Query' }).fill(query);
    await this.page.getByRole('checkbox', { name: /^Force/ }).setChecked(force);
    await this.queue.click();
    await expect(this.page).toHaveURL(/[?&](queued|__err)=/);
  }
}
