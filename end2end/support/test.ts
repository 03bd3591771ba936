import { type BrowserContext, expect, test as base } from '@playwright/test';
import { Atlas, type Choices } from './server.ts';
import { StandIn, standInBinary } from './standin.ts';

/** What a page did that no page may do. */
class Guard {
  readonly #faults: string[] = [];
  readonly #expected: RegExp[] = [];

  /** Lets a console message pass: the browser itself reports every answer above 399. */
  expect(message: RegExp): void {
    this.#expected.push(message);
  }

  watch(context: BrowserContext, origin: string): void {
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.#note(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on('weberror', (error) => this.#note(`page error: ${error.error().stack ?? error.error().message}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith('http') && url.origin !== origin) {
        this.#note(`request to another host: ${request.url()}`);
      }
    });
    context.on('response', (response) => {
      if (response.status() >= 500) {
        this.#note(`${response.status()} for ${response.url()}`);
      }
    });
  }

  verify(): void {
    expect(this.#faults, 'no console message, page error or request to another host').toEqual([]);
  }

  #note(fault: string): void {
    if (!this.#expected.some((message) => message.test(fault))) {
      this.#faults.push(fault);
    }
  }
}

interface TestFixtures {
  /** How `atlas` is started. */
  choices: Choices;
  /** Providers that `atlas` asks, in order, of which the online ones are the stand-in's; empty for none. */
  asked: string;
  /** The stand-in, where `asked` names somebody. */
  standIn: StandIn | undefined;
  /** A server of this test's own, with an empty database. */
  atlas: Atlas;
  /** Whether the pages come from `located`, which tests share and only read. */
  shared: boolean;
  /** Fails the test for what no page may do. */
  guard: Guard;
}

interface WorkerFixtures {
  /** A server with the sample imported and located. Read it, never change it. */
  located: Atlas;
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  choices: [{}, { option: true }],
  shared: [false, { option: true }],

  located: [
    async ({}, use) => {
      const atlas = await Atlas.start({ worker: false });
      await atlas.import();
      await atlas.run('worker', '--drain');
      await use(atlas);
      await atlas.remove();
    },
    { scope: 'worker', timeout: 120_000 },
  ],

  asked: ['', { option: true }],

  standIn: async ({ asked }, use, testInfo) => {
    if (asked === '') {
      await use(undefined);
      return;
    }
    testInfo.skip(!StandIn.isBuilt(), `${standInBinary} is missing: \`cargo build -p hostatlas-provider-standin\` makes it`);
    const standIn = await StandIn.start();
    await use(standIn);
    await standIn.stop();
  },

  atlas: async ({ choices, shared, located, asked, standIn }, use, testInfo) => {
    if (shared) {
      await use(located);
      return;
    }
    const environment = { ...standIn?.environment(asked), ...choices.environment };
    const atlas = await Atlas.start({ ...choices, environment });
    await use(atlas);
    if (testInfo.status !== testInfo.expectedStatus) {
      await testInfo.attach('server output', { body: atlas.output, contentType: 'text/plain' });
    }
    await atlas.remove();
  },

  baseURL: async ({ atlas }, use) => {
    await use(atlas.url);
  },

  guard: async ({ context, atlas }, use) => {
    const guard = new Guard();
    guard.watch(context, atlas.url);
    await use(guard);
    guard.verify();
  },

  page: async ({ page, guard }, use) => {
    void guard;
    await use(page);
  },
});

export { expect } from '@playwright/test';
