import type { Protocol } from '../scenario.ts';
import { h2loadTool } from './h2load.ts';
import type { LoadTool } from './load.ts';
import { nodeTool } from './node.ts';
import { wrkTool } from './wrk.ts';

/** The cheapest load tool that is installed: wrk or h2load, else the one that comes with this bench. */
export function chooseLoadTool(protocol: Protocol): LoadTool {
  return (protocol === 'grpc' ? h2loadTool() : wrkTool()) ?? nodeTool();
}
