import type { HostRow, Job, MapAnswer, Page as Listed } from './answers.ts';
import type { Atlas } from './server.ts';

/** Every kind of page with something on it, by a short name. */
export async function everyPage(atlas: Atlas): Promise<Record<string, string>> {
  const located = await atlas.get<Listed<HostRow>>('/hosts?q=state:located&limit=50');
  const unlocated = await atlas.get<Listed<HostRow>>('/hosts?q=state:unlocated&limit=1');
  const jobs = await atlas.get<Listed<Job>>('/jobs?limit=1');
  const { clusters } = await atlas.get<MapAnswer>('/map?bbox=-180,-85,180,85&zoom=8');
  const crowded = clusters.filter((mark) => mark.kind === 'place').sort((a, b) => b.hosts - a.hosts)[0];
  const host = located.items.find((item) => item.city !== null && item.ports.length > 0)?.ip ?? '';
  return {
    map: '/',
    'map-list': '/?list=1',
    'map-place': `/?place=${crowded?.place_id}&lat=${crowded?.latitude}&lon=${crowded?.longitude}&zoom=6`,
    'map-nothing': '/?q=city%3AAtlantis',
    hosts: '/hosts',
    'hosts-query': '/hosts?q=country%3ADE',
    'hosts-nothing': '/hosts?q=city%3AAtlantis',
    host: `/hosts/${host}`,
    'host-unlocated': `/hosts/${unlocated.items[0]?.ip}`,
    coverage: '/coverage',
    jobs: '/jobs',
    'jobs-nothing': '/jobs?state=discarded',
    job: `/jobs/${jobs.items[0]?.id}`,
    providers: '/providers',
    workers: '/workers',
    schedules: '/schedules',
    databases: '/databases',
    'not-found': '/nowhere',
    problem: '/hosts?q=prot%3A443',
  };
}
