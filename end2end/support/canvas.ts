import type { Page } from '@playwright/test';

/** Text as the map drew it, with the middle of the line. */
export interface Drawn {
  text: string;
  x: number;
  y: number;
}

/** Notes what canvases write from now on: of each picture, which begins with the sea all over, the latest. */
export async function watchNames(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const drawn: Drawn[] = [];
    Object.assign(window, { drawn });
    const { fillRect, fillText } = CanvasRenderingContext2D.prototype;
    const { getContext } = HTMLCanvasElement.prototype;
    // Tests read pixels back, which the browser otherwise advises about.
    HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string) {
      return getContext.call(this, kind, { willReadFrequently: true });
    } as typeof getContext;
    CanvasRenderingContext2D.prototype.fillRect = function (x, y, width, height) {
      if (x === 0 && y === 0 && width === this.canvas.clientWidth && height === this.canvas.clientHeight) {
        drawn.length = 0;
      }
      fillRect.call(this, x, y, width, height);
    };
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
      const at = this.getTransform().transformPoint(new DOMPoint(x, y));
      drawn.push({ text, x: at.x / devicePixelRatio, y: at.y / devicePixelRatio });
      fillText.call(this, text, x, y);
    };
  });
}

/** What the latest picture says. */
export const names = (page: Page): Promise<Drawn[]> =>
  page.evaluate(() => (window as unknown as { drawn: Drawn[] }).drawn);

/** How many pixels of a canvas have the colour of a custom property of the map. */
export const pixelsOf = (page: Page, property: string): Promise<number> =>
  page.evaluate((property) => {
    const canvas = document.querySelector<HTMLCanvasElement>('.map__canvas');
    const context = canvas?.getContext('2d');
    if (!canvas || !context) return 0;
    const sample = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
    sample.fillStyle = getComputedStyle(canvas).getPropertyValue(property).trim();
    sample.fillRect(0, 0, 1, 1);
    const [red, green, blue] = sample.getImageData(0, 0, 1, 1).data;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) count += 1;
    }
    return count;
  }, property);
