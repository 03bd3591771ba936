import { expect, type Locator, type Page } from '@playwright/test';
import type { MapAnswer } from '../support/answers.ts';

interface Place {
  latitude: number;
  longitude: number;
}

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

  /** Whether a point lies in the part of the map that the panel leaves free, by the position in the address bar. */
  async selectedIsVisible({ latitude, longitude }: Place): Promise<boolean> {
    const address = new URL(this.page.url()).searchParams;
    const [lat, lon, zoom] = ['lat', 'lon', 'zoom'].map((name) => Number(address.get(name)));
    const [map, panel] = [await this.map.boundingBox(), await this.panel.boundingBox()];
    if (map === null || panel === null || zoom === undefined) {
      return false;
    }
    const [x, y] = project(latitude, longitude);
    const [centreX, centreY] = project(lat ?? 0, lon ?? 0);
    const left = map.x + map.width / 2 + (x - centreX) * 2 ** zoom;
    const top = map.y + map.height / 2 + (y - centreY) * 2 ** zoom;
    const inside = left > map.x && left < map.x + map.width && top > map.y;
    return inside && (panel.y > map.y + 1 ? top < panel.y : left < panel.x);
  }

  /** Clicks the canvas where a mark is drawn, which is where its twin says that it stands. */
  async clickMark(name: RegExp): Promise<string> {
    const label = (await this.twins.filter({ hasText: name }).first().textContent()) ?? '';
    await this.map.click({ position: await this.pixelOf(name) });
    return label;
  }

  /** Where a mark is drawn, which is where its twin says that it stands. */
  async pixelOf(name: RegExp): Promise<{ x: number; y: number }> {
    return this.twins.filter({ hasText: name }).first().evaluate((element) => {
      const style = element.style;
      return { x: Number(style.getPropertyValue('--x')), y: Number(style.getPropertyValue('--y')) };
    });
  }

  /** Whether a mark is drawn far enough from the edges of a wide map around `middle` to have room for its name. */
  isWellInside(mark: Place, middle: Place, zoom: number): boolean {
    const [from, to] = [project(middle.latitude, middle.longitude), project(mark.latitude, mark.longitude)];
    const [across, down] = [(to[0] - from[0]) * 2 ** zoom, (to[1] - from[1]) * 2 ** zoom];
    return Math.abs(across) < 480 && Math.abs(down) < 260;
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

/** Web Mercator at zoom 0, in pixels. */
function project(latitude: number, longitude: number): [number, number] {
  const sine = Math.sin((latitude * Math.PI) / 180);
  return [((longitude + 180) / 360) * 256, (0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)) * 256];
}
