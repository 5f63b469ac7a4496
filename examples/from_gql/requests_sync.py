"""The requests transport: a schema that is fetched, and three retries."""

from tenacity import retry, stop_after_attempt

from anygql.blocking import Client

client = Client("http://localhost:8000/graphql", fetch_schema=True)
policy = retry(stop=stop_after_attempt(4))
with client.connect(reconnecting=True, retry_execute=policy) as session:
    print(session.execute("{ continents { code name } }"))
