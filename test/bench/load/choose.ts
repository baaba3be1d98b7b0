import type { Scenario } from '../scenario.ts';
import { connectionsTool } from './connections.ts';
import { h2loadTool } from './h2load.ts';
import type { LoadTool } from './load.ts';
import { nodeTool } from './node.ts';
import { wrkTool } from './wrk.ts';

/** The cheapest load tool that is installed: wrk or h2load, else one that comes with this bench. */
export function chooseLoadTool({ protocol, unit }: Scenario): LoadTool {
  if (unit !== 'request') return connectionsTool();
  return (protocol === 'grpc' ? h2loadTool() : wrkTool()) ?? nodeTool();
}
