/** The parts of REST answers that tests compare pages with. */

export interface Coverage {
  total: number;
  located: number;
  pending: number;
  unlocated: number;
  not_applicable: number;
  stale: number;
}

export interface Mark {
  kind: 'cluster' | 'place' | 'area';
  latitude: number;
  longitude: number;
  hosts: number;
  places: number;
  place_id: number | null;
  label: string;
}

export interface MapAnswer {
  clusters: Mark[];
  hosts: number;
  places: number;
}

export interface HostRow {
  ip: string;
  location_state: string;
  city: string | null;
  country_code: string | null;
  country: string | null;
  asn: string | null;
  organization: string | null;
  ports: number[];
}

export interface Host {
  ip: string;
  location_state: string;
  attempted_at: string | null;
  location: { located_at: string; city: string | null; country: string | null; place_id: number } | null;
}

export interface Job {
  id: number;
  kind: string;
  ip: string;
  state: string;
  force: boolean;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** `1,204` */
export const grouped = (count: number): string => count.toLocaleString('en-GB');
