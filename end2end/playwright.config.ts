import { defineConfig } from '@playwright/test';

// Debian's own Chromium: the test runner's browser would be a second download. It resolves no name at all, so that a
// page which asks another host fails here as it would on a machine without a network.
const chromium = {
  browserName: 'chromium' as const,
  launchOptions: {
    executablePath: process.env['E2E_CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  },
};

export default defineConfig({
  testDir: 'specs',
  outputDir: 'output/results',
  globalSetup: './support/setup.ts',
  // Each test has a server of its own or shares one that it only reads, so files may run side by side.
  workers: 2,
  fullyParallel: false,
  forbidOnly: Boolean(process.env['CI']),
  // A test that passes the second time has a race in it, or the program has: the report lists it as flaky, and it is to
  // be mended. It does not stop everything else meanwhile.
  retries: 1,
  timeout: 60_000,
  maxFailures: process.env['E2E_MAX_FAILURES'] ? Number(process.env['E2E_MAX_FAILURES']) : 0,
  expect: { timeout: 15_000 },
  reporter: [['list'], ['html', { outputFolder: 'output/report', open: 'never' }]],
  use: {
    ...chromium,
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    actionTimeout: 15_000,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
  projects: [
    { name: 'browser', testIgnore: /without-scripts/ },
    { name: 'without scripts', testMatch: /without-scripts/, use: { javaScriptEnabled: false } },
  ],
});
