import type { Page } from '@playwright/test';
import axe from 'axe-core';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Violations of WCAG 2.2 A and AA and of best practice, one line each with the first elements that have it. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated and not added as a script element, which the page's content security policy rightly refuses.
  await page.evaluate(axe.source);
  return page.evaluate(async (tags) => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return violations.map((violation) => {
      const where = violation.nodes.slice(0, 4).map((node) => `${node.target.join(' ')}: ${node.failureSummary ?? ''}`);
      return `${violation.id} (${violation.nodes.length}): ${violation.help}\n  ${where.join('\n  ')}`;
    });
  }, RULES);
}
