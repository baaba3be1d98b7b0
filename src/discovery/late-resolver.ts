// The resolver of a sidecar that may have no names: it is imported, and reads hosts and resolv.conf, with the first look-up.
import type { NameResolver, NameResolverOptions } from './resolver.ts';

/** A resolver that costs nothing until something is looked up. */
export function createLateResolver(options: NameResolverOptions): NameResolver {
  let loading: Promise<NameResolver> | undefined;
  let stopped = false;
  return {
    async lookup(query) {
      try {
        loading ??= import('./resolver.ts').then(({ createNameResolver }) => createNameResolver(options));
        const resolver = await loading;
        return stopped ? { failure: 'stopped' } : await resolver.lookup(query);
      } catch (error) {
        loading = undefined; // the next look-up tries again
        return { failure: error instanceof Error ? error.message : String(error) };
      }
    },
    stop() {
      stopped = true;
      // Where it can't be loaded, each look-up has told why.
      loading?.then(
        (resolver) => resolver.stop(),
        () => undefined,
      );
    },
  };
}
