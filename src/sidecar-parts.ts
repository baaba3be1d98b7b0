// The parts that only some sidecars need, imported where the settings ask for them. With the ADS client come grpc-js and the
// messages of all kinds of resources, which is more than all the rest of a start reads.
import type { Settings } from './config/settings.ts';
import type { LiveGatewayState } from './runtime/live-gateway.ts';

/** What a sidecar with a control plane is made of beside the others. */
export type ControlParts = Awaited<ReturnType<typeof loadControlParts>>;

/** The gateway behind its listener. */
export interface GatewayParts {
  readonly LiveGatewayState: typeof LiveGatewayState;
}

/** Undefined: the settings don't ask for it. */
export interface SidecarParts {
  readonly control: ControlParts | undefined;
  readonly gateway: GatewayParts | undefined;
}

/** Imports what `settings` ask for. */
export async function loadSidecarParts(settings: Settings): Promise<SidecarParts> {
  const hasControl = settings.control.length > 0;
  // A control plane can turn the gateway on later.
  const hasGateway = hasControl || settings.gateway !== undefined;
  const [control, gateway] = await Promise.all([
    hasControl ? loadControlParts() : undefined,
    hasGateway ? import('./runtime/live-gateway.ts') : undefined,
  ]);
  return { control, gateway };
}

async function loadControlParts() {
  const [{ createXdsClient }, { controlCredentials }, { decodeResource }, { buildSnapshot }] = await Promise.all([
    import('./control/xds-client.ts'),
    import('./control/control-credentials.ts'),
    import('./config/decode/decode.ts'),
    import('./config/builder.ts'),
    import('./discovery/resolver.ts'), // names may come at any time, also when no descriptor is left to read a file with
  ]);
  return { createXdsClient, controlCredentials, decodeResource, buildSnapshot };
}
