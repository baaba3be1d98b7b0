import type { Scenario } from '../scenario.ts';
import { connectionsTool } from './connections.ts';
import { curlTool } from './curl.ts';
import { h2loadTool } from './h2load.ts';
import type { LoadTool } from './load.ts';
import { nodeTool } from './node.ts';
import { wrkTool } from './wrk.ts';

/**
 * The cheapest load tool that is installed: wrk or h2load, else one that comes with this bench if it can do as much;
 * or the name of the one that is needed.
 */
export function chooseLoadTool(scenario: Scenario): LoadTool | { readonly needed: string } {
  const { downstream, unit, isClosing } = scenario;
  switch (unit) {
    case 'handshake':
    case 'idle connection':
      return connectionsTool();
    case 'GiB':
      return curlTool() ?? { needed: 'curl' };
    case 'MiB':
      return h2loadTool() ?? { needed: 'h2load' };
    case 'request':
    case 'paced request':
    case 'start':
      break;
  }
  const installed = downstream === 'h2' ? h2loadTool() : wrkTool();
  return installed ?? (isClosing ? { needed: 'wrk' } : nodeTool());
}
