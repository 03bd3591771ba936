import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** The repository, from which the server finds the site. */
export const root = resolve(import.meta.dirname, '../..');
/** The program under test. */
export const binary = resolve(root, process.env['E2E_BINARY'] ?? 'target/debug/hostatlas');
/** The built site. */
export const site = join(root, 'target/site');
/** Invented location databases, the same every time; see xtask/src/test_mmdb. */
export const databases = join(root, 'target/test-mmdb');
/** 5,000 hosts that nobody scanned. */
export const sample = join(root, 'samples/scans/public-5k.json');

/** What a test may choose about its server. */
export interface Choices {
  /** Whether a worker runs inside `serve`. */
  worker?: boolean;
  /** Settings over the usual ones. */
  environment?: Record<string, string>;
}

/** One running `hostatlas serve` with a database of its own, and the command line over the same database. */
export class Atlas {
  readonly #folder = mkdtempSync(join(tmpdir(), 'hostatlas-e2e-'));
  readonly #choices: Choices;
  #process: ChildProcess | undefined;
  #output = '';
  /** Where it listens, without a slash at the end. */
  url = '';

  private constructor(choices: Choices) {
    this.#choices = choices;
  }

  static async start(choices: Choices = {}): Promise<Atlas> {
    const atlas = new Atlas(choices);
    await atlas.serve();
    return atlas;
  }

  /** Starts the server; `stop` and `serve` make a restart over the same data. */
  async serve(): Promise<void> {
    const port = this.url === '' ? await freePort() : Number(new URL(this.url).port);
    const flags = this.#choices.worker === false ? ['--no-worker'] : [];
    this.#process = spawn(binary, ['serve', '--listen', `127.0.0.1:${port}`, ...flags], {
      cwd: root,
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    }
    this.url = `http://127.0.0.1:${port}`;
    await this.#ready();
  }

  /** Runs a command over the same database and returns what it wrote to stdout. */
  async run(...words: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(binary, words, { cwd: root, env: this.#environment() });
    return stdout;
  }

  /** Imports a scan while the server runs, as a person at a terminal would. */
  async import(file: string = sample): Promise<{ hosts_new: number; jobs_queued: number }> {
    return JSON.parse(await this.run('import', file, '--json'));
  }

  /** Imports this text. */
  async importText(text: string): Promise<void> {
    const file = join(this.#folder, 'scan.txt');
    writeFileSync(file, text);
    await this.import(file);
  }

  /** What `GET /api/v1/...` answers. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`);
    if (!response.ok) {
      throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    }
    return (await response.json()) as T;
  }

  /** What `POST /api/v1/...` answers. */
  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: this.url },
      body: JSON.stringify(body),
    });
    if (!response.ok) {
      throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
    }
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** What the server wrote so far: the first thing to read when a test fails. */
  get output(): string {
    return this.#output;
  }

  /** Stops it as an operator would, and answers its exit code. */
  async stop(): Promise<number | null> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null) {
      return running?.exitCode ?? null;
    }
    const exited = once(running, 'exit');
    running.kill('SIGTERM');
    const [code] = (await exited) as [number | null];
    return code;
  }

  /** Stops it and removes its data. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #environment(): NodeJS.ProcessEnv {
    // Nothing of the person's own settings: a HOSTATLAS_ variable would change what is tested.
    return {
      PATH: process.env['PATH'],
      HOME: this.#folder,
      XDG_CACHE_HOME: join(tmpdir(), 'hostatlas-e2e-cache'),
      HOSTATLAS_DATABASE_URL: `sqlite://${join(this.#folder, 'hostatlas.db')}`,
      HOSTATLAS_MMDB_DIR: databases,
      ...this.#choices.environment,
    };
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      if (this.#process?.exitCode !== null || Date.now() > deadline) {
        throw new Error(`The server did not start:\n${this.#output}`);
      }
      // Refused until it listens: there is nothing else to wait on from outside.
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) {
        return;
      }
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') {
    throw new Error('no free port');
  }
  return address.port;
}
