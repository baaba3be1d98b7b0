// Where configuration comes from. A source reads objects and says what is wrong with its input; what the objects mean
// together is for translate/.
import type { Kind } from '../config/resource.ts';
import type { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import type { Finding, Origin } from './finding.ts';

interface Named {
  readonly namespace: string;
  readonly name: string;
  readonly origin: Origin;
}

/** A node that an ApisixUpstream names itself. */
export interface ExternalNode {
  /** `Domain`: `name` is a DNS name or an address. `Service`: a Service of type ExternalName in the same namespace. */
  readonly type: 'Domain' | 'Service';
  readonly name: string;
  /** Undefined: that of the scheme. */
  readonly port: number | undefined;
  readonly weight: number;
  readonly path: string;
  readonly origin: Origin;
}

/** An ApisixUpstream: the policy that decorates the Service of the same namespace and name, or an upstream by itself. */
export interface ApisixUpstreamObject extends Named {
  readonly kind: 'ApisixUpstream';
  /** The policy in our own words; its name is `namespace/name`. Only what was written is present; `nodes` are not in it. */
  readonly upstream: Upstream;
  readonly externalNodes: readonly ExternalNode[];
  /** Where the settings of each service port stand. */
  readonly portOrigins: ReadonlyMap<number, Origin>;
  /** The Secrets that it names, `namespace/name`: what of them is used, and where they are named. */
  readonly tlsSecrets: readonly {
    readonly name: string;
    readonly part: 'certificate' | 'ca';
    readonly path: string;
    readonly origin: Origin;
  }[];
  /** Where it says something about TLS. */
  readonly tlsSettings: readonly TlsSetting[];
}

/** A place of an ApisixUpstream that says something about TLS. */
export interface TlsSetting {
  /**
   * `port`: for the port of that number. `whole`: for the ports that have no `tlsSecret` of their own. `all`: for every
   * port, as annotations are.
   */
  readonly reach: 'port' | 'whole' | 'all';
  /** Set where the reach is `port`. */
  readonly port: number | undefined;
  readonly path: string;
  readonly origin: Origin;
}

/** One TCP port of a Service. */
export interface ServicePort {
  /** Empty where the port has no name. */
  readonly name: string;
  readonly port: number;
  /** Port of the Pods where it was written as a number. */
  readonly targetPort: number | undefined;
  readonly appProtocol: string | undefined;
  readonly origin: Origin;
}

/** A Kubernetes Service. */
export interface ServiceObject extends Named {
  readonly kind: 'Service';
  readonly ports: readonly ServicePort[];
  /** Host that a Service of type ExternalName stands for, an address or a DNS name; undefined: one with endpoints of its own. */
  readonly externalName: string | undefined;
  /** Address family that a dual-stack Service prefers; undefined takes all. */
  readonly family: 4 | 6 | undefined;
}

/** One endpoint of a slice. */
export interface SliceEndpoint {
  readonly addresses: readonly string[];
  /** `left_out`: neither ready nor draining. It gets no calls, but its Pod still backs the Service. */
  readonly state: 'ready' | 'draining' | 'left_out';
  readonly zone: string | undefined;
  readonly node: string | undefined;
  readonly pod: string | undefined;
}

/** A Kubernetes EndpointSlice. */
export interface EndpointSliceObject extends Named {
  readonly kind: 'EndpointSlice';
  /** Label `kubernetes.io/service-name`; undefined: belongs to no Service. */
  readonly service: string | undefined;
  /** TCP ports by name; a number that is left out means every port. */
  readonly ports: readonly { readonly name: string; readonly port: number | undefined }[];
  readonly endpoints: readonly SliceEndpoint[];
}

/** A resource in the project's own words (apiVersion `outrigger.config/v1`, or a Secret of Kubernetes), served as it is. */
export interface NativeObject {
  readonly kind: 'native';
  readonly resourceKind: Kind;
  /** Name of the resource, `namespace/name` where the kind has one. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly origin: Origin;
  /** Where the object of APISIX stands of which it was made; undefined: it stands in a file as it is. */
  readonly madeOf?: 'standalone file' | 'Admin API';
  /** What a Route or a Service names. */
  readonly references?: readonly ObjectReference[];
}

/** A resource that an object names, and where. */
export interface ObjectReference {
  readonly kind: 'Upstream' | 'Service' | 'PluginConfig';
  readonly name: string;
  /** What findings call the object: `routes/1`, `Route 1`. */
  readonly object: string;
  readonly path: string;
  readonly origin: Origin;
}

/** An object that stands in the input and that an error refuses. */
export interface RefusedObject {
  /** Kind and name, as `objectName` gives them. */
  readonly object: string;
  readonly origin: Origin;
  /** Whether only an earlier text had it, and an error in its file may hide it now. */
  readonly isHidden?: boolean;
}

/** Everything that sources give. */
export type ConfigObject = ApisixUpstreamObject | ServiceObject | EndpointSliceObject | NativeObject;

/** One place that configuration comes from. */
export interface Source {
  /**
   * Reads once, then calls `changed` after each change of {@link objects} or {@link findings}. Rejects where the
   * source can't be read at all, naming the fix.
   */
  start(changed: () => void): Promise<void>;
  /** The good objects, in the order of their files: of two with one name the last stands. Unchanged ones are the same objects. */
  objects(): readonly ConfigObject[];
  /** The objects that are refused: what was in force of each stays so. */
  refused(): readonly RefusedObject[];
  /**
   * Objects that were read earlier, and that an error in their file may hide now. One is in force only where nothing of
   * its name is read.
   */
  held(): readonly ConfigObject[];
  findings(): readonly Finding[];
  stop(): void;
}
