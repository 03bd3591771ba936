import { existsSync } from 'node:fs';
import { binary, databases, site } from './server.ts';

/** Says what is missing before forty tests fail over it. */
export default function setup(): void {
  const needed = [
    [binary, 'cargo build --package server'],
    [`${site}/hash.txt`, 'cargo xtask site'],
    [`${databases}/city-ipv4.mmdb`, 'cargo xtask test-mmdb target/test-mmdb'],
  ] as const;
  const missing = needed.filter(([path]) => !existsSync(path));
  if (missing.length > 0) {
    const lines = missing.map(([path, command]) => `  ${path} is missing: \`${command}\` makes it`);
    throw new Error(`The browser tests cannot start (\`make e2e\` prepares everything):\n${lines.join('\n')}`);
  }
}
