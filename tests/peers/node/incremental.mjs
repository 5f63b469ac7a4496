// graphql 17's way to run what may be deferred, as an `execute` for servers that take an
// asynchronous iterator for a result in parts.
import { experimentalExecuteIncrementally } from 'graphql';

async function* parts({ initialResult, subsequentResults }) {
  yield initialResult;
  yield* subsequentResults;
}

export async function execute(args) {
  const result = await experimentalExecuteIncrementally(args);
  return 'initialResult' in result ? parts(result) : result;
}
