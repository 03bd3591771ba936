import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { databases } from './server.ts';

/** The first two bytes of a 32-bit float in an MMDB file. */
const FLOAT = Buffer.from([0x04, 0x08]);

/** A copy of the IPv4 city database in which most coordinates north or east of 10 degrees are one degree off. */
function shifted(): Buffer {
  const file = readFileSync(join(databases, 'city-ipv4.mmdb'));
  const data = file.indexOf(Buffer.alloc(16)) + 16;
  for (let at = file.indexOf(FLOAT, data); at >= 0 && at + 6 <= file.length; at = file.indexOf(FLOAT, at + 2)) {
    const degrees = file.readFloatBE(at + 2);
    if (degrees > 10 && degrees < 80) {
      file.writeFloatBE(degrees + 1, at + 2);
    }
  }
  return file;
}

/** Makes a folder of databases below `folder` with candidates: one that moves hosts, one that is none. */
export function folderWithCandidates(folder: string): string {
  const made = join(folder, 'mmdb');
  mkdirSync(join(made, 'candidates'), { recursive: true });
  for (const name of ['asn.mmdb', 'city-ipv4.mmdb', 'city-ipv6.mmdb']) {
    copyFileSync(join(databases, name), join(made, name));
  }
  writeFileSync(join(made, 'candidates/city-new.mmdb'), shifted());
  writeFileSync(join(made, 'candidates/no-database.mmdb'), 'no database');
  return made;
}
