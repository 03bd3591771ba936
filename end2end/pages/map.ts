import { expect, type Locator, type Page } from '@playwright/test';
import type { MapAnswer } from '../support/answers.ts';

/** The map with its controls and panels. */
export class MapPage {
  readonly map: Locator;
  readonly zoom: Locator;
  /** Focusable twins of the largest marks. */
  readonly twins: Locator;
  /** The list of places in view, or an open place. */
  readonly panel: Locator;
  readonly placesInView: Locator;

  constructor(readonly page: Page) {
    this.map = page.locator('#map');
    this.zoom = page.getByRole('group', { name: 'Zoom' });
    this.twins = page.getByRole('group', { name: 'Largest marks in view' }).getByRole('button');
    this.panel = page.getByRole('complementary');
    this.placesInView = page.getByRole('link', { name: /^Places in view/ });
  }

  async open(address = '/'): Promise<void> {
    await this.page.goto(address);
    await expect(this.map).toHaveAttribute('data-state', /^(ready|empty)$/);
  }

  async isReady(): Promise<void> {
    await expect(this.map).toHaveAttribute('data-state', 'ready');
  }

  /** Does something that moves the map, and waits until what it shows is what the server then answered. */
  async after(action: () => Promise<unknown>): Promise<MapAnswer> {
    const response = this.page.waitForResponse((response) => new URL(response.url()).pathname === '/api/v1/map');
    await action();
    const answer = (await (await response).json()) as MapAnswer;
    await expect.poll(() => this.hosts()).toBe(answer.hosts);
    return answer;
  }

  /** Located hosts in view. */
  async hosts(): Promise<number> {
    return Number(await this.map.getAttribute('data-hosts'));
  }

  /** Marks drawn. */
  async entries(): Promise<number> {
    return Number(await this.map.getAttribute('data-entries'));
  }

  /** The zoom that the address bar holds. */
  zoomInAddress(): number {
    return Number(new URL(this.page.url()).searchParams.get('zoom'));
  }

  /** Clicks the canvas where a mark is drawn, which is where its twin says that it stands. */
  async clickMark(name: RegExp): Promise<string> {
    const twin = this.twins.filter({ hasText: name }).first();
    const label = (await twin.textContent()) ?? '';
    const at = await twin.evaluate((element) => {
      const style = element.style;
      return { x: Number(style.getPropertyValue('--x')), y: Number(style.getPropertyValue('--y')) };
    });
    await this.map.click({ position: at });
    return label;
  }

  /** Clicks the first mark of several places that no other control covers. */
  async clickCluster(): Promise<string> {
    return this.clickMark(/ more places?, /);
  }

  /** The panel of an open place. */
  place(): PlacePanel {
    return new PlacePanel(this.panel);
  }
}

/** The panel of one place: its two buttons, and its hosts page by page. */
export class PlacePanel {
  readonly heading: Locator;
  readonly hosts: Locator;
  readonly next: Locator;
  readonly first: Locator;

  constructor(readonly panel: Locator) {
    this.heading = panel.getByRole('heading', { level: 2 });
    this.hosts = panel.getByRole('region', { name: 'Hosts of this place' }).getByRole('listitem');
    this.next = panel.getByRole('link', { name: 'Next 50' });
    this.first = panel.getByRole('link', { name: 'First 50' });
  }

  /** The link that opens a host in place. */
  host(index: number): Locator {
    return this.hosts.nth(index).getByRole('link').first();
  }
}
