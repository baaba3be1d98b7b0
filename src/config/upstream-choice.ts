// Which Upstream a Route means: its own, else that of its Service. The `service_port` comes from whoever names it.
import type { Route, Service } from '../gen/outrigger/config/v1/gateway.ts';

/** A message that names an Upstream. */
export interface UpstreamChoice {
  readonly upstreamId: string;
  readonly servicePort?: number | undefined;
}

/** The one of the two that names the Upstream; undefined where none does. */
export function upstreamChoice(route: Route, service: Service | undefined): UpstreamChoice | undefined {
  if (namesUpstream(route)) return route;
  return service !== undefined && namesUpstream(service) ? service : undefined;
}

/** Whether a Route or Service names an Upstream itself. */
export function namesUpstream<T extends Route | Service>(message: T): message is T & UpstreamChoice {
  return message.upstreamId !== undefined;
}
