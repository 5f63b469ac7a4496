# The examples of gql-cli's documentation. Each line that begins with #> is what a command prints.
HTTP=http://localhost:8000/graphql
WS=ws://localhost:8000/graphql

# Simple query using https
anygql $HTTP -q '{ continent(code: "AF") { name } }'
#> {"continent":{"name":"Africa"}}

# Simple query using websockets
anygql $WS -q '{ continent(code: "AF") { name } }'
#> {"continent":{"name":"Africa"}}

# Query with variable
anygql $HTTP -q 'query ($code: ID!) { continent(code: $code) { name } }' -V code=AF
#> {"continent":{"name":"Africa"}}

# Interactive usage: type the query, then Ctrl-D
anygql $WS - -V code=AF
#> {"continent":{"name":"Africa"}}

# Execute query saved in a file
anygql $WS query.gql
#> {"continent":{"name":"Africa"}}

# Print the GraphQL schema in a file
anygql schema fetch $HTTP -o schema.graphql
#> written to schema.graphql

# A compact schema, without what old servers don't know
anygql schema fetch $HTTP --no-descriptions --no-input-value-deprecation
#> input StringFilter {
