// AWS AppSync's own simulator, which Amplify's command line mocks an API with.
// Listens on the file descriptor that it is given: by itself it would on all interfaces.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const {
  AmplifyAppSyncSimulator,
  AmplifyAppSyncSimulatorAuthenticationType: Kind,
} = require('@aws-amplify/amplify-appsync-simulator');

// What a bad `start` causes there would end the process.
process.on('unhandledRejection', () => {});

const all = '@aws_api_key @aws_iam @aws_cognito_user_pools';
const content = `
  type Message ${all} { id: ID! text: String! room: String! }
  type Query { hello(name: String): String ${all} }
  type Mutation { say(id: ID!, text: String!, room: String!): Message ${all} secret: String }
  type Subscription {
    said(room: String): Message @aws_subscribe(mutations: ["say"]) ${all}
    "For those with an API key, the default."
    secret: String @aws_subscribe(mutations: ["secret"])
  }
`;

const resolver = (typeName, fieldName, request) => ({
  kind: 'UNIT',
  typeName,
  fieldName,
  dataSourceName: 'none',
  requestMappingTemplate: `{ "version": "2018-05-29", "payload": ${request} }`,
  responseMappingTemplate: '$util.toJson($context.result)',
});

const simulator = new AmplifyAppSyncSimulator();
simulator.init({
  schema: { content },
  appSync: {
    name: 'test',
    apiKey: 'da2-fakekey',
    defaultAuthenticationType: { authenticationType: Kind.API_KEY },
    additionalAuthenticationProviders: [
      {
        authenticationType: Kind.AMAZON_COGNITO_USER_POOLS,
        cognitoUserPoolConfig: {},
      },
      { authenticationType: Kind.AWS_IAM },
    ],
  },
  dataSources: [{ type: 'NONE', name: 'none' }],
  resolvers: [
    resolver('Query', 'hello', '$util.toJson("Hello, $context.arguments.name!")'),
    resolver('Mutation', 'say', '$util.toJson($context.arguments)'),
  ],
});
const { _httpServer: http, _realTimeSubscriptionServer: realtime } = simulator._server;
await realtime.start();
http.listen({ fd: Number(process.argv[2]) });
