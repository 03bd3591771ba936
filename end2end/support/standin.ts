import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { freePort, root } from './server.ts';

/** The stand-in for online providers; see crates/provider-standin. */
export const standInBinary = resolve(root, process.env['E2E_STANDIN'] ?? 'target/debug/provider-standin');

/** A server on loopback that speaks as the online providers do, with their limits. */
export class StandIn {
  #process: ChildProcess | undefined;
  #port = 0;

  static isBuilt(): boolean {
    return existsSync(standInBinary);
  }

  static async start(...flags: string[]): Promise<StandIn> {
    const standIn = new StandIn();
    standIn.#port = await freePort();
    standIn.#process = spawn(standInBinary, ['--listen', `127.0.0.1:${standIn.#port}`, ...flags], {
      cwd: root,
      stdio: 'ignore',
    });
    const deadline = Date.now() + 15_000;
    // Refused until it listens: there is nothing else to wait on from outside.
    while (!(await fetch(standIn.#control).catch(() => undefined))?.ok) {
      if (standIn.#process.exitCode !== null || Date.now() > deadline) {
        throw new Error('the stand-in for providers did not start');
      }
      await new Promise((wake) => setTimeout(wake, 20));
    }
    return standIn;
  }

  /** Settings with which hostatlas asks these providers, in this order; `mmdb` may be among them. */
  environment(providers: string): Record<string, string> {
    const settings: Record<string, string> = {
      HOSTATLAS_PROVIDERS: providers,
      IPINFO_TOKEN: 'stand-in',
      IPGEOLOCATION_API_KEY: 'stand-in',
    };
    for (const provider of providers.split(',').filter((name) => name !== 'mmdb')) {
      const name = `HOSTATLAS_PROVIDER_${provider.toUpperCase().replaceAll('-', '_')}`;
      settings[`${name}_URL`] = `http://127.0.0.1:${this.#port}/${provider}/`;
      settings[`${name}_ALLOW_PRIVATE`] = '1';
    }
    return settings;
  }

  /** Turns something while it runs: a fault, a limit. */
  async turn(command: Record<string, unknown>): Promise<void> {
    const answer = await fetch(this.#control, { method: 'POST', body: JSON.stringify(command) });
    if (!answer.ok) {
      throw new Error(`POST /control: ${answer.status} ${await answer.text()}`);
    }
  }

  async stop(): Promise<void> {
    const running = this.#process;
    if (running !== undefined && running.exitCode === null) {
      const exited = once(running, 'exit');
      running.kill('SIGINT');
      await exited;
    }
  }

  get #control(): string {
    return `http://127.0.0.1:${this.#port}/control`;
  }
}
