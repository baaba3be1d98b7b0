// The plugins of APISIX by name: one that this version doesn't have is not to be taken for a slip in the name of one
// that it has (limit-conn for limit-count).
import { suggest } from '../../config/suggest.ts';
import { NOT_SUPPORTED } from './reading.ts';

/** Plugins of this version. */
export const PLUGINS = ['key-auth', 'limit-count'] as const;
export type PluginName = (typeof PLUGINS)[number];

const OTHERS: ReadonlySet<string> = new Set(
  (
    'acl ai ai-aliyun-content-moderation ai-aws-content-moderation ai-prompt-decorator ai-prompt-guard ' +
    'ai-prompt-template ai-proxy ai-proxy-multi ai-rag ai-rate-limiting ai-request-rewrite api-breaker attach-consumer-label ' +
    'authz-casbin authz-casdoor authz-keycloak aws-lambda azure-functions basic-auth batch-requests body-transformer brotli ' +
    'cas-auth chaitin-waf clickhouse-logger client-control consumer-restriction cors csrf datadog degraphql dubbo-proxy ' +
    'echo elasticsearch-logger error-log-logger error-page example-plugin exit-transformer ext-plugin-post-req ' +
    'ext-plugin-post-resp ext-plugin-pre-req fault-injection file-logger forward-auth gm google-cloud-logging grpc-transcode ' +
    'grpc-web gzip hmac-auth http-dubbo http-logger inspect ip-restriction jwe-decrypt jwt-auth kafka-logger kafka-proxy ' +
    'lago ldap-auth limit-conn limit-req log-rotate loggly loki-logger mcp-bridge mocking mqtt-proxy multi-auth node-status ' +
    'ocsp-stapling opa openfunction openid-connect opentelemetry openwhisk prometheus proxy-buffering proxy-cache ' +
    'proxy-control proxy-mirror proxy-rewrite public-api real-ip redirect referer-restriction request-id ' +
    'request-validation response-rewrite rocketmq-logger server-info serverless-post-function serverless-pre-function ' +
    'skywalking skywalking-logger sls-logger splunk-hec-logging syslog tcp-logger tencent-cloud-cls traffic-label ' +
    'traffic-split ua-restriction udp-logger uri-blocker wolf-rbac workflow zipkin'
  ).split(' '),
);

/** Whether this version has the plugin. */
export function isPlugin(name: string): name is PluginName {
  return PLUGINS.some((known) => known === name);
}

/** What is said of a plugin that this version doesn't have. */
export function unknownPlugin(name: string): string {
  if (OTHERS.has(name)) return `plugin [${name}]: ${NOT_SUPPORTED}; this version has ${PLUGINS.join(', ')}`;
  const near = suggest(name, PLUGINS);
  const shown = /^[\w.-]{1,100}$/.test(name) ? name : JSON.stringify(name.slice(0, 60));
  return `unknown plugin [${shown}]: ${near === undefined ? `known are ${PLUGINS.join(', ')}` : `did you mean ${near}?`}`;
}
