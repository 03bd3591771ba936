import { expect, type Locator, type Page } from '@playwright/test';

/** The host list. */
export class HostsPage {
  readonly table: Locator;
  readonly rows: Locator;
  readonly search: Locator;
  readonly next: Locator;
  /** What the query was understood as. */
  readonly chips: Locator;

  constructor(readonly page: Page) {
    this.table = page.getByRole('table', { name: /^Hosts/ });
    this.rows = this.table.locator('tbody').getByRole('row');
    this.search = page.getByRole('searchbox', { name: 'Search hosts' });
    this.chips = page.getByRole('list', { name: 'Terms of the query' }).getByRole('listitem');
    this.next = page.getByRole('link', { name: 'Next', exact: true });
  }

  async open(query = ''): Promise<void> {
    await this.page.goto(`/hosts?q=${encodeURIComponent(query)}`);
  }

  /** Types a query into the one box of the page and sends it. */
  async searchFor(query: string): Promise<void> {
    await this.search.fill(query);
    await this.search.press('Enter');
    await expect(this.page).toHaveURL(`/hosts?q=${encodeURIComponent(query).replaceAll('%20', '+')}`);
  }

  /** Takes a term out of the query by its chip. */
  async removeTerm(term: string): Promise<void> {
    await this.page.getByRole('link', { name: `Remove ${term}`, exact: true }).click();
  }

  /** The addresses on this page, top to bottom. */
  async addresses(): Promise<string[]> {
    return this.rows.getByRole('rowheader').getByRole('link').allTextContents();
  }
}

/** One host. */
export class HostPage {
  readonly regeolocate: Locator;
  readonly forceRefresh: Locator;
  readonly progress: Locator;

  constructor(readonly page: Page) {
    this.regeolocate = page.getByRole('button', { name: 'Re-geolocate' });
    this.forceRefresh = page.getByRole('button', { name: 'Force refresh' });
    this.progress = page.locator('form').filter({ has: this.regeolocate }).getByRole('status');
  }

  async open(ip: string): Promise<void> {
    await this.page.goto(`/hosts/${ip}`);
    await expect(this.page.getByRole('heading', { level: 1 })).toContainText(ip);
  }
}
